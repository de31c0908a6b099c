#include "postgres/dump.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/failure.h"
#include "postgres/altered.h"
#include "postgres/archive.h"
#include "postgres/cluster.h"
#include "postgres/collation.h"
#include "postgres/launch.h"
#include "postgres/namelist.h"
#include "postgres/program.h"
#include "postgres/pump.h"
#include "postgres/recorded.h"
#include "postgres/tally.h"

#define MOMENTS 5 /* snapshots that are taken of a database before it is given up */

struct dump {
    struct cofre_call *call;
    const struct options *options;
    struct freeze_moment *moment;
    const char *prefix;
    char path[CLUSTER_PATH_MAX], what[FAILURE_QUOTE_MAX + 32];
    struct program program;
    struct archive *archive;
    PGresult *facts, *unlogged;
    bool other_collation; /* of which pg_dump's first lines speak */
    struct tally tally;
    bool listed; /* the table of contents has passed, and with it pg_dump has locked all its tables */
    bool stale;  /* the snapshot no longer shows the database as it was at its moment */
    bool anew;   /* it is not the first one */
    uint64_t bytes, most;
};

/* ---- the dump as it passes ---- */

/* Which dump it was, in front of what is wrong with it. */
static int32_t unsound(const struct dump *d, int32_t class, struct cofre_error *error)
{
    struct cofre_error said = *error;
    cofre_fail(error, class, "%s: %.300s", d->what, said.message);
    cofre_hint(error, "see the server's log; what pg_dump wrote is not kept, and the next run begins anew");
    return class;
}

static int32_t lost_tables(struct dump *d, const struct namelist *tables, struct cofre_error *error)
{
    char more[40] = "";
    d->stale = true;
    if (tables->count > 1)
        snprintf(more, sizeof more, " and %zu more", tables->count - 1);
    int32_t class = cofre_fail(error, COFRE_E_RETRY,
                               "%s: '%.200s'%s was emptied, rewritten or altered after the snapshot was taken", d->what,
                               tables->list[0] + strlen("rows."), more);
    cofre_hint(error, "TRUNCATE and ALTER TABLE take a table away from older snapshots: another hour, or "
                      "exclude_table_data for what is emptied all the time");
    return class;
}

/* A fresh snapshot is as near to what pg_dump asks the server for as one of its own. */
static int32_t check_definitions(struct dump *d, struct cofre_error *error)
{
    if (d->anew)
        return COFRE_OK;
    int32_t status = altered_definitions(&d->moment->session, &d->stale, error);
    return status == COFRE_OK && d->stale
               ? cofre_fail(error, COFRE_E_RETRY, "%s: definitions were altered after the snapshot was taken", d->what)
               : status;
}

/* From here on nobody can alter the tables that are being dumped. */
static int32_t begin_rows(struct dump *d, struct cofre_error *error)
{
    NAMELIST_AUTO tables = {.count = 0};
    d->listed = true;
    int32_t status = altered_tables(&d->moment->session, d->archive, &tables, error);
    if (status == COFRE_OK && tables.count > 0)
        return lost_tables(d, &tables, error);
    if (status == COFRE_OK)
        status = check_definitions(d, error);
    return status == COFRE_OK && d->options->row_counts != OPTIONS_NO_COUNTS ? tally_begin(&d->tally, d->archive, error)
                                                                             : status;
}

static int32_t too_much(const struct dump *d, struct cofre_error *error)
{
    cofre_fail(error, COFRE_E_PERMANENT, "%s: it has more than %llu bytes, which is more than the server can have",
               d->what, (unsigned long long)d->most);
    cofre_hint(error, "is that the right server? max_size is how large the dump may be");
    return COFRE_E_PERMANENT;
}

static int32_t look(void *context, const void *bytes, size_t length, struct cofre_error *error)
{
    struct dump *d = context;
    d->bytes += length;
    if (d->bytes > d->most)
        return too_much(d, error);
    int32_t status = archive_feed(d->archive, bytes, length, error);
    if (status != COFRE_OK)
        return unsound(d, status, error);
    return !d->listed && archive_listed(d->archive) ? begin_rows(d, error) : COFRE_OK;
}

static int32_t go_on_counting(void *context, struct cofre_error *error)
{
    struct dump *d = context;
    return tally_step(&d->tally, error);
}

/* ---- pg_dump ---- */

static bool add_each(struct namelist *words, const char *option, const struct cofre_list *values)
{
    bool fine = true;
    for (size_t i = 0; i < values->count; i++)
        fine = fine && namelist_print(words, "%s=%s", option, values->items[i]);
    return fine;
}

static bool add_words(const struct dump *d, struct namelist *words)
{
    const struct options *o = d->options;
    return namelist_print(words, "--format=custom") && namelist_print(words, "--compress=0") &&
           namelist_print(words, "--snapshot=%s", d->moment->snapshot) &&
           namelist_print(words, "--encoding=%s",
                          PQparameterStatus(d->moment->session.connection, "server_encoding")) &&
           add_each(words, "--schema", &o->schemas) && add_each(words, "--exclude-table", &o->exclude_tables) &&
           add_each(words, "--exclude-table-data", &o->exclude_table_data) &&
           (o->schemas.count == 0 || namelist_print(words, "--strict-names")) &&
           (o->lock_timeout == 0 || namelist_print(words, "--lock-wait-timeout=%lld", (long long)o->lock_timeout));
}

static int32_t start(struct dump *d, struct cofre_error *error)
{
    LAUNCH_AUTO launch = LAUNCH_NONE;
    int32_t status = launch_prepare(&launch, &d->moment->session, d->options, "pg_dump", d->moment->database, error);
    if (status == COFRE_OK && !add_words(d, &launch.words))
        status = cofre_fail_errno(error, ENOMEM, "%s", d->what);
    return status == COFRE_OK ? launch_start(&launch, &d->program, NULL, true, error) : status;
}

/* Lines that come with a sound dump. Foreign keys in a circle are a matter of dumps of data alone. */
static bool is_harmless(const char *line)
{
    static const char *const known[] = {"pg_dump: warning: there are circular foreign-key constraints",
                                        "pg_dump: detail: ", "pg_dump: hint: "};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strncmp(line, known[i], strlen(known[i])) == 0)
            return true;
    return false;
}

/* What it said although it called the dump a success: that makes the snapshot incomplete, whoever is right. */
static int32_t say_lines(const struct dump *d, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    size_t first = d->other_collation ? collation_lines(&d->program) : 0;
    for (size_t i = first; status == COFRE_OK && i < d->program.line_count && i < PROGRAM_LINES; i++) {
        const char *line = d->program.lines[i];
        struct cofre_error why = {.struct_size = sizeof why};
        cofre_fail(&why, COFRE_E_PERMANENT, "the dump is there, with a remark: %s", line);
        if (is_harmless(line))
            cofre->log(d->call, COFRE_LOG_INFO, line);
        else
            status = cofre->missing(d->call, d->path, strlen(d->path), COFRE_E_PERMANENT, &why, error);
    }
    return status;
}

/* A table, a column, a function that is gone is an error of the catalogue that pg_dump reads through the snapshot. */
static void look_for_reason(struct dump *d, int32_t class)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    if (class == COFRE_E_PERMANENT || class == COFRE_E_NOT_FOUND)
        altered_definitions(&d->moment->session, &d->stale, &ignored);
}

/* The end of stdout proves nothing: the status, what was said, the dump's own structure and the counts do. */
static int32_t judge(struct dump *d, int32_t *result, struct cofre_error *why, struct cofre_error *error)
{
    int code;
    int32_t status = program_wait(&d->program, d->call, false, &code, error);
    if (status != COFRE_OK)
        return status;
    if (code != 0) {
        *result = program_fail(&d->program, code, d->what, why);
        look_for_reason(d, *result);
    } else if ((*result = archive_finish(d->archive, why)) != COFRE_OK)
        unsound(d, *result, why);
    if (*result == COFRE_OK)
        *result = tally_finish(&d->tally, d->what, why);
    return cofre->cancelled(d->call, error);
}

/* What a program said of its end tells more than what we saw of it. */
static int32_t prefer_words(struct dump *d, int32_t result, struct cofre_error *why)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    int code = 0;
    if (!program_runs(&d->program) || d->program.out < 0)
        return result;
    close(d->program.out);
    d->program.out = -1;
    for (int i = 0; i < 20 && d->program.err >= 0 && d->program.line_count == 0; i++) {
        program_listen(&d->program);
        poll(NULL, 0, 10);
    }
    if (d->program.line_count > 0 && program_wait(&d->program, d->call, false, &code, &ignored) == COFRE_OK && code)
        return program_fail(&d->program, code, d->what, why);
    return result;
}

static int32_t look_at_collation(struct dump *d, struct cofre_error *why)
{
    char text[COLLATION_TEXT];
    int32_t result = collation_differs(&d->moment->session, text, &d->other_collation, why);
    if (d->other_collation && !d->anew)
        cofre->log(d->call, COFRE_LOG_WARNING, text);
    return result;
}

static int32_t list_unlogged(struct dump *d, struct cofre_error *why)
{
    return session_query(&d->moment->session, &d->unlogged, "list the unlogged tables",
                         "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                         "WHERE relpersistence = 'u' AND relkind = 'r' AND pg_is_in_recovery() ORDER BY 1, 2",
                         0, NULL, why);
}

/* What is compressed in a table comes out plain; more than this is nothing that a server can mean. */
static uint64_t most_of(const struct dump *d)
{
    int column = PQfnumber(d->facts, "size");
    const char *text = column >= 0 && PQntuples(d->facts) == 1 ? PQgetvalue(d->facts, 0, column) : "";
    uint64_t size = strtoull(text, NULL, 10);
    if (d->options->max_size > 0)
        return (uint64_t)d->options->max_size;
    return size < UINT64_MAX / 2000 ? 1000 * size + (UINT64_C(1) << 30) : UINT64_MAX;
}

static int32_t prepare(struct dump *d, struct cofre_error *why)
{
    struct session *s = &d->moment->session;
    d->archive = archive_new();
    int32_t result = d->archive ? cluster_facts(s, &d->facts, why) : cofre_fail_errno(why, ENOMEM, "%s", d->what);
    if (result == COFRE_OK) {
        d->bytes = 0;
        d->most = most_of(d);
        result = look_at_collation(d, why);
    }
    if (result == COFRE_OK)
        result = session_speak_raw(s, why);
    if (result == COFRE_OK)
        result = list_unlogged(d, why);
    if (result == COFRE_OK && d->options->row_counts != OPTIONS_NO_COUNTS)
        result = tally_prepare(&d->tally, s, d->options, why);
    return result == COFRE_OK ? start(d, why) : result;
}

static int32_t run(struct dump *d, int32_t *result, struct cofre_error *why, struct cofre_error *error)
{
    struct pump pump = {.call = d->call, .program = &d->program, .look = look, .beside = go_on_counting, .context = d};
    *result = prepare(d, why);
    if (*result != COFRE_OK)
        return COFRE_OK;
    int32_t status = pump_run(&pump, result, why, error);
    if (status != COFRE_OK)
        return status;
    if (*result == COFRE_OK)
        return judge(d, result, why, error);
    if (!d->stale)
        *result = prefer_words(d, *result, why);
    return cofre->cancelled(d->call, error);
}

/* As before run. */
static void forget(struct dump *d)
{
    program_stop(&d->program);
    archive_free(d->archive);
    PQclear(d->facts);
    PQclear(d->unlogged);
    tally_free(&d->tally);
    d->archive = NULL;
    d->facts = d->unlogged = NULL;
    d->listed = d->stale = false;
}

/* A moment that is later than that of other databases and sources, and of which everything is seen. */
static int32_t begin_anew(struct dump *d, int32_t *result, struct cofre_error *why, struct cofre_error *error)
{
    char text[700];
    snprintf(text, sizeof text, "%s: a new snapshot is taken, of a later moment than the other ones", why->message);
    cofre->log(d->call, COFRE_LOG_WARNING, text);
    forget(d);
    freeze_renew(d->moment);
    d->anew = true;
    *result = d->moment->result;
    if (*result != COFRE_OK)
        *why = d->moment->why;
    return cofre->restart(d->call, error);
}

static int32_t save(struct dump *d, int32_t *result, struct cofre_error *why, struct cofre_error *error)
{
    int32_t status = run(d, result, why, error);
    for (int moment = 1; status == COFRE_OK && d->stale && moment < MOMENTS; moment++) {
        status = begin_anew(d, result, why, error);
        if (status == COFRE_OK && *result == COFRE_OK)
            status = run(d, result, why, error);
    }
    return status;
}

/* On a standby pg_dump leaves out the rows of unlogged tables without a word: they are empty there. */
static int32_t name_unlogged(const struct dump *d, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    for (int i = 0; status == COFRE_OK && i < PQntuples(d->unlogged); i++) {
        char key[RECORDED_KEY_MAX], name[CLUSTER_PATH_MAX + RECORDED_KEY_MAX + 2];
        const char *schema = PQgetvalue(d->unlogged, i, 0), *table = PQgetvalue(d->unlogged, i, 1);
        snprintf(name, sizeof name, "%s.%s", schema, table);
        if (!namelist_has(archive_tables(d->archive), name))
            continue;
        int n =
            snprintf(name, sizeof name, "%s/%s", d->path, recorded_rows_key("", schema, table, key) + strlen("rows."));
        status = cofre->left_out(d->call, name, (size_t)n, "the rows of an unlogged table cannot be read on a standby",
                                 error);
    }
    return status;
}

static int32_t announce(const struct dump *d, struct cofre_error *error)
{
    struct cofre_entry entry = {.struct_size = sizeof entry,
                                .kind = COFRE_STREAM,
                                .path = d->path,
                                .path_length = (uint32_t)strlen(d->path),
                                .size = -1,
                                .mtime = COFRE_NO_TIME,
                                .mode = 0600};
    return cofre->entry(d->call, &entry, error);
}

int32_t dump_database(struct freeze_moment *moment, struct cofre_call *call, const struct options *options,
                      const char *prefix, int32_t *result, struct cofre_error *why, struct cofre_error *error)
{
    char quoted[FAILURE_QUOTE_MAX];
    struct dump *d = calloc(1, sizeof *d);
    if (!d)
        return cofre_fail_errno(error, ENOMEM, "save database '%s'", moment->database);
    *d = (struct dump){.call = call, .options = options, .moment = moment, .prefix = prefix};
    cluster_path(moment->database, d->path);
    snprintf(d->what, sizeof d->what, "dump database '%s'",
             failure_quote(moment->database, strlen(moment->database), quoted));
    int32_t status = announce(d, error);
    *result = moment->result;
    if (status == COFRE_OK && *result == COFRE_OK)
        status = save(d, result, why, error);
    else if (status == COFRE_OK)
        *why = moment->why;
    if (status == COFRE_OK)
        status = cofre->end(call, *result, *result == COFRE_OK ? NULL : why, error);
    if (status == COFRE_OK && *result == COFRE_OK)
        status = say_lines(d, error);
    if (status == COFRE_OK && *result == COFRE_OK)
        status = name_unlogged(d, error);
    if (status == COFRE_OK && *result == COFRE_OK)
        status = cluster_say(call, d->facts, prefix, error);
    if (status == COFRE_OK && *result == COFRE_OK)
        status = tally_say(&d->tally, d->path, prefix, error);
    forget(d);
    free(d);
    return status;
}
