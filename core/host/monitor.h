/* The privileged half of a source's worker, as in sshd: what is confined cannot look into other processes, since
 * whoever can look into one can look into the engine. A child that runs no code of the plugin opens the three harmless
 * things of /proc/PID for it, and ends with it. Used by any thread.
 */
#ifndef COFRE_HOST_MONITOR_H
#define COFRE_HOST_MONITOR_H

#include <stdint.h>

struct error;

/* Once, before the worker is confined. Does nothing where there is no right to be lost. */
int monitor_start(struct error *e);
/* As open(2) of the thing of a process (COFRE_PROCESS_*): a descriptor, or -1 with errno. Without a monitor with our
 * own rights. */
int monitor_open(int64_t pid, uint32_t what);

#endif
