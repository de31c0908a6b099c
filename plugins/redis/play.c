#include "redis/play.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "redis/direct.h"
#include "redis/info.h"
#include "redis/link.h"
#include "redis/primary.h"
#include "redis/rdb.h"
#include "redis/server.h"
#include "redis/undo.h"
#include "redis/wait.h"

#define PAUSE 20 /* ms between two looks at the server */
#define BUSY 10  /* times patience without any progress */

/* ---- before the server has it all ---- */

static int32_t check_version(const struct play *play, const struct rdb_summary *summary, struct cofre_error *error)
{
    if (play->newest == 0 || summary->version <= play->newest)
        return COFRE_OK;
    cofre_fail(error, COFRE_E_UNSUPPORTED, "%s: it reads RDB version %d, and the snapshot has version %d",
               play->link->name, play->newest, summary->version);
    cofre_hint(error, "restore into a server that is at least as new as the one that was saved");
    return COFRE_E_UNSUPPORTED;
}

/* A server that meets a value of a module that it does not have ends itself. */
static int32_t check_modules(const struct play *play, const struct rdb_summary *summary, struct cofre_error *error)
{
    if (summary->module_values == 0 || play->server->modules != 0)
        return COFRE_OK;
    cofre_fail(error, COFRE_E_UNSUPPORTED, "%s: the snapshot holds values of modules, and the server has no module",
               play->link->name);
    cofre_hint(error, "load the modules first: cofre show names them as redis.module_names");
    return COFRE_E_UNSUPPORTED;
}

/* A server that meets a database it does not have ends itself, too. */
static int32_t check_databases(const struct play *play, const struct rdb_summary *summary, struct cofre_error *error)
{
    if (play->databases == 0 || summary->highest < play->databases)
        return COFRE_OK;
    cofre_fail(error, COFRE_E_UNSUPPORTED,
               "%s: the snapshot holds database %" PRIu64 ", which the server does not have", play->link->name,
               summary->highest);
    cofre_hint(error, "raise 'databases' in the server's configuration");
    return COFRE_E_UNSUPPORTED;
}

/* Before the server is given the bytes in question: it may load them as they come. */
static int32_t check_fit(const struct play *play, const struct rdb *rdb, struct cofre_error *error)
{
    struct rdb_summary summary;
    rdb_so_far(rdb, &summary);
    int32_t class = check_version(play, &summary, error);
    if (class == COFRE_OK)
        class = check_databases(play, &summary, error);
    return class == COFRE_OK ? check_modules(play, &summary, error) : class;
}

static int32_t pump(struct play *play, const struct play_feed *feed, struct rdb *rdb, struct rdb_summary *summary,
                    struct cofre_error *error)
{
    static const uint8_t zeros[65536];
    const void *bytes;
    uint64_t n;
    int32_t class;
    while ((class = feed->take(feed->context, &bytes, &n, error)) == COFRE_OK) {
        while (class == COFRE_OK && n > 0) {
            size_t piece = bytes || n < sizeof zeros ? (size_t)n : sizeof zeros;
            const void *p = bytes ? bytes : zeros;
            class = rdb_feed(rdb, p, piece, error);
            if (class == COFRE_OK)
                class = check_fit(play, rdb, error);
            if (class == COFRE_OK)
                class = primary_send(play->primary, p, piece, error);
            n -= piece;
        }
        if (class != COFRE_OK)
            return class;
    }
    return class == COFRE_END ? rdb_end(rdb, summary, error) : class;
}

/* ---- while it loads ---- */

static int32_t gave_up(const struct play *play, struct cofre_error *error)
{
    cofre_fail(error, COFRE_E_PERMANENT, "%s: the server could not load the RDB", play->link->name);
    cofre_hint(error, "see the server's log: no memory, no space for the RDB on its disk, a newer format");
    return COFRE_E_PERMANENT;
}

/* What there is of the transfer and of the loading; busy, it is at one of them. */
struct progress {
    bool busy;
    uint64_t loaded, left;
};

static bool has_moved(struct progress *p, const char *info)
{
    struct progress before = *p;
    *p = (struct progress){.busy = info_is(info, "loading", "1") || info_is(info, "master_sync_in_progress", "1"),
                           .loaded = info_number(info, "loading_loaded_bytes"),
                           .left = info_number(info, "master_sync_left_bytes")};
    return p->busy != before.busy || p->loaded != before.loaded || p->left != before.left;
}

/* *loaded: it has it all, from us. It cannot have had it from anybody else: our id is a random number. */
static int32_t look(struct play *play, struct progress *progress, bool *moved, bool *loaded, struct cofre_error *error)
{
    char *info;
    bool connected = primary_is_connected(play->primary);
    int32_t class = link_info(play->link, play->call, &info, error);
    if (class != COFRE_OK)
        return class;
    *moved = has_moved(progress, info);
    *loaded = !progress->busy && info_is(info, "master_link_status", "up") &&
              info_is(info, "master_replid", play->primary->id);
    if (!*loaded && !progress->busy && !connected)
        class = gave_up(play, error);
    free(info);
    return class;
}

/* What it had must be freed first, and during that nothing moves: hence the greater patience with one that is busy. */
static int32_t await_loaded(struct play *play, struct cofre_error *error)
{
    bool loaded = false, moved;
    int64_t patience = play->link->conf->patience;
    struct progress progress = {0};
    for (int64_t since = wait_clock(); !loaded;) {
        int32_t class = look(play, &progress, &moved, &loaded, error);
        if (class == COFRE_OK && !loaded)
            class = wait_for(play->call, -1, 0, PAUSE, play->link->name, error);
        if (class != COFRE_OK)
            return class;
        if (moved)
            since = wait_clock();
        if (wait_clock() - since > (progress.busy ? BUSY * patience : patience))
            return gave_up(play, error);
        cofre->progress(play->call, 0, 0);
    }
    return COFRE_OK;
}

/* ---- afterwards ---- */

static const struct rdb_count *find(const struct rdb_summary *summary, uint64_t number)
{
    for (size_t i = 0; i < summary->database_count; i++)
        if (summary->databases[i].number == number)
            return &summary->databases[i];
    return NULL;
}

/* A replica expires nothing by itself, so as long as the server is ours the counts must be exactly those of the RDB. */
static int32_t compare_keys(const struct play *play, const struct server *now, const struct rdb_summary *summary,
                            struct cofre_error *error)
{
    uint64_t expected = 0;
    struct info_database database;
    for (const char *at = now->info; info_database(&at, &database);) {
        const struct rdb_count *count = find(summary, database.number);
        if (!count || count->keys != database.keys || count->expires != database.expires)
            return cofre_fail(error, COFRE_E_INTEGRITY,
                              "%s: database %" PRIu64 " has %" PRIu64
                              " keys after the restore, and the snapshot %" PRIu64,
                              play->link->name, database.number, database.keys, count ? count->keys : 0);
    }
    for (size_t i = 0; i < summary->database_count; i++)
        expected += summary->databases[i].keys;
    if (server_keys(now) != expected)
        return cofre_fail(error, COFRE_E_INTEGRITY,
                          "%s: it has %" PRIu64 " keys after the restore, and the snapshot %" PRIu64, play->link->name,
                          server_keys(now), expected);
    return COFRE_OK;
}

static int32_t compare(const struct play *play, const struct rdb_summary *summary, struct cofre_error *error)
{
    struct server now;
    int32_t class = server_look(play->link, play->call, &now, error);
    if (class == COFRE_OK && summary->counted)
        class = compare_keys(play, &now, summary, error);
    if (class == COFRE_E_INTEGRITY && info_number(now.info, "maxmemory") > 0)
        cofre_hint(error, "with replica-ignore-maxmemory no it evicts keys while it loads: raise maxmemory");
    if (class == COFRE_OK && !summary->counted)
        cofre->log(play->call, COFRE_LOG_WARNING,
                   "the snapshot holds types of a newer server: its keys were not counted and not compared");
    if (class == COFRE_OK && summary->counted && now.libraries >= 0 && (uint64_t)now.libraries != summary->libraries)
        class = cofre_fail(error, COFRE_E_INTEGRITY,
                           "%s: it has %lld libraries of functions after the restore, and the snapshot %" PRIu64,
                           play->link->name, (long long)now.libraries, summary->libraries);
    server_free(&now);
    return class;
}

/* ---- all of it ---- */

/* An empty server may load what comes as it comes. */
static int32_t prepare(struct play *play, struct cofre_error *error)
{
    char direct[DIRECT_VALUE] = DIRECT_NONE;
    int32_t class = direct_databases(play->link, play->call, &play->databases, error);
    if (class == COFRE_OK && play->empty)
        class = direct_look(play->link, play->call, direct, error);
    if (class != COFRE_OK || strcmp(direct, DIRECT_NONE) == 0)
        return class;
    class = undo_note(play->primary, direct, play->call, error);
    return class == COFRE_OK ? direct_begin(play->link, play->call, error) : class;
}

int32_t play_run(struct play *play, const struct play_feed *feed, struct cofre_error *error)
{
    struct rdb_summary summary;
    struct rdb *rdb = rdb_new();
    play->replaced = false;
    int32_t class = rdb ? prepare(play, error) : cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    if (class == COFRE_OK)
        class = primary_accept(play->primary, false, error);
    if (class == COFRE_OK)
        class = pump(play, feed, rdb, &summary, error);
    if (class == COFRE_OK) {
        play->replaced = true;
        class = primary_finish(play->primary, error);
    }
    if (class == COFRE_OK)
        class = await_loaded(play, error);
    if (class == COFRE_OK)
        class = compare(play, &summary, error);
    rdb_free(rdb);
    return class;
}
