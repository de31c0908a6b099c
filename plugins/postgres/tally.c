#include "postgres/tally.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "postgres/altered.h"
#include "postgres/recorded.h"

/* ---- which tables ---- */

/* Tables of extensions are dumped without the rows that the extension itself brings. */
int32_t tally_prepare(struct tally *t, struct session *session, const struct options *options,
                      struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    t->session = session;
    t->options = options;
    int32_t status = session_query(session, &found, "list the tables of extensions",
                                   "SELECT n.nspname, c.relname FROM pg_extension e, unnest(e.extconfig) t "
                                   "JOIN pg_class c ON c.oid = t JOIN pg_namespace n ON n.oid = c.relnamespace",
                                   0, NULL, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(found); i++) {
        char key[RECORDED_KEY_MAX];
        if (!namelist_add(&t->partial, recorded_rows_key("", PQgetvalue(found, i, 0), PQgetvalue(found, i, 1), key)))
            status = cofre_fail_errno(error, ENOMEM, "list the tables of extensions");
    }
    return status;
}

static bool is_countable(const struct tally *t, const struct archive_item *item)
{
    char key[RECORDED_KEY_MAX];
    return item->is_table && item->schema && item->name &&
           !namelist_has(&t->partial, recorded_rows_key("", item->schema, item->name, key));
}

/* ---- counting ---- */

static int32_t note_count(void *context, const struct archive_item *item, int64_t rows, struct cofre_error *error)
{
    struct tally *t = context;
    (void)item;
    (void)error;
    t->counted[t->count.next - 1] = rows;
    return COFRE_OK;
}

static int32_t note_failure(void *context, const struct archive_item *item, const struct cofre_error *why,
                            struct cofre_error *error)
{
    struct tally *t = context;
    (void)item;
    t->counted[t->count.next - 1] = -1;
    if (++t->uncounted <= TALLY_UNCOUNTED && !namelist_print(&t->why, "%s", why->message))
        return cofre_fail_errno(error, ENOMEM, "count rows");
    return COFRE_OK;
}

int32_t tally_begin(struct tally *t, struct archive *archive, struct cofre_error *error)
{
    size_t count;
    struct archive_item *items = archive_items(archive, &count);
    t->items = calloc(count + 1, sizeof(struct archive_item *));
    t->counted = calloc(count + 1, sizeof *t->counted);
    if (!t->items || !t->counted)
        return cofre_fail_errno(error, ENOMEM, "count rows");
    t->count = (struct count){.session = t->session,
                              .items = t->items,
                              .estimate = t->options->row_counts == OPTIONS_ESTIMATE,
                              .found = note_count,
                              .failed = note_failure,
                              .context = t};
    for (size_t i = 0; i < count; i++)
        if (is_countable(t, &items[i]))
            t->items[t->count.total++] = &items[i];
    t->archive = archive;
    return COFRE_OK;
}

int32_t tally_step(struct tally *t, struct cofre_error *error)
{
    return t->archive ? count_step(&t->count, error) : COFRE_OK;
}

/* ---- comparing ---- */

static bool differs(const struct tally *t, size_t i)
{
    return t->items[i]->rows >= 0 && t->counted[i] >= 0 && t->items[i]->rows != t->counted[i];
}

static int32_t disagree(struct tally *t, size_t i, const struct namelist *altered, const char *what,
                        struct cofre_error *error)
{
    const struct archive_item *item = t->items[i];
    char key[RECORDED_KEY_MAX];
    const char *table = recorded_rows_key("", item->schema, item->name, key) + strlen("rows.");
    if (!namelist_has(altered, key))
        return cofre_fail(error, COFRE_E_PERMANENT, "%s: it has %lld rows of '%s', the server counted %lld", what,
                          (long long)item->rows, table, (long long)t->counted[i]);
    t->counted[i] = -1;
    if (++t->uncounted <= TALLY_UNCOUNTED &&
        !namelist_print(&t->why, "count the rows of '%s': the table was emptied or altered behind the dump", table))
        return cofre_fail_errno(error, ENOMEM, "count rows");
    return COFRE_OK;
}

/* Two who share nothing must agree: what the server counted, and what is in the dump. */
static int32_t compare(struct tally *t, const char *what, struct cofre_error *error)
{
    NAMELIST_AUTO altered = {.count = 0};
    bool asked = false;
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < t->count.total; i++) {
        if (!differs(t, i))
            continue;
        if (!asked)
            status = altered_tables(t->session, t->archive, &altered, error);
        asked = true;
        if (status == COFRE_OK)
            status = disagree(t, i, &altered, what, error);
    }
    return status;
}

int32_t tally_finish(struct tally *t, const char *what, struct cofre_error *error)
{
    if (!t->archive)
        return COFRE_OK;
    int32_t status = count_finish(&t->count, error);
    return status == COFRE_OK && t->options->row_counts == OPTIONS_EXACT ? compare(t, what, error) : status;
}

/* ---- saying ---- */

static int32_t say_one(const struct tally *t, const char *path, const char *what, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    cofre_fail(&why, COFRE_E_PERMANENT, "the dump is there and whole, but for a count (see row_counts): %.400s", what);
    return cofre->missing(t->session->call, path, strlen(path), COFRE_E_PERMANENT, &why, error);
}

static int32_t say_uncounted(const struct tally *t, const char *path, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    char more[60];
    snprintf(more, sizeof more, "and those of %zu more tables", t->uncounted - t->why.count);
    for (size_t i = 0; status == COFRE_OK && i < t->why.count; i++)
        status = say_one(t, path, t->why.list[i], error);
    return status == COFRE_OK && t->uncounted > t->why.count ? say_one(t, path, more, error) : status;
}

int32_t tally_say(const struct tally *t, const char *path, const char *prefix, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < t->count.total; i++) {
        char key[RECORDED_KEY_MAX], value[24];
        if (t->counted[i] < 0)
            continue;
        recorded_rows_key(prefix, t->items[i]->schema, t->items[i]->name, key);
        snprintf(value, sizeof value, "%s%lld", t->count.estimate ? "~" : "", (long long)t->counted[i]);
        status = cofre->fact(t->session->call, key, value, t->count.estimate ? 0 : COFRE_FACT_MUST_MATCH, error);
    }
    return status == COFRE_OK ? say_uncounted(t, path, error) : status;
}

void tally_free(struct tally *t)
{
    namelist_free(&t->partial);
    namelist_free(&t->why);
    free(t->items);
    free(t->counted);
    *t = (struct tally){.archive = NULL};
}
