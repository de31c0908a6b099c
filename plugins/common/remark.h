/* What is said once in a run, and not for each entry that it is about: how many there are, and the first of them. */
#ifndef COFRE_COMMON_REMARK_H
#define COFRE_COMMON_REMARK_H

#include <stddef.h>
#include <stdint.h>

#include "common/failure.h"
#include "cofre/plugin.h"

#define REMARK_NAMED 10

/* Zeroed is empty. */
struct remark {
    uint64_t count;
    char named[REMARK_NAMED][FAILURE_QUOTE_MAX];
};

/* One more. */
void remark_add(struct remark *remark, const char *path, size_t length);

/* One line for the log, "WHAT (COUNT): 'first', 'second', ..."; none when there is nothing to say. */
void remark_say(const struct remark *remark, struct cofre_call *call, int32_t level, const char *what);

#endif
