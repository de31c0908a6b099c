/* Where a worker process finds its channel, and what it says first: known to both ends, which are of one build. */
#ifndef COFRE_WIRE_GREETING_H
#define COFRE_WIRE_GREETING_H

#include <stdint.h>

#define GREETING_SOCKET 3
#define GREETING_MEMORY 4

/* The number of this build: both ends compare it, so that no two versions talk to each other. */
uint32_t greeting_build(void);

#endif
