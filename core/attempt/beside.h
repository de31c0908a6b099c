/* Beside: this program once more, in a process that outlives it: the watchdog (attempt/watchdog.h), and what runs a
 * hook (attempt/hook.h).
 *
 * It is in a session of its own, so that what ends a terminal or a process group leaves it alone. What asks the engine
 * to end may be sent to all of a service's processes, and the engine be killed a little later: SIGINT, SIGTERM and
 * SIGHUP are blocked there; all other signals are as at a program's start.
 */
#ifndef COFRE_ATTEMPT_BESIDE_H
#define COFRE_ATTEMPT_BESIDE_H

#include <stddef.h>
#include <sys/types.h>

#define BESIDE_FD 3      /* its first descriptor beyond the usual ones */
#define BESIDE_FDS_MAX 4 /* so many */

/* argument, more (NULL = none): its command line, by which main() knows it. output: its standard output; -1 = none.
 * fds: its descriptors from BESIDE_FD on. Its input is empty, standard error is ours, and it has no other descriptor.
 * 0, or an errno. */
int beside_start(const char *argument, const char *more, int output, const int *fds, size_t count, pid_t *pid);

#endif
