/* The watchdog: a small process that waits for this one to end, and undoes what it leaves frozen, changed or made for a
 * while (attempt/undo.h), and closes its record (attempt/attempt.h), when it could not do so itself: after SIGKILL, a
 * crash, the kernel's want of memory.
 *
 * It is the engine's own binary, in a session of its own, so that what ends a terminal or a process group leaves it
 * alone. It reads the configuration only when this one has ended. When it is killed, too, or the machine goes down, the
 * next start of cofre undoes what is left.
 */
#ifndef COFRE_ATTEMPT_WATCHDOG_H
#define COFRE_ATTEMPT_WATCHDOG_H

#include <stdbool.h>

/* There is going to be something to undo, or a record to close: start the watchdog, unless it runs: this program once
 * more, whose main() asks watchdog_is_one. config_directory: that was read. That it does not start is a warning and no
 * failure: the next start of cofre is there, too. From one thread. */
void watchdog_start(const char *config_directory);
/* Everything is undone, or was named: the watchdog is not needed any more. Nothing to do when there is none. */
void watchdog_end(void);

/* Is this process to be a watchdog? For main(). */
bool watchdog_is_one(int argc, char **argv);
/* Wait, and undo. The exit status: 0 = nothing is left. */
int watchdog_main(char **argv);

#endif
