#include "redis/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/failure.h"
#include "redis/info.h"
#include "redis/link.h"
#include "redis/play.h"
#include "redis/rescue.h"
#include "redis/server.h"
#include "redis/undo.h"
#include "redis/wait.h"

#define BUFFER (256u << 10)
#define PAUSE 50 /* ms */

struct restoration {
    const struct conf *conf;
    struct cofre_call *call;
    struct link *link;
    struct server server;     /* as it was */
    char rescue[RESCUE_PATH]; /* "" = there was nothing to rescue */
    int newest;
};

/* ---- before ---- */

static int32_t refuse(const struct restoration *r, const char *why, const char *hint, struct cofre_error *error)
{
    failure_set(error, COFRE_E_UNSUPPORTED, "%s: %s", r->link->name, why);
    failure_hint(error, "%s", hint);
    return COFRE_E_UNSUPPORTED;
}

static int32_t check_target(const struct restoration *r, struct cofre_error *error)
{
    if (server_is_cluster(&r->server))
        return refuse(r, "a node of a cluster takes no restore while it runs",
                      "restore with --into DIR and load the file as the documentation of your cluster says", error);
    if (server_is_replica(&r->server))
        return refuse(r, "it is a replica, and would take its primary's data again at once",
                      "restore into its primary, or make it one first: REPLICAOF NO ONE", error);
    return COFRE_OK;
}

static int32_t rescue(struct restoration *r, struct cofre_error *error)
{
    char line[RESCUE_PATH + 80];
    if (server_keys(&r->server) == 0 && r->server.libraries <= 0)
        return COFRE_OK;
    int32_t class = rescue_take(r->conf, r->call, r->rescue, &r->newest, error);
    if (class != COFRE_OK) {
        r->rescue[0] = '\0';
        return class;
    }
    snprintf(line, sizeof line, "what the server holds now is kept in '%s'; remove it when you need it no more",
             r->rescue);
    cofre->log(r->call, COFRE_LOG_WARNING, line);
    return COFRE_OK;
}

/* ---- the two sources of an RDB: the snapshot, and the rescue file ---- */

static int32_t take_snapshot(void *context, const void **bytes, uint64_t *length, struct cofre_error *error)
{
    const struct restoration *r = context;
    return cofre->take(r->call, bytes, length, error);
}

struct file {
    int fd;
    const char *path;
    uint8_t *buffer;
};

static int32_t take_file(void *context, const void **bytes, uint64_t *length, struct cofre_error *error)
{
    struct file *f = context;
    ssize_t n;
    do {
        n = read(f->fd, f->buffer, BUFFER);
    } while (n < 0 && errno == EINTR);
    *bytes = f->buffer;
    *length = n > 0 ? (uint64_t)n : 0;
    return n > 0 ? COFRE_OK : n == 0 ? COFRE_END : failure_system(error, errno, "read rescue file '%s'", f->path);
}

static int32_t play(struct restoration *r, const struct play_feed *feed, bool *replaced, struct cofre_error *error)
{
    bool empty = r->rescue[0] == '\0';
    struct play play = {.link = r->link, .call = r->call, .server = &r->server, .newest = r->newest, .empty = empty};
    int32_t class = play_run(&play, feed, error);
    *replaced = play.replaced;
    return class == COFRE_OK ? undo_promote(r->link, r->call, error) : class;
}

/* The server took the RDB and could not load it: it is empty now, or nearly. What it had goes back. */
static int32_t roll_back(struct restoration *r, struct cofre_error *error)
{
    bool replaced;
    struct file file = {.path = r->rescue, .fd = -1};
    int32_t class = undo_promote(r->link, r->call, error);
    if (class != COFRE_OK || r->rescue[0] == '\0')
        return class;
    file.buffer = malloc(BUFFER);
    file.fd = open(r->rescue, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct play_feed feed = {.take = take_file, .context = &file};
    class = !file.buffer || file.fd < 0 ? failure_system(error, errno, "open rescue file '%s'", r->rescue)
                                        : play(r, &feed, &replaced, error);
    if (file.fd >= 0)
        close(file.fd);
    free(file.buffer);
    return class;
}

static void say_rolled_back(const struct restoration *r, int32_t class, const struct cofre_error *why,
                            struct cofre_error *error)
{
    char cause[sizeof error->message];
    snprintf(cause, sizeof cause, "%s", error->message);
    if (class == COFRE_OK) {
        failure_set(error, COFRE_E_PERMANENT, "%.300s; %s", cause,
                    r->rescue[0] ? "what it held before is back" : "it is empty, as before");
        failure_hint(error, "see the server's log: no memory, a newer format, a module that is missing");
        return;
    }
    failure_set(error, COFRE_E_PERMANENT, "%.200s; and what it held before could not be put back: %.200s", cause,
                why->message);
    failure_hint(error, "%.60s holds it: stop the server, put the file in place of its RDB (AOF off), start it",
                 r->rescue);
}

/* ---- the one entry ---- */

static int32_t restore_stream(struct restoration *r, struct cofre_error *error)
{
    bool replaced = false;
    struct play_feed feed = {.take = take_snapshot, .context = r};
    int32_t class = rescue(r, error);
    if (class == COFRE_OK)
        class = play(r, &feed, &replaced, error);
    if (class == COFRE_OK)
        return cofre->done(r->call, COFRE_OK, NULL, error);
    if (!replaced && class == COFRE_E_INTEGRITY) {
        struct cofre_error why = *error; /* only about this entry; the server has what it had */
        return cofre->done(r->call, class, &why, error);
    }
    if (replaced && class != COFRE_E_CANCELLED) {
        struct cofre_error why = {.struct_size = sizeof why};
        say_rolled_back(r, roll_back(r, &why), &why, error);
    }
    return class;
}

/* With an append-only file the server writes all of it anew; only then does the data outlive a crash of the server. */
static int32_t await_durable(struct restoration *r, struct cofre_error *error)
{
    char *info;
    for (bool writing = true; writing;) {
        int32_t class = link_info(r->link, r->call, &info, error);
        if (class != COFRE_OK)
            return class;
        writing = info_is(info, "aof_enabled", "1") &&
                  (info_is(info, "aof_rewrite_in_progress", "1") || info_is(info, "aof_rewrite_scheduled", "1"));
        bool failed =
            !writing && info_is(info, "aof_enabled", "1") && !info_is(info, "aof_last_bgrewrite_status", "ok");
        free(info);
        if (failed)
            cofre->log(r->call, COFRE_LOG_WARNING,
                       "the data is there, but the server could not write its append-only file: see its log");
        cofre->progress(r->call, 0, 0);
        if (writing && (class = wait_for(r->call, -1, 0, PAUSE, r->link->name, error)) != COFRE_OK)
            return class;
    }
    return COFRE_OK;
}

static int32_t restore_entries(struct restoration *r, struct cofre_error *error)
{
    const struct cofre_entry *entry;
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t class;
    bool restored = false;
    while ((class = cofre->next(r->call, &entry, error)) == COFRE_OK) {
        if (strcmp(entry->path, RESTORE_STREAM) == 0 && entry->kind == COFRE_STREAM) {
            class = restore_stream(r, error);
            restored = true;
        } else {
            int32_t odd =
                failure_set(&why, COFRE_E_UNSUPPORTED, "only the stream '%s' can be restored", RESTORE_STREAM);
            class = cofre->done(r->call, odd, &why, error);
        }
        if (class != COFRE_OK)
            return class;
    }
    return class != COFRE_END ? class : restored ? await_durable(r, error) : COFRE_OK;
}

int32_t restore_run(const struct conf *conf, struct cofre_call *call, struct cofre_error *error)
{
    struct restoration *r = calloc(1, sizeof *r);
    if (!r)
        return failure_set(error, COFRE_E_MEMORY, "out of memory");
    r->conf = conf;
    r->call = call;
    int32_t class = link_open(call, conf, &r->link, error);
    if (class == COFRE_OK)
        class = server_look(r->link, call, &r->server, error);
    if (class == COFRE_OK)
        class = check_target(r, error);
    if (class == COFRE_OK)
        class = restore_entries(r, error);
    server_free(&r->server);
    link_close(r->link);
    free(r);
    return class;
}
