#include "redis/server.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "redis/info.h"
#include "redis/link.h"
#include "redis/rdb.h"

void server_free(struct server *server)
{
    free(server->info);
    server->info = NULL;
}

/* ---- looking ---- */

/* The value of a name in a reply of name, value, name, value, ... */
static const char *value_of(const struct redisReply *r, const char *name)
{
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements; i += 2)
        if (r->element[i]->str && strcmp(r->element[i]->str, name) == 0 && r->element[i + 1]->str)
            return r->element[i + 1]->str;
    return "?";
}

static void take_modules(struct server *s, const struct redisReply *r)
{
    size_t used = 0;
    s->modules = (int64_t)r->elements;
    for (size_t i = 0; i < r->elements && used < sizeof s->module_names; i++)
        used += (size_t)snprintf(s->module_names + used, sizeof s->module_names - used, "%s%s", i ? ", " : "",
                                 value_of(r->element[i], "name"));
}

static void take_libraries(struct server *s, const struct redisReply *r)
{
    s->libraries = (int64_t)r->elements;
}

/* A refusal (no such command, no right to it) leaves the answer open; a broken connection is an error. */
static int32_t ask(struct link *link, struct cofre_call *call, struct server *s, const char *verb,
                   void (*take)(struct server *, const struct redisReply *), struct cofre_error *error)
{
    struct redisReply *reply = NULL;
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t class = link_command(link, call, &reply, &why, LINK_WORDS(verb, "LIST"));
    if (class == COFRE_OK && reply->type == REDIS_REPLY_ARRAY)
        take(s, reply);
    if (reply)
        freeReplyObject(reply);
    if (class != COFRE_E_RETRY && class != COFRE_E_TIMEOUT && class != COFRE_E_CANCELLED)
        return COFRE_OK;
    *error = why;
    return class;
}

int32_t server_look(struct link *link, struct cofre_call *call, struct server *server, struct cofre_error *error)
{
    *server = (struct server){.libraries = -1, .modules = -1};
    int32_t class = link_info(link, call, &server->info, error);
    if (class == COFRE_OK)
        class = ask(link, call, server, "MODULE", take_modules, error);
    if (class == COFRE_OK)
        class = ask(link, call, server, "FUNCTION", take_libraries, error);
    return class;
}

bool server_is_cluster(const struct server *server)
{
    return info_is(server->info, "cluster_enabled", "1");
}

bool server_is_replica(const struct server *server)
{
    return info_is(server->info, "role", "slave");
}

uint64_t server_keys(const struct server *server)
{
    uint64_t keys = 0;
    struct info_database database;
    for (const char *at = server->info; info_database(&at, &database);)
        keys += database.keys;
    return keys;
}

/* An RDB is shorter than the data in memory; the rest is for modules, which keep some elsewhere, and for what is
 * written until the fork. */
uint64_t server_most(const struct server *server, int64_t max_size)
{
    uint64_t used = info_number(server->info, "used_memory");
    if (max_size > 0)
        return (uint64_t)max_size;
    return used < UINT64_MAX / 8 ? 4 * used + (UINT64_C(1) << 30) : UINT64_MAX;
}

/* A fork shares all memory; what is written meanwhile is copied, at worst everything. */
bool server_is_tight(const struct server *server, char *text, size_t size)
{
    uint64_t used = info_number(server->info, "used_memory_rss"),
             total = info_number(server->info, "total_system_memory");
    if (used == 0 || total == 0 || used <= total / 2)
        return false;
    snprintf(text, size,
             "the server uses %" PRIu64 " MiB of %" PRIu64
             " MiB: saving forks it, and under load that may take twice as much",
             used >> 20, total >> 20);
    return true;
}

/* ---- facts ---- */

static void say(struct cofre_call *call, int32_t *class, struct cofre_error *error, const char *key, const char *value)
{
    if (*class == COFRE_OK && value[0])
        *class = cofre->fact(call, key, value, 0, error);
}

/* What a restore puts back exactly. */
static void say_same(struct cofre_call *call, int32_t *class, struct cofre_error *error, const char *key,
                     uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    if (*class == COFRE_OK)
        *class = cofre->fact(call, key, text, COFRE_FACT_MUST_MATCH, error);
}

static void say_number(struct cofre_call *call, int32_t *class, struct cofre_error *error, const char *key,
                       uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, value);
    say(call, class, error, key, text);
}

static void say_database(struct cofre_call *call, int32_t *class, struct cofre_error *error, uint64_t number,
                         uint64_t keys, uint64_t expires)
{
    char key[64];
    if (keys == 0)
        return;
    /* Keys that expire get fewer by themselves. */
    snprintf(key, sizeof key, "redis.db%" PRIu64 ".keys", number);
    (expires ? say_number : say_same)(call, class, error, key, keys);
    snprintf(key, sizeof key, "redis.db%" PRIu64 ".expires", number);
    say_number(call, class, error, key, expires);
}

static void say_counts(const struct server *s, struct cofre_call *call, const struct rdb_summary *summary,
                       int32_t *class, struct cofre_error *error)
{
    if (summary && summary->counted) {
        for (size_t i = 0; i < summary->database_count; i++)
            say_database(call, class, error, summary->databases[i].number, summary->databases[i].keys,
                         summary->databases[i].expires);
        say_same(call, class, error, "redis.libraries", summary->libraries);
        return;
    }
    struct info_database database;
    for (const char *at = s->info; info_database(&at, &database);)
        say_database(call, class, error, database.number, database.keys, database.expires);
    if (s->libraries >= 0)
        say_same(call, class, error, "redis.libraries", (uint64_t)s->libraries);
}

int32_t server_facts(const struct server *server, struct cofre_call *call, const struct rdb_summary *summary,
                     struct cofre_error *error)
{
    static const char *const copied[][2] = {
        {"redis.version", "redis_version"}, {"redis.role", "role"},
        {"redis.mode", "redis_mode"},       {"redis.used_memory", "used_memory"},
        {"redis.maxmemory", "maxmemory"},   {"redis.maxmemory_policy", "maxmemory_policy"}};
    int32_t class = COFRE_OK;
    char text[128];
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++)
        say(call, &class, error, copied[i][0], info_text(server->info, copied[i][1], text, sizeof text));
    if (server->modules >= 0)
        say_number(call, &class, error, "redis.modules", (uint64_t)server->modules);
    say(call, &class, error, "redis.module_names", server->module_names);
    say_counts(server, call, summary, &class, error);
    if (summary) {
        say_number(call, &class, error, "rdb.version", (uint64_t)summary->version);
        say(call, &class, error, "rdb.checksum", summary->checksum ? "yes" : "no");
        say(call, &class, error, "rdb.counted", summary->counted ? "yes" : "no: it holds types of a newer server");
    }
    return class;
}
