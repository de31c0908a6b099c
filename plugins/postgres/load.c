#include "postgres/load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/failure.h"
#include "postgres/complaint.h"
#include "postgres/count.h"
#include "postgres/failing.h"
#include "postgres/launch.h"
#include "postgres/namelist.h"
#include "postgres/program.h"

#define LOSSES_LOGGED 100

struct load {
    struct target *target;
    struct load_loss *loss;
    const struct stage *stage;
    struct session session; /* in the database that is filled */
    struct launch launch;
    bool without_tablespaces;
};

static void note_loss(const struct target *t, struct load_loss *loss, bool data, const char *what, const char *why)
{
    char text[900];
    if (loss->objects++ == 0)
        snprintf(loss->example, sizeof loss->example, "%.159s", what);
    loss->data = loss->data || data;
    snprintf(text, sizeof text, "database '%s': not restored: %s%s%s", t->name, what, *why ? ": " : "", why);
    if (loss->objects <= LOSSES_LOGGED)
        cofre->log(t->admin->call, COFRE_LOG_WARNING, text);
    else if (loss->objects == LOSSES_LOGGED + 1)
        cofre->log(t->admin->call, COFRE_LOG_WARNING, "further objects that could not be restored are only counted");
}

/* ---- which part ---- */

/* "SCHEMA.TABLE", or "TABLE" of any schema. */
static bool names_table(const char *wanted, const struct archive_item *item)
{
    size_t n = strlen(item->schema);
    bool qualified = strncmp(wanted, item->schema, n) == 0 && wanted[n] == '.';
    return strcmp(qualified ? wanted + n + 1 : wanted, item->name) == 0;
}

static bool in_list(const struct cofre_list *list, const char *name)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], name) == 0)
            return true;
    return false;
}

static bool is_wanted(const struct options *o, const struct archive_item *item)
{
    bool table = o->tables.count == 0;
    if (!item->is_table || !item->schema || !item->name || o->section == OPTIONS_SCHEMA)
        return false;
    for (size_t i = 0; i < o->tables.count && !table; i++)
        table = names_table(o->tables.items[i], item);
    return table && (o->only_schemas.count == 0 || in_list(&o->only_schemas, item->schema));
}

/* pg_restore takes a table's schema as an option of its own: of all tables that are named. */
static int32_t add_tables(const struct load *l, struct namelist *words, struct cofre_error *error)
{
    const struct options *o = l->target->options;
    char schema[SESSION_NAME_MAX + 1] = "";
    for (size_t i = 0; i < o->tables.count; i++) {
        const char *wanted = o->tables.items[i], *dot = strchr(wanted, '.'), *name = dot ? dot + 1 : wanted;
        char own[SESSION_NAME_MAX + 1];
        snprintf(own, sizeof own, "%.*s", dot ? (int)(dot - wanted) : 0, wanted);
        if (i > 0 && strcmp(own, schema) != 0)
            return cofre_fail(error, COFRE_E_CONFIG,
                              "option 'tables': '%s' is not in the same schema as the others: "
                              "restore the tables of one schema at a time",
                              wanted);
        memcpy(schema, own, sizeof schema);
        if (!namelist_print(words, "--table=%s", name))
            return cofre_fail_errno(error, ENOMEM, "restore");
    }
    return *schema == '\0' || namelist_print(words, "--schema=%s", schema) ? COFRE_OK
                                                                           : cofre_fail_errno(error, ENOMEM, "restore");
}

/* pg_restore does not make the schema that it is told to restore. */
static int32_t make_schemas(struct load *l, struct cofre_error *error)
{
    const struct options *o = l->target->options;
    const struct namelist *saved = archive_schemas(l->stage->archive);
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < saved->count; i++) {
        char quoted[SESSION_QUOTED_MAX], sql[SESSION_QUOTED_MAX + 40];
        const char *name = saved->list[i];
        bool wanted = in_list(&o->only_schemas, name);
        for (size_t k = 0; k < o->tables.count && !wanted; k++)
            wanted = strncmp(o->tables.items[k], name, strlen(name)) == 0 && o->tables.items[k][strlen(name)] == '.';
        snprintf(sql, sizeof sql, "CREATE SCHEMA IF NOT EXISTS %s", session_identifier(name, quoted));
        if (wanted)
            status = session_run(&l->session, "make a schema", sql, error);
    }
    return status;
}

/* Is everything there that the options name? */
static int32_t check_names(const struct load *l, struct cofre_error *error)
{
    const struct options *o = l->target->options;
    size_t count;
    const struct archive_item *items = archive_items(l->stage->archive, &count);
    for (size_t i = 0; i < o->only_schemas.count; i++)
        if (!namelist_has(archive_schemas(l->stage->archive), o->only_schemas.items[i]))
            return cofre_fail(error, COFRE_E_NOT_FOUND, "the dump has nothing in schema '%s'",
                              o->only_schemas.items[i]);
    for (size_t i = 0; i < o->tables.count; i++) {
        bool found = false;
        for (size_t k = 0; k < count && !found; k++)
            found = items[k].is_table && items[k].schema && items[k].name && names_table(o->tables.items[i], &items[k]);
        if (!found)
            return cofre_fail(error, COFRE_E_NOT_FOUND, "the dump has no table '%s'", o->tables.items[i]);
    }
    return COFRE_OK;
}

/* ---- before ---- */

/* 'SCHEMA.TABLE' for a message, in whatever encoding the dump is. */
#define SHOWN_MAX (2 * FAILURE_QUOTE_MAX)
static const char *show(const struct archive_item *item, char out[SHOWN_MAX])
{
    char schema[FAILURE_QUOTE_MAX], name[FAILURE_QUOTE_MAX];
    snprintf(out, SHOWN_MAX, "%s.%s", failure_quote(item->schema, strlen(item->schema), schema),
             failure_quote(item->name, strlen(item->name), name));
    return out;
}

/* Data go into tables that are there, and empty: what is in them would be mixed up with what comes. */
static int32_t check_empty(struct load *l, struct cofre_error *error)
{
    size_t count;
    const struct archive_item *items = archive_items(l->stage->archive, &count);
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < count; i++) {
        SESSION_RESULT found = NULL;
        char schema[SESSION_QUOTED_MAX], name[SESSION_QUOTED_MAX], sql[2 * SESSION_QUOTED_MAX + 60];
        char shown[SHOWN_MAX], what[SHOWN_MAX + 20];
        if (!is_wanted(l->target->options, &items[i]))
            continue;
        snprintf(sql, sizeof sql, "SELECT EXISTS (SELECT FROM ONLY %s.%s)", session_identifier(items[i].schema, schema),
                 session_identifier(items[i].name, name));
        snprintf(what, sizeof what, "look at table '%s'", show(&items[i], shown));
        status = session_query(&l->session, &found, what, sql, 0, NULL, error);
        if (status == COFRE_OK && *PQgetvalue(found, 0, 0) == 't')
            status =
                cofre_fail(error, COFRE_E_EXISTS, "table '%s' of database '%s' is not empty", shown, l->target->work);
    }
    return status;
}

static int32_t look_for_tablespaces(struct load *l, struct cofre_error *error)
{
    const struct namelist *wanted = archive_tablespaces(l->stage->archive);
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < wanted->count; i++) {
        SESSION_RESULT found = NULL;
        const char *const parameters[] = {wanted->list[i]};
        char text[200];
        status = session_query(&l->session, &found, "look for a tablespace",
                               "SELECT 1 FROM pg_tablespace WHERE spcname = $1", 1, parameters, error);
        if (status != COFRE_OK || PQntuples(found) > 0)
            continue;
        l->without_tablespaces = true;
        snprintf(text, sizeof text, "there is no tablespace '%s' here: everything goes into the default one",
                 wanted->list[i]);
        cofre->log(l->session.call, COFRE_LOG_WARNING, text);
    }
    return status;
}

/* Names in the dump are in the encoding that the database had; so must ours be. Not known: as the database has them. */
static int32_t speak_as_dump(struct session *session, const struct target *target, struct cofre_error *error)
{
    SESSION_RESULT set = NULL;
    char key[RECORDED_KEY_MAX];
    snprintf(key, sizeof key, "%sencoding", target->prefix);
    const char *const parameters[] = {recorded_find(target->recorded, key)};
    if (!parameters[0])
        return session_speak_raw(session, error);
    return session_query(session, &set, "speak as the dump does", "SELECT set_config('client_encoding', $1, false)", 1,
                         parameters, error);
}

static int32_t prepare(struct load *l, struct cofre_error *error)
{
    const struct options *o = l->target->options;
    int32_t status = check_names(l, error);
    if (status == COFRE_OK)
        status = session_open(&l->session, l->target->admin->call, o, l->target->work, NULL, error);
    if (status == COFRE_OK)
        status = speak_as_dump(&l->session, l->target, error);
    if (status == COFRE_OK)
        status = launch_prepare(&l->launch, &l->session, o, "pg_restore", l->target->work, error);
    if (status == COFRE_OK && o->section == OPTIONS_DATA)
        status = check_empty(l, error);
    else if (status == COFRE_OK)
        status = make_schemas(l, error);
    return status == COFRE_OK ? look_for_tablespaces(l, error) : status;
}

/* ---- pg_restore ---- */

static bool is_superuser(const struct load *l)
{
    const char *value = PQparameterStatus(l->session.connection, "is_superuser");
    return value && strcmp(value, "on") == 0;
}

/* Data alone into a database that is there: all of it or nothing. Else in parallel: the database is new. One that reads
 * from a pipe cannot read at several places at once. */
static bool add_manner(const struct load *l, struct namelist *words)
{
    const struct options *o = l->target->options;
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    long long jobs = o->jobs > 0 ? o->jobs : processors > 4 ? 4 : processors < 1 ? 1 : processors;
    if (o->section == OPTIONS_DATA)
        return namelist_print(words, "--data-only") && namelist_print(words, "--single-transaction") &&
               (!is_superuser(l) || namelist_print(words, "--disable-triggers"));
    return (o->section != OPTIONS_SCHEMA || namelist_print(words, "--schema-only")) &&
           (options_tools_inside(o) || namelist_print(words, "--jobs=%lld", jobs));
}

static int32_t add_words(const struct load *l, struct namelist *words, struct cofre_error *error)
{
    const struct options *o = l->target->options;
    bool fine = (o->go_on || namelist_print(words, "--exit-on-error")) && add_manner(l, words) &&
                (!o->no_owner || (namelist_print(words, "--no-owner") && namelist_print(words, "--no-privileges"))) &&
                (!l->without_tablespaces || namelist_print(words, "--no-tablespaces"));
    for (size_t i = 0; fine && i < o->only_schemas.count; i++)
        fine = namelist_print(words, "--schema=%s", o->only_schemas.items[i]);
    return fine ? add_tables(l, words, error) : cofre_fail_errno(error, ENOMEM, "restore");
}

/* ---- what it says ---- */

static void note_complaint(void *context, const struct complaint *complaint)
{
    struct load *l = context;
    const char *what = *complaint->command ? complaint->command : complaint->said;
    note_loss(l->target, l->loss, complaint->data, what, *complaint->command ? complaint->said : "");
}

/* What helps depends on what was to be made: the first row whose word is in the statement, at its beginning unless it
 * begins with a blank. What the server itself advises may be harmful: it takes the database that is being filled for
 * one that is to stay. */
#define OWNERS "restore as a superuser, or with --set no_owner=yes: everything then belongs to the user"
#define FUNCTION                                                                                                       \
    "if a function names it without its schema: all but this comes back with --set go_on=yes, and for the next "       \
    "backup: ALTER FUNCTION ... SET search_path"

static const struct {
    const char *word, *hint;
} advice[] = {
    {" OWNER TO ", OWNERS},
    {"GRANT ", OWNERS},
    {"REVOKE ", OWNERS},
    {"SET SESSION AUTHORIZATION ", OWNERS},
    {"REFRESH MATERIALIZED VIEW ", FUNCTION},
    {"CREATE INDEX ", FUNCTION},
    {"CREATE UNIQUE INDEX ", FUNCTION},
    {"COPY ", FUNCTION},
    {"CREATE EXTENSION ",
     "install it on this server; if it can be in one database only, restore to an empty one of that "
     "name, or all but this with --set go_on=yes"},
    {"", "--set go_on=yes restores all but this, and names what is missing"},
};
static const char extension_in_place[] =
    "if it can be in one database only: rename that one away, make an empty one of its name from template0, and "
    "restore with --set database=NAME instead of --in-place";

static bool speaks_of(const char *command, const char *word)
{
    return word[0] == ' ' ? strstr(command, word) != NULL : strncmp(command, word, strlen(word)) == 0;
}

static void advise(const struct target *t, const struct complaint *first, int32_t class, struct cofre_error *error)
{
    /* Of rows the statement is not always told. */
    const char *command = *first->command ? first->command : first->said;
    bool known = *first->command || speaks_of(command, "COPY ");
    if (!known || class == COFRE_E_NO_SPACE || class == COFRE_E_RETRY || class == COFRE_E_TIMEOUT)
        return;
    size_t row = 0;
    while (!speaks_of(command, advice[row].word))
        row++;
    const char *hint = class == COFRE_E_DENIED ? OWNERS : advice[row].hint;
    if (t->exists && t->options->overwrite && speaks_of(command, "CREATE EXTENSION "))
        hint = extension_in_place;
    cofre_hint(error, "%s", hint);
}

static int32_t judge(const struct load *l, const struct program *program, const struct complaints *all, int code,
                     struct cofre_error *error)
{
    char what[SESSION_NAME_MAX + 40], whole[SESSION_NAME_MAX + 240];
    if (code == 0 && all->count == 0)
        return COFRE_OK;
    if (l->target->options->go_on && (code == 0 || (code == 1 && all->to_the_end)))
        return COFRE_OK;
    snprintf(what, sizeof what, "fill database '%s'", l->target->work);
    if (code < 0 || code > 128 || all->count == 0)
        return program_fail(program, code, what, error);
    snprintf(whole, sizeof whole, *all->first.command ? "%s: '%s'" : "%s: pg_restore", what, all->first.command);
    int32_t class = failing_set(error, NULL, whole, all->first.said);
    advise(l->target, &all->first, class, error);
    return class;
}

static int32_t run(struct load *l, struct cofre_error *error)
{
    PROGRAM_AUTO program = {.pid = 0};
    struct complaints complaints = {.found = l->target->options->go_on ? note_complaint : NULL, .context = l};
    int code;
    int32_t status = add_words(l, &l->launch.words, error);
    if (status == COFRE_OK)
        status = launch_start(&l->launch, &program, l->stage, false, error);
    program.heard = complaint_line;
    program.context = &complaints;
    /* Building an index moves no bytes of ours, and may take hours. */
    if (status == COFRE_OK)
        status = program_wait(&program, l->session.call, true, &code, error);
    complaint_end(&complaints);
    return status == COFRE_OK ? judge(l, &program, &complaints, code, error) : status;
}

int32_t load_dump(struct target *target, const struct stage *stage, struct load_loss *loss, struct cofre_error *error)
{
    struct load l = {.target = target, .loss = loss, .stage = stage, .launch = LAUNCH_NONE};
    *loss = (struct load_loss){.objects = 0};
    int32_t status = prepare(&l, error);
    if (status == COFRE_OK)
        status = run(&l, error);
    launch_free(&l.launch);
    session_close(&l.session);
    return status;
}

/* ---- comparing ---- */

struct comparison {
    struct session session;
    const struct target *target;
    struct load_loss *loss;
    uint64_t compared;
};

/* What the snapshot says of the rows of a table, when they were counted; else NULL. */
static const char *recorded_rows(const struct target *t, const struct archive_item *item)
{
    char key[RECORDED_KEY_MAX];
    const char *saved = recorded_find(t->recorded, recorded_rows_key(t->prefix, item->schema, item->name, key));
    return saved && *saved != '~' ? saved : NULL;
}

static int32_t compare(void *context, const struct archive_item *item, int64_t rows, struct cofre_error *error)
{
    struct comparison *c = context;
    char shown[SHOWN_MAX], why[100];
    const char *saved = recorded_rows(c->target, item);
    c->compared++;
    if (!saved || strtoll(saved, NULL, 10) == rows)
        return COFRE_OK;
    snprintf(why, sizeof why, "has %lld rows, and the snapshot says %.30s", (long long)rows, saved);
    if (!c->target->options->go_on)
        return cofre_fail(error, COFRE_E_INTEGRITY, "table '%s' %s", show(item, shown), why);
    note_loss(c->target, c->loss, true, show(item, shown), why);
    return COFRE_OK;
}

/* With go_on: the table may not even be there. */
static int32_t note_uncounted(void *context, const struct archive_item *item, const struct cofre_error *why,
                              struct cofre_error *error)
{
    struct comparison *c = context;
    char shown[SHOWN_MAX];
    if (PQstatus(c->session.connection) == CONNECTION_BAD) {
        *error = *why;
        return COFRE_E_RETRY;
    }
    note_loss(c->target, c->loss, true, show(item, shown), why->message);
    return COFRE_OK;
}

int32_t load_compare(struct target *target, const struct stage *stage, struct load_loss *loss, uint64_t *counted,
                     struct cofre_error *error)
{
    size_t count;
    struct archive_item *items = archive_items(stage->archive, &count);
    struct archive_item **wanted = calloc(count + 1, sizeof *wanted);
    struct comparison comparison = {.target = target, .loss = loss};
    struct session *session = &comparison.session;
    struct count c = {.session = session, .items = wanted, .found = compare, .context = &comparison};
    c.failed = target->options->go_on ? note_uncounted : NULL;
    int32_t status = wanted ? session_open(session, target->admin->call, target->options, target->work, NULL, error)
                            : cofre_fail_errno(error, ENOMEM, "count rows");
    if (status == COFRE_OK)
        status = speak_as_dump(session, target, error);
    for (size_t i = 0; status == COFRE_OK && i < count; i++)
        if (is_wanted(target->options, &items[i]) && recorded_rows(target, &items[i]))
            wanted[c.total++] = &items[i];
    if (status == COFRE_OK)
        status = count_finish(&c, error);
    session_close(session);
    free(wanted);
    *counted = comparison.compared;
    return status;
}
