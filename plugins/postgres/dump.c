#include "postgres/dump.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/failure.h"
#include "postgres/archive.h"
#include "postgres/cluster.h"
#include "postgres/count.h"
#include "postgres/namelist.h"
#include "postgres/program.h"
#include "postgres/pump.h"
#include "postgres/recorded.h"
#include "postgres/tool.h"

struct dump {
    struct cofre_call *call;
    const struct options *options;
    struct freeze_moment *moment;
    const char *prefix;
    char path[CLUSTER_PATH_MAX], what[FAILURE_QUOTE_MAX + 32];
    struct program program;
    struct archive *archive;
    PGresult *facts;
    /* counting */
    struct count count;
    bool counting;               /* the table of contents has passed */
    struct namelist partial;     /* tables of which extensions save a part only */
    struct archive_item **items; /* of count */
    int64_t *counted;
};

/* ---- counting beside the dump ---- */

static int32_t note_count(void *context, const struct archive_item *item, int64_t rows, struct cofre_error *error)
{
    struct dump *d = context;
    (void)item;
    (void)error;
    d->counted[d->count.next - 1] = rows;
    return COFRE_OK;
}

/* Tables of extensions are dumped without the rows that the extension itself brings. */
static int32_t find_partial(struct dump *d, struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    int32_t status = session_query(&d->moment->session, &found, "list the tables of extensions",
                                   "SELECT n.nspname, c.relname FROM pg_extension e, unnest(e.extconfig) t "
                                   "JOIN pg_class c ON c.oid = t JOIN pg_namespace n ON n.oid = c.relnamespace",
                                   0, NULL, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++) {
        char key[RECORDED_KEY_MAX];
        if (!namelist_add(&d->partial, recorded_rows_key("", PQgetvalue(found, i, 0), PQgetvalue(found, i, 1), key)))
            status = failure_system(error, ENOMEM, "list the tables of extensions");
    }
    return status;
}

static bool is_countable(const struct dump *d, const struct archive_item *item)
{
    char key[RECORDED_KEY_MAX];
    return item->is_table && item->schema && item->name &&
           !namelist_has(&d->partial, recorded_rows_key("", item->schema, item->name, key));
}

static int32_t begin_count(struct dump *d, struct cofre_error *error)
{
    size_t count;
    struct archive_item *items = archive_items(d->archive, &count);
    d->items = calloc(count + 1, sizeof(struct archive_item *));
    d->counted = calloc(count + 1, sizeof *d->counted);
    if (!d->items || !d->counted)
        return failure_system(error, ENOMEM, "count rows");
    d->count = (struct count){.session = &d->moment->session,
                              .items = d->items,
                              .estimate = d->options->row_counts == OPTIONS_ESTIMATE,
                              .found = note_count,
                              .context = d};
    for (size_t i = 0; i < count; i++)
        if (is_countable(d, &items[i]))
            d->items[d->count.total++] = &items[i];
    d->counting = true;
    return COFRE_OK;
}

static int32_t go_on_counting(void *context, struct cofre_error *error)
{
    struct dump *d = context;
    return d->counting ? count_step(&d->count, error) : COFRE_OK;
}

/* Which dump it was, in front of what is wrong with it. */
static int32_t unsound(const struct dump *d, int32_t class, struct cofre_error *error)
{
    struct cofre_error said = *error;
    failure_set(error, class, "%s: %.300s", d->what, said.message);
    failure_hint(error, "see the server's log; what pg_dump wrote is not kept, and the next run begins anew");
    return class;
}

static int32_t look(void *context, const void *bytes, size_t length, struct cofre_error *error)
{
    struct dump *d = context;
    int32_t status = archive_feed(d->archive, bytes, length, error);
    if (status != COFRE_OK)
        return unsound(d, status, error);
    if (!d->counting && archive_listed(d->archive) && d->options->row_counts != OPTIONS_NO_COUNTS)
        status = begin_count(d, error);
    return status;
}

/* Two who share nothing must agree: what the server counted, and what is in the dump. */
static int32_t compare(const struct dump *d, struct cofre_error *error)
{
    for (size_t i = 0; i < d->count.total && d->options->row_counts == OPTIONS_EXACT; i++) {
        const struct archive_item *item = d->items[i];
        if (item->rows >= 0 && item->rows != d->counted[i])
            return failure_set(error, COFRE_E_PERMANENT, "%s: it has %lld rows of '%s.%s', the server counted %lld",
                               d->what, (long long)item->rows, item->schema, item->name, (long long)d->counted[i]);
    }
    return COFRE_OK;
}

static int32_t say_counts(struct dump *d, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < d->count.total; i++) {
        char key[RECORDED_KEY_MAX], value[24];
        recorded_rows_key(d->prefix, d->items[i]->schema, d->items[i]->name, key);
        snprintf(value, sizeof value, "%s%lld", d->count.estimate ? "~" : "", (long long)d->counted[i]);
        status = cofre->fact(d->call, key, value, 0, error);
    }
    return status;
}

/* ---- pg_dump ---- */

static bool add_each(struct namelist *words, const char *option, const struct cofre_list *values)
{
    bool fine = true;
    for (size_t i = 0; i < values->count; i++)
        fine = fine && namelist_print(words, "%s=%s", option, values->items[i]);
    return fine;
}

static bool make_words(const struct dump *d, const char *program, const char *passfile, struct namelist *words)
{
    const struct options *o = d->options;
    char *connection = session_string(&d->moment->session, o, d->moment->database, passfile);
    bool fine = connection && namelist_print(words, "%s", program) && namelist_print(words, "--format=custom") &&
                namelist_print(words, "--compress=0") && namelist_print(words, "--no-password") &&
                namelist_print(words, "--snapshot=%s", d->moment->snapshot) &&
                namelist_print(words, "--dbname=%s", connection) && add_each(words, "--schema", &o->schemas) &&
                add_each(words, "--exclude-table", &o->exclude_tables) &&
                add_each(words, "--exclude-table-data", &o->exclude_table_data) &&
                (o->schemas.count == 0 || namelist_print(words, "--strict-names")) &&
                (o->lock_timeout == 0 || namelist_print(words, "--lock-wait-timeout=%lld", (long long)o->lock_timeout));
    free(connection);
    return fine;
}

static int32_t start(struct dump *d, struct cofre_error *error)
{
    struct tool tool;
    NAMELIST_AUTO words = {.count = 0};
    int kept[] = {-1, -1};
    char passfile[40];
    int32_t status =
        tool_find(&tool, "pg_dump", d->options->bin_dir, PQserverVersion(d->moment->session.connection) / 10000, error);
    if (status != COFRE_OK)
        return status;
    if (d->options->password.length > 0) {
        kept[0] = program_passfile(&d->options->password, error);
        if (kept[0] < 0)
            return COFRE_E_CONFIG;
        snprintf(passfile, sizeof passfile, "/proc/self/fd/%d", kept[0]);
    }
    if (!make_words(d, tool.path, kept[0] >= 0 ? passfile : NULL, &words))
        status = failure_system(error, ENOMEM, "%s", d->what);
    else
        status = program_start(&d->program, tool.path, words.list, kept, true, error);
    if (kept[0] >= 0)
        close(kept[0]);
    return status;
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
    for (size_t i = 0; status == COFRE_OK && i < d->program.line_count && i < PROGRAM_LINES; i++) {
        const char *line = d->program.lines[i];
        struct cofre_error why = {.struct_size = sizeof why};
        failure_set(&why, COFRE_E_PERMANENT, "the dump is there, with a remark: %s", line);
        if (is_harmless(line))
            cofre->log(d->call, COFRE_LOG_INFO, line);
        else
            status = cofre->missing(d->call, d->path, strlen(d->path), COFRE_E_PERMANENT, &why, error);
    }
    return status;
}

/* The end of stdout proves nothing: the status, what was said, the dump's own structure and the counts do. */
static int32_t judge(struct dump *d, int32_t *result, struct cofre_error *why, struct cofre_error *error)
{
    int code;
    int32_t status = program_wait(&d->program, d->call, false, &code, error);
    if (status != COFRE_OK)
        return status;
    if (code != 0)
        *result = program_fail(&d->program, code, d->what, why);
    else if ((*result = archive_finish(d->archive, why)) != COFRE_OK)
        unsound(d, *result, why);
    if (*result == COFRE_OK && d->counting)
        *result = count_finish(&d->count, why);
    if (*result == COFRE_OK)
        *result = compare(d, why);
    return cofre->cancelled(d->call, error);
}

/* What a program said of its end tells more than what we saw of it. */
static int32_t prefer_words(struct dump *d, int32_t result, struct cofre_error *why)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    int code = 0;
    if (d->program.pid == 0 || d->program.out < 0)
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

static int32_t run(struct dump *d, int32_t *result, struct cofre_error *why, struct cofre_error *error)
{
    struct pump pump = {.call = d->call, .program = &d->program, .look = look, .beside = go_on_counting, .context = d};
    d->archive = archive_new();
    *result =
        d->archive ? cluster_facts(&d->moment->session, &d->facts, why) : failure_system(why, ENOMEM, "%s", d->what);
    if (*result == COFRE_OK && d->options->row_counts != OPTIONS_NO_COUNTS)
        *result = find_partial(d, why);
    if (*result == COFRE_OK)
        *result = start(d, why);
    if (*result != COFRE_OK)
        return COFRE_OK;
    int32_t status = pump_run(&pump, result, why, error);
    if (status != COFRE_OK)
        return status;
    if (*result != COFRE_OK) {
        *result = prefer_words(d, *result, why);
        return cofre->cancelled(d->call, error);
    }
    return judge(d, result, why, error);
}

static void release(struct dump *d)
{
    program_stop(&d->program);
    archive_free(d->archive);
    PQclear(d->facts);
    namelist_free(&d->partial);
    free(d->items);
    free(d->counted);
    free(d);
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
        return failure_system(error, ENOMEM, "save database '%s'", moment->database);
    *d = (struct dump){.call = call, .options = options, .moment = moment, .prefix = prefix};
    cluster_path(moment->database, d->path);
    snprintf(d->what, sizeof d->what, "dump database '%s'",
             failure_quote(moment->database, strlen(moment->database), quoted));
    int32_t status = announce(d, error);
    *result = moment->result;
    if (status == COFRE_OK && *result == COFRE_OK)
        status = run(d, result, why, error);
    else if (status == COFRE_OK)
        *why = moment->why;
    if (status == COFRE_OK)
        status = cofre->end(call, *result, *result == COFRE_OK ? NULL : why, error);
    if (status == COFRE_OK && *result == COFRE_OK)
        status = say_lines(d, error);
    if (status == COFRE_OK && *result == COFRE_OK)
        status = cluster_say(call, d->facts, prefix, error);
    if (status == COFRE_OK && *result == COFRE_OK)
        status = say_counts(d, error);
    release(d);
    return status;
}
