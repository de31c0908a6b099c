/* redis: a running Redis server, saved and put back over the network, without its files and without a restart. */
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "common/docker/inside.h"
#include "redis/conf.h"
#include "redis/identity.h"
#include "redis/inspect.h"
#include "redis/link.h"
#include "redis/rdb.h"
#include "redis/restore.h"
#include "redis/scratch.h"
#include "redis/server.h"
#include "redis/sync.h"
#include "redis/undo.h"

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, container, STRING, COFRE_O_RESTORE, NULL,
                 "the container that the server is in: name, id, or PROJECT/SERVICE; in place of host"),
    COFRE_OPTION(struct conf, docker, STRING, COFRE_O_RESTORE, NULL,
                 "the daemon: unix://PATH, tcp://HOST:PORT; default: DOCKER_HOST, " DAEMON_ADDRESS),
    COFRE_OPTION(struct conf, docker_tls, PATH, COFRE_O_RESTORE | COFRE_O_TRUSTED, NULL,
                 "directory of ca.pem, cert.pem and key.pem for tcp://"),
    COFRE_OPTION(struct conf, host, STRING, COFRE_O_RESTORE, NULL, "the server's host; default: 127.0.0.1"),
    COFRE_OPTION_RANGE(struct conf, port, INTEGER, COFRE_O_RESTORE, "6379", 1, 65535, "its port"),
    COFRE_OPTION(struct conf, socket, STRING, COFRE_O_RESTORE, "",
                 "the path of its UNIX socket; host and port then do not count"),
    COFRE_OPTION(struct conf, user, STRING, COFRE_O_RESTORE, NULL, "the ACL user; default: the server's default user"),
    COFRE_OPTION(struct conf, password, SECRET, COFRE_O_RESTORE, NULL, "its password"),
    COFRE_OPTION(struct conf, tls, BOOLEAN, COFRE_O_RESTORE, "no",
                 "not possible yet: lead the connection through a tunnel"),
    COFRE_OPTION_RANGE(struct conf, patience, DURATION, COFRE_O_RESTORE, "60s", 1000, 86400000,
                       "how long to wait for an answer"),
    COFRE_OPTION_RANGE(struct conf, start_within, DURATION, COFRE_O_RESTORE, "2h", 1000, 864000000,
                       "how long the server may take until its RDB begins"),
    COFRE_OPTION(struct conf, max_size, SIZE, COFRE_O_RESTORE, "0",
                 "how long its RDB may be; 0 = four times the memory it uses, and 1 GiB"),
    COFRE_OPTION_CHOICE(struct conf, over_maxmemory, COFRE_O_RESTORE, "refuse", "refuse|keep",
                        "restore: what to do with more data than the server's maxmemory"),
    COFRE_OPTION(struct conf, announce_host, STRING, COFRE_O_RESTORE, NULL,
                 "restore: the name under which the server reaches us; default: our address"),
    COFRE_OPTION(struct conf, announce_port_range, STRING, COFRE_O_RESTORE, NULL,
                 "restore: the ports at which it may, such as 4000-4010; default: any"),
    COFRE_OPTION(struct conf, server, PATH, COFRE_O_TRUSTED, "/usr/bin/redis-server", "the program for trial restores"),
};

static void redis_close(void *instance)
{
    struct conf *conf = instance;
    inside_close(conf->inside);
    free(conf);
}

static int32_t check_options(const struct conf *conf, struct cofre_error *error)
{
    if (conf->socket[0] != '\0' && conf->socket[0] != '/')
        return cofre_fail(error, COFRE_E_CONFIG, "option 'socket': '%s' is no absolute path", conf->socket);
    if (!conf->tls)
        return COFRE_OK;
    cofre_fail(error, COFRE_E_CONFIG, "option 'tls': the hiredis that cofre was built with has no TLS");
    cofre_hint(error, "lead the connection through stunnel or ssh -L, or use the UNIX socket, and leave 'tls' out");
    return COFRE_E_CONFIG;
}

static bool is_set(const char *text)
{
    return text && *text;
}

static int32_t open_place(struct conf *conf, struct cofre_error *error)
{
    const char *host = is_set(conf->host) ? "host" : "socket";
    if (!is_set(conf->socket))
        conf->socket = NULL;
    if (is_set(conf->container) && (is_set(conf->host) || conf->socket)) {
        cofre_fail(error, COFRE_E_CONFIG, "options 'container' and '%s' exclude each other", host);
        cofre_hint(error, "take one of them out of the section; for one restore: --set container= or --set %s=", host);
        return COFRE_E_CONFIG;
    }
    if (!is_set(conf->host))
        conf->host = "127.0.0.1";
    return is_set(conf->container) ? inside_open(&conf->inside, conf->container, conf->docker, conf->docker_tls, error)
                                   : COFRE_OK;
}

static int32_t redis_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    struct conf *copy = calloc(1, sizeof *copy);
    if (!copy)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    memcpy(copy, conf, offsetof(struct conf, inside));
    int32_t class = check_options(copy, error);
    if (class == COFRE_OK)
        class = open_place(copy, error);
    if (class != COFRE_OK) {
        free(copy);
        return class;
    }
    *instance = copy;
    return COFRE_OK;
}

static int32_t connect_to(const struct conf *conf, struct cofre_call *call, struct link **link,
                          struct cofre_error *error)
{
    int32_t class = link_reach(conf, call, error);
    return class == COFRE_OK ? link_open(call, conf, link, error) : class;
}

static int32_t inspect(const struct conf *conf, struct cofre_call *call, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t class = link_reach(conf, call, &why);
    if (class == COFRE_OK)
        return inspect_server(conf, call, error);
    /* Nothing was looked at: the host knows whether to wait for a container that is starting. */
    if (class == COFRE_E_RETRY || class == COFRE_E_BUSY || class == COFRE_E_CANCELLED) {
        *error = why;
        return class;
    }
    cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
    return COFRE_OK;
}

static int32_t redis_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    if (depth != COFRE_CHECK_OFFLINE && depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    return depth == COFRE_CHECK_OFFLINE ? COFRE_OK : inspect(instance, call, error);
}

/* ---- backup ---- */

static int32_t host_reserve(void *context, void **buffer, size_t *length, struct cofre_error *error)
{
    return cofre->reserve(context, buffer, length, error);
}

static int32_t host_commit(void *context, size_t length, struct cofre_error *error)
{
    return cofre->commit(context, length, error);
}

static void warn(struct cofre_call *call, const struct server *server)
{
    char text[200];
    if (server_is_tight(server, text, sizeof text))
        cofre->log(call, COFRE_LOG_WARNING, text);
    if (server_is_cluster(server))
        cofre->log(call, COFRE_LOG_WARNING, "this is a node of a cluster: only its own slots are saved");
}

static int32_t stream(struct link *link, struct cofre_call *call, const struct server *server, char replid[SYNC_ID + 1],
                      struct rdb *rdb, struct rdb_summary *summary, struct cofre_error *error)
{
    const struct cofre_entry entry = {.struct_size = sizeof entry,
                                      .kind = COFRE_STREAM,
                                      .path = RESTORE_STREAM,
                                      .path_length = sizeof RESTORE_STREAM - 1,
                                      .size = -1,
                                      .mtime = COFRE_NO_TIME};
    struct sync_target target = {.reserve = host_reserve,
                                 .commit = host_commit,
                                 .context = call,
                                 .most = server_most(server, link->conf->max_size),
                                 .replid = replid};
    int32_t class = cofre->entry(call, &entry, error);
    if (class == COFRE_OK)
        class = sync_receive(link, call, &target, rdb, summary, error);
    return class == COFRE_OK ? cofre->end(call, COFRE_OK, NULL, error) : class;
}

static int32_t say_facts(const struct conf *conf, const struct server *server, struct cofre_call *call,
                         const struct rdb_summary *summary, struct cofre_error *error)
{
    int32_t class = conf->inside ? inside_facts(conf->inside, call, error) : COFRE_OK;
    return class == COFRE_OK ? server_facts(server, call, summary, error) : class;
}

static int32_t redis_backup(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct link *link;
    struct server server = {0};
    struct rdb_summary summary;
    char replid[SYNC_ID + 1] = "";
    int32_t class = connect_to(instance, call, &link, error);
    if (class != COFRE_OK)
        return class;
    struct rdb *rdb = rdb_new();
    class = rdb ? server_look(link, call, &server, error) : cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    if (class == COFRE_OK) {
        warn(call, &server);
        class = stream(link, call, &server, replid, rdb, &summary, error);
    }
    if (class == COFRE_OK)
        class = say_facts(instance, &server, call, &summary, error);
    if (class == COFRE_OK)
        class = identity_say(&server, call, replid, summary.families, error);
    rdb_free(rdb);
    server_free(&server);
    link_close(link);
    return class;
}

/* ---- the rest ---- */

static int32_t redis_facts(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct link *link;
    struct server server;
    int32_t class = connect_to(instance, call, &link, error);
    if (class != COFRE_OK)
        return class;
    class = server_look(link, call, &server, error);
    if (class == COFRE_OK)
        class = say_facts(instance, &server, call, NULL, error);
    server_free(&server);
    link_close(link);
    return class;
}

static int32_t redis_restore(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    int32_t class = link_reach(instance, call, error);
    return class == COFRE_OK ? restore_run(instance, call, error) : class;
}

static int32_t redis_thaw(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    return undo_all(instance, call, id, error);
}

static int32_t redis_scratch_make(void *instance, struct cofre_call *call, const char *id, char *overrides,
                                  size_t length, struct cofre_error *error)
{
    return scratch_begin(instance, call, id, overrides, length, error);
}

static int32_t redis_scratch_drop(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    return scratch_end(instance, call, id, error);
}

static const struct cofre_source source = {
    .struct_size = sizeof source,
    .open = redis_open,
    .close = redis_close,
    .check = redis_check,
    .backup = redis_backup,
    .restore = redis_restore,
    .thaw = redis_thaw,
    .scratch_make = redis_scratch_make,
    .scratch_drop = redis_scratch_drop,
    .facts = redis_facts,
};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "redis",
    .version = "0.1.0",
    .summary = "a running Redis server",
    .license = "MIT",
    .example = "host     = 127.0.0.1\npassword = @file:/etc/cofre/secrets/redis\n",
    .options = COFRE_OPTIONS(struct conf, rows),
    .source = &source,
    .environment = DAEMON_ENVIRONMENT,
};

COFRE_PLUGIN(plugin)
