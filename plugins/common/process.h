/* Another process, as /proc has it. */
#ifndef COFRE_COMMON_PROCESS_H
#define COFRE_COMMON_PROCESS_H

#include <stdint.h>

/* As open_process of the host, and with our own rights where the host has none of it. what: COFRE_PROCESS_*. */
int process_open(int64_t pid, uint32_t what);

#endif
