#include "job/idle.h"

#include <stdio.h>
#include <string.h>

#include "config/config.h"

static void put(char *out, size_t size, const char *key)
{
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s", used ? ", " : "", key);
}

bool idle_keys(const struct config_job *job, char *out, size_t size)
{
    out[0] = '\0';
    if (job->schedule)
        put(out, size, "schedule");
    return out[0] != '\0';
}
