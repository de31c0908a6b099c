/* How a worker process is started, and what it says first: known to both ends, which are the same binary. */
#ifndef COFRE_WIRE_GREETING_H
#define COFRE_WIRE_GREETING_H

#include <stdint.h>

/* The single argument of the re-executed binary. */
#define GREETING_ARGUMENT "worker"
/* Where the worker finds its channel. */
#define GREETING_SOCKET 3
#define GREETING_MEMORY 4

/* The number of this build: both ends compare it, so that no two versions talk to each other. */
uint32_t greeting_build(void);

#endif
