#include "redis/fit.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "redis/info.h"
#include "redis/link.h"
#include "redis/server.h"

static int32_t compare(const struct link *link, const char *info, uint64_t needed, struct cofre_error *error)
{
    char policy[40];
    uint64_t limit = info_number(info, "maxmemory");
    if (limit == 0 || needed <= limit)
        return COFRE_OK;
    info_text(info, "maxmemory_policy", policy, sizeof policy);
    cofre_fail(error, COFRE_E_UNSUPPORTED,
               "%s: the data needs %" PRIu64 " bytes, and maxmemory is %" PRIu64 " there: it would %s (%s)", link->name,
               needed, limit, strcmp(policy, "noeviction") == 0 ? "refuse all writes" : "evict keys at once", policy);
    cofre_hint(error,
               "raise maxmemory on the server to more than %" PRIu64
               ", or take that as it is with --set over_maxmemory=keep",
               needed);
    return COFRE_E_UNSUPPORTED;
}

int32_t fit_foresee(const struct link *link, struct cofre_call *call, const struct server *server,
                    struct cofre_error *error)
{
    const char *key, *value;
    int32_t class;
    uint64_t used = 0;
    for (uint64_t i = 0; (class = cofre->recorded(call, i, &key, &value, error)) == COFRE_OK; i++)
        if (strcmp(key, "redis.used_memory") == 0)
            used = strtoull(value, NULL, 10);
    return class == COFRE_END ? compare(link, server->info, used, error) : class;
}

int32_t fit_look(struct link *link, struct cofre_call *call, struct cofre_error *error)
{
    char *info;
    int32_t class = link_info(link, call, &info, error);
    if (class != COFRE_OK)
        return class;
    uint64_t used = info_number(info, "used_memory"), aside = info_number(info, "mem_not_counted_for_evict");
    class = compare(link, info, used > aside ? used - aside : 0, error);
    free(info);
    return class;
}
