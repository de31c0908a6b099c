#include "common/remark.h"

#include <stdio.h>

#define LINE_MAX (REMARK_NAMED * (FAILURE_QUOTE_MAX + 4) + 400)

void remark_add(struct remark *remark, const char *path, size_t length)
{
    if (remark->count < REMARK_NAMED)
        failure_quote(path, length, remark->named[remark->count]);
    remark->count++;
}

void remark_say(const struct remark *remark, struct cofre_call *call, int32_t level, const char *what)
{
    char line[LINE_MAX];
    if (remark->count == 0)
        return;
    size_t used = (size_t)snprintf(line, sizeof line, "%.300s (%llu):", what, (unsigned long long)remark->count);
    for (uint64_t i = 0; i < remark->count && i < REMARK_NAMED; i++)
        used += (size_t)snprintf(line + used, sizeof line - used, "%s '%s'", i ? "," : "", remark->named[i]);
    if (remark->count > REMARK_NAMED)
        snprintf(line + used, sizeof line - used, ", ...");
    cofre->log(call, level, line);
}
