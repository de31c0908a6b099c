#include "redis/inspect.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/inside.h"
#include "redis/info.h"
#include "redis/link.h"
#include "redis/server.h"

static void say_server(struct cofre_call *call, const struct link *link, const struct server *s)
{
    char text[INSIDE_TEXT_MAX], version[64];
    if (link->conf->inside)
        cofre->finding(call, COFRE_LOG_INFO, inside_describe(link->conf->inside, text), "");
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

/* What a run and a restore need, in forms that do nothing: a refusal of their arguments (COFRE_E_PERMANENT) comes after
 * the server has looked whether there is such a command, and whether this user may use it. Before version 7 a PSYNC
 * with an offset that is no number begins a transfer; one without arguments tells only whether there is that command.
 * It comes last, as the connection may be of no use afterwards. */
static const struct {
    int count;
    const char *words[3];
    long since, until; /* versions, the last not included; 0 = any */
    bool restore;
} probes[] = {
    {.count = 3, .words = {"REPLCONF", "capa", "eof"}},
    {.count = 3, .words = {"REPLICAOF", "check", "check"}, .restore = true},
    {.count = 2, .words = {"SELECT", "0"}, .restore = true},
    {.count = 3, .words = {"PSYNC", "?", "check"}, .since = 7},
    {.count = 1, .words = {"PSYNC"}, .until = 7},
};

/* *may: stays as it is, or turns false when it is refused, which is said. */
static int32_t try_probe(struct link *link, struct cofre_call *call, size_t i, bool *may, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    char text[sizeof why.message + 40];
    int32_t class = link_do(link, call, &why, probes[i].count, probes[i].words);
    if (class == COFRE_OK || class == COFRE_E_PERMANENT)
        return COFRE_OK;
    if (class == COFRE_E_CANCELLED || class == COFRE_E_TIMEOUT) {
        *error = why;
        return class;
    }
    *may = false;
    snprintf(text, sizeof text, "%s: %s", probes[i].restore ? "it cannot be restored into" : "it cannot be saved",
             why.message);
    cofre->finding(call, probes[i].restore ? COFRE_LOG_WARNING : COFRE_LOG_ERROR, text, why.hint);
    return COFRE_OK;
}

/* Whoever loads, has lost his primary, or is no target anyhow was told so by say_states. */
static int32_t say_rights(struct link *link, struct cofre_call *call, const struct server *s, struct cofre_error *error)
{
    char version[64];
    long major = strtol(info_text(s->info, "redis_version", version, sizeof version), NULL, 10);
    bool may_save = true, may_restore = !server_is_replica(s) && !server_is_cluster(s), is_target = may_restore;
    if (info_is(s->info, "loading", "1") || info_is(s->info, "master_link_status", "down"))
        return COFRE_OK;
    for (size_t i = 0; i < sizeof probes / sizeof probes[0]; i++) {
        if (major < probes[i].since || (probes[i].until && major >= probes[i].until) ||
            (probes[i].restore && !is_target))
            continue;
        int32_t class = try_probe(link, call, i, probes[i].restore ? &may_restore : &may_save, error);
        if (class != COFRE_OK)
            return class;
    }
    /* Older ones do not tell before they begin. */
    if (may_save && major >= 7)
        cofre->finding(call, COFRE_LOG_INFO, "this user may replicate", "");
    if (may_save && may_restore)
        cofre->finding(call, COFRE_LOG_INFO, "this user may restore in place", "");
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
    /* Nothing was looked at; whether to wait for a server that is starting is the host's to know. */
    if (class == COFRE_E_CANCELLED || class == COFRE_E_RETRY || class == COFRE_E_BUSY) {
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
