/* The process of a worker, from inside: what it may not do, and that it ends with the engine. */
#ifndef COFRE_HOST_CONFINE_H
#define COFRE_HOST_CONFINE_H

#include <stdint.h>

struct error;

/* What a worker may allocate (RLIMIT_DATA, for each of its processes; not in builds with sanitizers): a plugin that
 * allocates without bound meets a failed malloc and fails its call, instead of taking the machine with it. */
#define CONFINE_MEMORY_MAX (UINT64_C(1) << 30)

/* Limits, no new privileges, no core file. */
void confine_process(void);
/* End the group when the engine is gone, even while the plugin hangs. */
int confine_watch(struct error *e);
/* The engine is gone: end, with all that the plugin has started. */
void confine_end_group(void);

#endif
