/* Lines for the log and for check, made as printf does. The host escapes what is not printable. */
#ifndef COFRE_DOCKER_VOLUME_SAY_H
#define COFRE_DOCKER_VOLUME_SAY_H

#include <stdint.h>

#include "cofre/plugin.h"

void say_log(struct cofre_call *call, int32_t level, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* hint: "" = none. */
void say_finding(struct cofre_call *call, int32_t level, const char *hint, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
