#include "postgres/backup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "postgres/before.h"
#include "postgres/cluster.h"
#include "postgres/connections.h"
#include "postgres/dump.h"
#include "postgres/globals.h"
#include "postgres/recorded.h"

struct backup {
    struct cofre_call *call;
    const struct options *options;
    struct freeze *frozen;
    struct session session; /* of the server as a whole */
    const struct namelist *databases;
    size_t whole, failed;   /* databases */
    struct cofre_error why; /* of the last that failed */
    int32_t class;
};

/* What is to be saved, in the order of the paths. */
struct piece {
    char path[CLUSTER_PATH_MAX];
    const char *database; /* NULL: globals */
};

static int compare(const void *one, const void *other)
{
    const struct piece *a = one, *b = other;
    return strcmp(a->path, b->path);
}

static struct piece *list_pieces(const struct options *options, const struct namelist *databases, size_t *count)
{
    static const char *const globals[] = {GLOBALS_JSON, GLOBALS_SQL};
    struct piece *pieces = calloc(databases->count + 2, sizeof *pieces);
    *count = 0;
    for (size_t i = 0; pieces && i < databases->count; i++) {
        pieces[*count].database = databases->list[i];
        cluster_path(databases->list[i], pieces[(*count)++].path);
    }
    for (size_t i = 0; pieces && options->globals && i < 2; i++)
        strcpy(pieces[(*count)++].path, globals[i]);
    if (pieces)
        qsort(pieces, *count, sizeof *pieces, compare);
    return pieces;
}

/* Those that have no moment, from this one on. */
static int32_t freeze_next(struct backup *b, const char *database, struct cofre_error *error)
{
    NAMELIST_AUTO next = {.count = 0};
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    size_t share;
    bool begun = false;
    int32_t status = COFRE_OK;
    /* Should our session be gone, one at a time is always right, and its own connection says what is wrong. */
    connections_share(&b->session, &share, &ignored);
    for (size_t i = 0; status == COFRE_OK && i < b->databases->count && next.count < share; i++) {
        const char *name = b->databases->list[i];
        begun = begun || strcmp(name, database) == 0;
        if (begun && !freeze_find(b->frozen, name) && !namelist_add(&next, name))
            status = cofre_fail_errno(error, ENOMEM, "take snapshots");
    }
    return status == COFRE_OK
               ? freeze_more(b->frozen, b->call, b->options, next.list, next.count, cofre->id(b->call), error)
               : status;
}

/* One that could not be had because of connections, or a server that was away, is tried once more. */
static int32_t find_moment(struct backup *b, const char *database, struct freeze_moment **moment,
                           struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    *moment = freeze_find(b->frozen, database);
    if (!*moment)
        status = freeze_next(b, database, error);
    else if ((*moment)->result == COFRE_E_RETRY) {
        freeze_close(*moment);
        freeze_open(*moment, b->call, b->options, database, cofre->id(b->call));
    }
    *moment = freeze_find(b->frozen, database);
    return status == COFRE_OK ? cofre->cancelled(b->call, error) : status;
}

static int32_t save_database(struct backup *b, const char *database, int32_t *result, struct cofre_error *why,
                             struct cofre_error *error)
{
    char prefix[RECORDED_PREFIX_MAX] = "";
    struct freeze_moment *moment;
    if (b->options->databases.count > 0)
        recorded_prefix(database, prefix);
    int32_t status = find_moment(b, database, &moment, error);
    if (status != COFRE_OK)
        return status;
    status = dump_database(moment, b->call, b->options, prefix, result, why, error);
    /* It holds nothing up any longer than it must. */
    session_close(&moment->session);
    return status;
}

static int32_t save_piece(struct backup *b, const struct piece *piece, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t result = COFRE_OK, status;
    if (piece->database)
        status = save_database(b, piece->database, &result, &why, error);
    else if (strcmp(piece->path, GLOBALS_JSON) == 0)
        status = globals_save_json(&b->session, &result, &why, error);
    else
        status = globals_save_sql(&b->session, b->options, &result, &why, error);
    if (status != COFRE_OK)
        return status;
    b->whole += piece->database && result == COFRE_OK;
    b->failed += result != COFRE_OK;
    if (result != COFRE_OK && (piece->database || b->class == COFRE_OK)) {
        b->class = result;
        b->why = why;
    }
    return COFRE_OK;
}

static int32_t name_closed(struct backup *b, struct cofre_error *error)
{
    NAMELIST_AUTO closed = {.count = 0};
    int32_t status = cluster_closed(&b->session, b->options, &closed, error);
    for (size_t i = 0; status == COFRE_OK && i < closed.count; i++) {
        char path[CLUSTER_PATH_MAX];
        cluster_path(closed.list[i], path);
        status = cofre->left_out(b->call, path, strlen(path),
                                 "the database takes no connections (ALLOW_CONNECTIONS is false)", error);
    }
    return status;
}

static int32_t save_all(struct backup *b, struct cofre_error *error)
{
    size_t count;
    struct piece *pieces = list_pieces(b->options, b->databases, &count);
    int32_t status =
        pieces ? cluster_server_facts(&b->session, b->options, error) : cofre_fail_errno(error, ENOMEM, "save");
    if (status == COFRE_OK)
        status = name_closed(b, error);
    for (size_t i = 0; status == COFRE_OK && i < count; i++)
        status = save_piece(b, &pieces[i], error);
    free(pieces);
    if (status != COFRE_OK || b->whole > 0)
        return status;
    /* Nothing of it is worth a snapshot. */
    *error = b->why;
    return b->class;
}

static bool takes_all(const struct options *options)
{
    for (size_t i = 0; i < options->databases.count; i++)
        if (strcmp(options->databases.items[i], "*") == 0)
            return true;
    return false;
}

int32_t backup_run(struct cofre_call *call, const struct options *options, struct freeze *frozen,
                   struct cofre_error *error)
{
    NAMELIST_AUTO databases = {.count = 0};
    struct backup b = {.call = call, .options = options, .frozen = frozen, .databases = &databases};
    int32_t status = options->databases.count > 0 ? cluster_connect(&b.session, call, options, NULL, error)
                                                  : session_open(&b.session, call, options, NULL, NULL, error);
    if (status == COFRE_OK)
        status = cluster_databases(&b.session, options, &databases, error);
    if (status == COFRE_OK)
        status = takes_all(options) ? before_say(&b.session, error) : COFRE_OK;
    if (status == COFRE_OK)
        status = save_all(&b, error);
    if (status == COFRE_OK && b.failed == 0)
        before_drop(&b.session, &databases, options->drop_before);
    if (status == COFRE_OK)
        status = before_name_all(&b.session, &databases, error);
    session_close(&b.session);
    return status;
}
