#include "redis/identity.h"

#include <stdio.h>
#include <string.h>

#include "cofre/plugin.h"
#include "redis/info.h"
#include "redis/lineage.h"
#include "redis/server.h"

#define FILE_NAME "lineages"

static void cannot_remember(struct cofre_call *call, const char *why)
{
    char line[600];
    snprintf(line, sizeof line, "which server this is cannot be remembered: %s", why);
    cofre->log(call, COFRE_LOG_WARNING, line);
}

/* Into name; "" and a line in the log when that fails. */
static int32_t find_name(struct cofre_call *call, const struct lineage *now, const char *const others[2],
                         char name[LINEAGE_ID + 1], struct cofre_error *error)
{
    const char *directory;
    char path[4200];
    struct lineages lineages;
    struct cofre_error why = {.struct_size = sizeof why};
    name[0] = '\0';
    int32_t class = cofre->directory(call, &directory, &why);
    if (class == COFRE_E_CANCELLED) {
        *error = why;
        return class;
    }
    if (class == COFRE_OK) {
        snprintf(path, sizeof path, "%s/" FILE_NAME, directory);
        int failed = lineage_load(&lineages, path);
        if (!failed)
            snprintf(name, LINEAGE_ID + 1, "%s", lineage_meet(&lineages, now, others));
        if (!failed)
            failed = lineage_store(&lineages, path);
        if (failed)
            class = cofre_fail_errno(&why, failed, "keep '%s'", path);
    }
    if (class == COFRE_OK)
        return COFRE_OK;
    name[0] = '\0';
    cannot_remember(call, why.message);
    return COFRE_OK;
}

int32_t identity_say(const struct server *server, struct cofre_call *call, const char *replid,
                     const struct family_set *families, struct cofre_error *error)
{
    char first[64], second[64], name[LINEAGE_ID + 1];
    const char *const others[2] = {info_text(server->info, "master_replid", first, sizeof first),
                                   info_text(server->info, "master_replid2", second, sizeof second)};
    struct lineage now = {.families = *families};
    info_text(server->info, "run_id", now.run_id, sizeof now.run_id);
    snprintf(now.replid, sizeof now.replid, "%s", replid);
    if (!lineage_is_id(now.run_id)) /* it only resembles Redis */
        return COFRE_OK;
    int32_t class = find_name(call, &now, others, name, error);
    if (class != COFRE_OK || name[0] == '\0')
        return class;
    return cofre->fact(call, "redis.identity", name, COFRE_FACT_IDENTITY, error);
}
