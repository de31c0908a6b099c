#include "redis/restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "redis/crc64.h"
#include "redis/fit.h"
#include "redis/hold.h"
#include "redis/info.h"
#include "redis/link.h"
#include "redis/play.h"
#include "redis/primary.h"
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
    struct primary primary;
    struct server server;     /* as it was */
    char rescue[RESCUE_PATH]; /* "" = there was nothing to rescue */
    int newest;
    int32_t left; /* the class of what is not as it should be, although the data is there: why */
    struct cofre_error why;
};

/* ---- before ---- */

static int32_t refuse(const struct restoration *r, const char *why, const char *hint, struct cofre_error *error)
{
    cofre_fail(error, COFRE_E_UNSUPPORTED, "%s: %s", r->link->name, why);
    cofre_hint(error, "%s", hint);
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
    return r->conf->over_maxmemory == OVER_MAXMEMORY_KEEP ? COFRE_OK : fit_foresee(r->link, r->call, &r->server, error);
}

/* From here on the server takes no writes: what it confirmed is in the rescue. */
static int32_t hold(struct restoration *r, struct cofre_error *error)
{
    int32_t class = hold_tell(&r->primary, false, r->link, r->call, error);
    if (class == COFRE_OK)
        class = hold_await(&r->primary, error);
    if (class != COFRE_OK)
        return class;
    server_free(&r->server);
    return server_look(r->link, r->call, &r->server, error);
}

static int32_t rescue(struct restoration *r, struct cofre_error *error)
{
    char line[RESCUE_PATH + 80];
    if (server_keys(&r->server) == 0 && r->server.libraries <= 0)
        return COFRE_OK;
    int32_t class = rescue_take(r->conf, &r->primary, &r->server, r->rescue, &r->newest, error);
    if (class != COFRE_OK)
        return class;
    snprintf(line, sizeof line, "what the server holds now is kept in '%s'; remove it when you need it no more",
             r->rescue);
    cofre->log(r->call, COFRE_LOG_NOTICE, line);
    return COFRE_OK;
}

/* After a failure before the server was given everything. It keeps what it has till then, unless it is set to load what
 * comes without that care: so look. *replaced: it has something else. A rescue that is not needed goes. */
static void look_back(struct restoration *r, bool *replaced)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    char line[RESCUE_PATH + 80];
    struct server now = {0};
    if (r->rescue[0] == '\0' || server_look(r->link, r->call, &now, &ignored) != COFRE_OK)
        return;
    *replaced = server_keys(&now) != server_keys(&r->server);
    server_free(&now);
    if (*replaced || unlink(r->rescue) < 0)
        return;
    snprintf(line, sizeof line, "the server still has what it held: '%s' is removed", r->rescue);
    cofre->log(r->call, COFRE_LOG_NOTICE, line);
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
    return n > 0 ? COFRE_OK : n == 0 ? COFRE_END : cofre_fail_errno(error, errno, "read rescue file '%s'", f->path);
}

static int32_t play(struct restoration *r, const struct play_feed *feed, bool *replaced, struct cofre_error *error)
{
    struct play play = {.primary = &r->primary,
                        .link = r->link,
                        .call = r->call,
                        .server = &r->server,
                        .newest = r->newest,
                        .empty = r->rescue[0] == '\0'};
    int32_t class = play_run(&play, feed, error);
    *replaced = play.replaced;
    return class;
}

/* The last look before the server is a primary and begins to evict. */
static int32_t check_room(struct restoration *r, struct cofre_error *error)
{
    int32_t class = fit_look(r->link, r->call, error);
    if (class != COFRE_E_UNSUPPORTED || r->conf->over_maxmemory != OVER_MAXMEMORY_KEEP)
        return class;
    r->left = class;
    r->why = *error;
    cofre_hint(&r->why, "raise maxmemory on the server");
    return COFRE_OK;
}

static int32_t play_snapshot(struct restoration *r, bool *replaced, struct cofre_error *error)
{
    struct play_feed feed = {.take = take_snapshot, .context = r};
    int32_t class = play(r, &feed, replaced, error);
    if (class == COFRE_OK)
        class = check_room(r, error);
    return class == COFRE_OK ? undo_promote(r->link, r->call, error) : class;
}

/* ---- what outlives a crash ---- */

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

/* ---- back ---- */

/* An RDB without a key. */
struct nothing {
    uint8_t bytes[18];
    bool taken;
};

static void make_nothing(struct nothing *nothing)
{
    struct crc64_table table;
    size_t n = sizeof nothing->bytes - 8;
    memcpy(nothing->bytes, "REDIS0006\xff", n);
    crc64_init(&table);
    uint64_t crc = crc64_add(&table, 0, nothing->bytes, n);
    for (; n < sizeof nothing->bytes; n++, crc >>= 8)
        nothing->bytes[n] = (uint8_t)crc;
    nothing->taken = false;
}

static int32_t take_nothing(void *context, const void **bytes, uint64_t *length, struct cofre_error *error)
{
    struct nothing *nothing = context;
    (void)error;
    if (nothing->taken)
        return COFRE_END;
    nothing->taken = true;
    *bytes = nothing->bytes;
    *length = sizeof nothing->bytes;
    return COFRE_OK;
}

static int32_t play_rescue(struct restoration *r, struct cofre_error *error)
{
    bool replaced;
    struct file file = {.path = r->rescue, .fd = open(r->rescue, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (file.fd < 0)
        return cofre_fail_errno(error, errno, "open rescue file '%s'", r->rescue);
    file.buffer = malloc(BUFFER);
    struct play_feed feed = {.take = take_file, .context = &file};
    int32_t class = file.buffer ? play(r, &feed, &replaced, error) : cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    close(file.fd);
    free(file.buffer);
    return class;
}

static int32_t play_nothing(struct restoration *r, struct cofre_error *error)
{
    bool replaced;
    struct nothing nothing;
    struct play_feed feed = {.take = take_nothing, .context = &nothing};
    make_nothing(&nothing);
    return play(r, &feed, &replaced, error);
}

/* What the server has is not what it should have, or it could not load it. What it had goes back, and nobody writes in
 * between. */
static int32_t roll_back(struct restoration *r, struct cofre_error *error)
{
    int32_t class = hold_tell(&r->primary, true, r->link, r->call, error);
    if (class == COFRE_OK)
        class = r->rescue[0] == '\0' ? play_nothing(r, error) : play_rescue(r, error);
    if (class == COFRE_OK)
        class = undo_promote(r->link, r->call, error);
    return class == COFRE_OK ? await_durable(r, error) : class;
}

static void say_rolled_back(const struct restoration *r, int32_t class, const struct cofre_error *why,
                            struct cofre_error *error)
{
    char cause[sizeof error->message];
    snprintf(cause, sizeof cause, "%s", error->message);
    if (class == COFRE_OK) {
        char hint[sizeof error->hint];
        snprintf(hint, sizeof hint, "%s", error->hint);
        cofre_fail(error, COFRE_E_PERMANENT, "%.300s; %s", cause,
                   r->rescue[0] ? "what it held before is back" : "it is empty, as before");
        cofre_hint(error, "%s",
                   hint[0] ? hint : "see the server's log: no memory, a newer format, a module that is missing");
        return;
    }
    cofre_fail(error, COFRE_E_PERMANENT, "%.200s; and what it held before could not be put back: %.200s", cause,
               why->message);
    if (r->rescue[0] == '\0')
        cofre_hint(error, "it held nothing before: look at what it holds now");
    else
        cofre_hint(error, "it is in %.170s: stop the server, put that in place of its RDB (AOF off), start it",
                   r->rescue);
}

/* ---- the one entry ---- */

static int32_t restore_stream(struct restoration *r, struct cofre_error *error)
{
    bool replaced = false;
    int32_t class = hold(r, error);
    if (class == COFRE_OK)
        class = rescue(r, error);
    if (class == COFRE_OK)
        class = play_snapshot(r, &replaced, error);
    if (class == COFRE_OK)
        return cofre->done(r->call, r->left, r->left == COFRE_OK ? NULL : &r->why, error);
    if (!replaced)
        look_back(r, &replaced);
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
            int32_t odd = cofre_fail(&why, COFRE_E_UNSUPPORTED, "only the stream '%s' can be restored", RESTORE_STREAM);
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
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    r->conf = conf;
    r->call = call;
    r->primary.listener = r->primary.peer = -1;
    int32_t class = link_open(call, conf, &r->link, error);
    if (class == COFRE_OK)
        class = server_look(r->link, call, &r->server, error);
    if (class == COFRE_OK)
        class = check_target(r, error);
    if (class == COFRE_OK)
        class = restore_entries(r, error);
    primary_close(&r->primary);
    server_free(&r->server);
    link_close(r->link);
    free(r);
    return class;
}
