#include "common/remark.h"

#include <stdio.h>
#include <string.h>

#define LINE_MAX 2900 /* a line of the log has 3,000 bytes */

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
    uint64_t named = 0;
    for (; named < remark->count && named < REMARK_NAMED; named++) {
        const char *name = remark->named[named];
        if (used + strlen(name) + sizeof ", '', ..." > sizeof line)
            break;
        used += (size_t)snprintf(line + used, sizeof line - used, "%s '%s'", named ? "," : "", name);
    }
    if (named < remark->count)
        snprintf(line + used, sizeof line - used, ", ...");
    cofre->log(call, level, line);
}
