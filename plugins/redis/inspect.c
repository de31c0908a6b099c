#include "redis/inspect.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/info.h"
#include "redis/link.h"
#include "redis/server.h"

static void say_server(struct cofre_call *call, const struct link *link, const struct server *s)
{
    char text[500], version[64];
    snprintf(text, sizeof text, "%s answers: version %s, %llu keys", link->name,
             info_text(s->info, "redis_version", version, sizeof version), (unsigned long long)server_keys(s));
    cofre->finding(call, COFRE_LOG_INFO, text, "");
    if (server_is_tight(s, text, sizeof text))
        cofre->finding(call, COFRE_LOG_WARNING, text, "save from a replica, or give it more memory");
    if (!link_is_local(link))
        cofre->finding(call, COFRE_LOG_WARNING, "password and data cross the network unencrypted",
                       "lead it through stunnel, ssh or a VPN, or run cofre where the server is");
}

/* One row for each thing that INFO can tell. */
static const struct {
    const char *key, *value;
    int32_t level;
    const char *text, *hint;
} states[] = {
    {"loading", "1", COFRE_LOG_ERROR, "the server is still loading its data", "try again when it is done"},
    {"master_link_status", "down", COFRE_LOG_ERROR, "this replica has lost its primary, so it cannot be saved",
     "mend that, or save from the primary"},
    {"role", "slave", COFRE_LOG_WARNING, "this is a replica: it can be saved, but not restored into",
     "for restoring, use --set host=... of its primary"},
    {"cluster_enabled", "1", COFRE_LOG_WARNING,
     "this is a node of a cluster: only its own slots are saved, and it takes no restore while it runs",
     "make a source of every primary of the cluster; restore with --into DIR"},
    {"rdb_last_bgsave_status", "err", COFRE_LOG_WARNING, "the server's own last snapshot failed",
     "see its log: often no space on its disk, or no memory to fork"},
};

static void say_states(struct cofre_call *call, const struct server *s)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (info_is(s->info, states[i].key, states[i].value))
            cofre->finding(call, states[i].level, states[i].text, states[i].hint);
}

/* Since version 7 a PSYNC with an offset that is no number is refused, after the rights were looked at, and before
 * anything is begun. */
static int32_t say_rights(struct link *link, struct cofre_call *call, const struct server *s, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    char version[64];
    int32_t class = link_do(link, call, &why, LINK_WORDS("REPLCONF", "capa", "eof"));
    bool modern = strtol(info_text(s->info, "redis_version", version, sizeof version), NULL, 10) >= 7;
    if (class != COFRE_E_DENIED && modern)
        class = link_do(link, call, &why, LINK_WORDS("PSYNC", "?", "check"));
    if (class == COFRE_E_CANCELLED || class == COFRE_E_TIMEOUT) {
        *error = why;
        return class;
    }
    if (class == COFRE_E_DENIED)
        cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
    else if (modern)
        cofre->finding(call, COFRE_LOG_INFO, "this user may replicate", "");
    return COFRE_OK;
}

int32_t inspect_server(const struct conf *conf, struct cofre_call *call, struct cofre_error *error)
{
    struct link *link;
    struct server server = {0};
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t class = link_open(call, conf, &link, &why);
    if (class == COFRE_OK && (class = server_look(link, call, &server, &why)) != COFRE_OK)
        link_close(link);
    if (class == COFRE_E_CANCELLED) {
        *error = why;
        return class;
    }
    if (class != COFRE_OK) {
        cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
        return COFRE_OK;
    }
    say_server(call, link, &server);
    say_states(call, &server);
    class = say_rights(link, call, &server, error);
    server_free(&server);
    link_close(link);
    return class;
}
