#include "postgres/restore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "postgres/before.h"
#include "postgres/choice.h"
#include "postgres/cluster.h"
#include "postgres/globals.h"
#include "postgres/load.h"
#include "postgres/obstacle.h"
#include "postgres/replication.h"
#include "postgres/swap.h"

struct restore {
    struct cofre_call *call;
    const struct options *options;
    struct recorded recorded;
    struct session admin;
    struct namelist made; /* roles */
    struct namelist used; /* databases that were restored */
    bool roles_made, clean;
    bool partial; /* the database at hand is there, with go_on, and not whole */
    unsigned number;
    uint64_t there;  /* databases that came back, at least in part */
    uint64_t failed; /* entries */
    int32_t class;   /* of the last that failed */
    struct cofre_error why;
};

/* ---- one database ---- */

static int32_t choose_name(struct restore *r, struct target *t, const char *origin, struct cofre_error *error)
{
    const struct options *o = r->options;
    if (o->prefix && *o->prefix)
        target_prefixed(o->prefix, origin, t->name);
    else
        snprintf(t->name, sizeof t->name, "%s", o->database && *o->database ? o->database : origin);
    if (namelist_has(&r->used, t->name)) {
        int32_t class = cofre_fail(error, COFRE_E_CONFIG, "two databases of the snapshot would become '%s'", t->name);
        cofre_hint(error, "restore one of them: SOURCE:DATABASE.dump; or all under other names: --set prefix=TEXT");
        return class;
    }
    return namelist_add(&r->used, t->name) ? COFRE_OK : cofre_fail_errno(error, ENOMEM, "restore");
}

/* Named after the id that covers us, so that it is found and removed when we are killed. */
static void choose_temporary(struct restore *r, char out[SESSION_NAME_MAX + 1])
{
    const char *id = COFRE_HAS(cofre, id) ? cofre->id(r->call) : NULL;
    if (id)
        snprintf(out, SESSION_NAME_MAX + 1, "%.45s-%u", id, ++r->number);
    else
        snprintf(out, SESSION_NAME_MAX + 1, "cofre-restore-%lld-%d-%u", (long long)time(NULL), (int)getpid(),
                 ++r->number);
}

/* Nobody can rename the database that he is in. */
static int32_t leave(struct restore *r, const char *name, struct cofre_error *error)
{
    if (strcmp(PQdb(r->admin.connection), name) != 0)
        return COFRE_OK;
    session_close(&r->admin);
    return cluster_connect(&r->admin, r->call, r->options, name, error);
}

static int32_t make_roles(struct restore *r, struct cofre_error *error)
{
    if (r->roles_made || r->options->no_owner || !r->options->globals)
        return COFRE_OK;
    r->roles_made = true;
    return globals_make_roles(&r->admin, &r->recorded, &r->made, error);
}

/* What would make the last step impossible is looked for before the first. */
static int32_t look_ahead(struct restore *r, struct target *t, struct cofre_error *error)
{
    if (!t->exists || !r->options->overwrite)
        return COFRE_OK;
    int32_t status = obstacle_look(&r->admin, t->name, error);
    return status == COFRE_OK ? replication_announce(&r->admin, t->name, error) : status;
}

static void say(struct restore *r, const struct target *t, const char *origin, uint64_t tables)
{
    char text[400];
    snprintf(text, sizeof text,
             "database '%s' of the snapshot is restored as '%s'; the rows of %llu tables are as recorded", origin,
             t->name, (unsigned long long)tables);
    cofre->log(r->call, COFRE_LOG_INFO, text);
    replication_restored(&r->admin, t->name);
}

/* It was to be kept whatever happens: when it cannot have its name, it gets another. */
static int32_t take_place(struct restore *r, struct target *t, struct cofre_error *error)
{
    char text[300];
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t status = swap_names(t, r->recorded.snapshot, error);
    if (status == COFRE_OK || !t->made || !r->options->go_on)
        return status;
    if (swap_partial(t, r->recorded.snapshot, &why) != COFRE_OK)
        return status;
    snprintf(text, sizeof text, "what was restored is kept as database '%s'", t->work);
    cofre->log(r->call, COFRE_LOG_WARNING, text);
    return status;
}

/* Something is missing. It takes the place of what is there only when that is no data. Never COFRE_OK. */
static int32_t settle_partial(struct restore *r, struct target *t, const struct load_loss *loss,
                              struct cofre_error *error)
{
    bool stays = t->exists && r->options->overwrite && loss->data;
    int32_t status = stays ? swap_partial(t, r->recorded.snapshot, error) : take_place(r, t, error);
    if (status != COFRE_OK)
        return status;
    const char *name = stays ? t->work : t->name;
    replication_restored(&r->admin, name);
    cofre_fail(error, COFRE_E_UNSUPPORTED, "restored as database '%s' without %llu objects, such as '%s'%s%s%s", name,
               (unsigned long long)loss->objects, loss->example,
               stays ? "; data are missing, so it did not replace '" : "", stays ? t->name : "", stays ? "'" : "");
    r->partial = true;
    return COFRE_E_UNSUPPORTED;
}

static void say_half_filled(const struct restore *r, const struct target *t)
{
    char text[200];
    snprintf(text, sizeof text,
             "database '%s' may be half filled now: drop it, or what is in it, before the next attempt", t->name);
    cofre->log(r->call, COFRE_LOG_WARNING, text);
}

static int32_t fill(struct restore *r, struct target *t, const struct stage *stage, const char *origin,
                    struct cofre_error *error)
{
    uint64_t tables = 0;
    struct load_loss loss = {.objects = 0};
    int32_t status = target_make(t, error);
    if (status == COFRE_OK)
        status = load_dump(t, stage, &loss, error);
    if (status == COFRE_OK)
        status = load_compare(t, stage, &loss, &tables, error);
    t->partial = loss.objects > 0;
    if (status == COFRE_OK)
        status = target_furnish(t, error);
    if (status == COFRE_OK && t->partial)
        return settle_partial(r, t, &loss, error);
    if (status == COFRE_OK)
        status = take_place(r, t, error);
    if (status == COFRE_OK)
        say(r, t, origin, tables);
    else if (t->work[0] && strcmp(t->work, t->name) == 0 && r->options->section != OPTIONS_DATA)
        say_half_filled(r, t);
    return status;
}

static int32_t restore_database(struct restore *r, const char *origin, struct cofre_error *error)
{
    char prefix[RECORDED_PREFIX_MAX], key[RECORDED_KEY_MAX], temporary[SESSION_NAME_MAX + 1];
    struct stage stage = STAGE_NONE;
    struct choice choice;
    struct target t = {.admin = &r->admin, .options = &choice.options, .recorded = &r->recorded, .prefix = ""};
    /* Facts of a source with several databases begin with the database. */
    recorded_prefix(origin, prefix);
    snprintf(key, sizeof key, "%sdatabase", prefix);
    if (recorded_find(&r->recorded, key))
        t.prefix = prefix;
    choose_temporary(r, temporary);
    snprintf(key, sizeof key, "%sencoding", t.prefix);
    int32_t status = choice_make(&choice, &r->admin, r->options, recorded_find(&r->recorded, key), error);
    if (status == COFRE_OK)
        status = choose_name(r, &t, origin, error);
    if (status == COFRE_OK)
        status = leave(r, t.name, error);
    if (status == COFRE_OK)
        status = target_choose(&t, temporary, error);
    if (status == COFRE_OK)
        status = look_ahead(r, &t, error);
    if (status == COFRE_OK)
        status = make_roles(r, error);
    if (status == COFRE_OK)
        status = stage_fill(&stage, r->call, r->options->stage_dir, error);
    if (status == COFRE_OK)
        status = fill(r, &t, &stage, origin, error);
    stage_free(&stage);
    if (!target_discard(&t))
        r->clean = false;
    choice_free(&choice);
    return status;
}

/* ---- globals ---- */

#define GLOBALS_MAX ((size_t)256 << 20)

static int32_t take_text(struct cofre_call *call, char **text, struct cofre_error *error)
{
    size_t used = 0, room = 0;
    for (;;) {
        const void *bytes;
        uint64_t length;
        int32_t status = cofre->take(call, &bytes, &length, error);
        if (status == COFRE_END)
            break;
        if (status != COFRE_OK)
            return status;
        if (!bytes || length > GLOBALS_MAX - used)
            return cofre_fail(error, COFRE_E_INTEGRITY, "this is no " GLOBALS_JSON);
        if (used + length >= room) {
            room = 2 * (used + (size_t)length) + 1;
            char *larger = realloc(*text, room);
            if (!larger)
                return cofre_fail_errno(error, ENOMEM, "read " GLOBALS_JSON);
            *text = larger;
        }
        memcpy(*text + used, bytes, (size_t)length);
        used += (size_t)length;
    }
    if (!*text)
        return cofre_fail(error, COFRE_E_INTEGRITY, GLOBALS_JSON " is empty");
    (*text)[used] = '\0';
    return COFRE_OK;
}

static int32_t restore_globals(struct restore *r, struct cofre_error *error)
{
    char *text = NULL;
    if (!r->options->globals || r->options->no_owner)
        return COFRE_OK;
    int32_t status = take_text(r->call, &text, error);
    if (status == COFRE_OK)
        status = globals_complete(&r->admin, text, &r->made, error);
    free(text);
    return status;
}

/* ---- all ---- */

static int32_t restore_entry(struct restore *r, const struct cofre_entry *entry, struct cofre_error *error)
{
    char origin[SESSION_NAME_MAX + 1];
    int32_t status;
    if (entry->kind == COFRE_STREAM && strcmp(entry->path, GLOBALS_JSON) == 0)
        return restore_globals(r, error);
    /* For people: a restore runs no SQL that was stored. */
    if (entry->kind == COFRE_STREAM && strcmp(entry->path, GLOBALS_SQL) == 0)
        return COFRE_OK;
    if (entry->kind == COFRE_STREAM && cluster_database_of(entry->path, origin)) {
        r->partial = false;
        status = restore_database(r, origin, error);
        r->there += status == COFRE_OK || r->partial;
        return status;
    }
    return cofre_fail(error, COFRE_E_UNSUPPORTED, "it is no dump of a database");
}

static int32_t restore_all(struct restore *r, struct cofre_error *error)
{
    for (;;) {
        const struct cofre_entry *entry;
        struct cofre_error why = {.struct_size = sizeof why};
        int32_t status = cofre->next(r->call, &entry, error);
        if (status != COFRE_OK)
            return status == COFRE_END ? COFRE_OK : status;
        int32_t result = restore_entry(r, entry, &why);
        status = cofre->cancelled(r->call, error);
        if (status == COFRE_OK)
            status = cofre->done(r->call, result, result == COFRE_OK ? NULL : &why, error);
        if (status != COFRE_OK)
            return status;
        if (result != COFRE_OK) {
            r->failed++;
            r->class = result;
            r->why = why;
        }
    }
}

int32_t restore_run(struct cofre_call *call, const struct options *options, bool *clean, struct cofre_error *error)
{
    struct restore r = {.call = call, .options = options, .clean = true};
    int32_t status = recorded_load(&r.recorded, call, error);
    if (status == COFRE_OK)
        status = cluster_connect(&r.admin, call, options, NULL, error);
    if (status == COFRE_OK)
        status = restore_all(&r, error);
    if (status == COFRE_OK && r.failed > 0 && r.there == 0) {
        *error = r.why;
        status = r.class;
    }
    if (status == COFRE_OK && r.failed == 0 && options->overwrite)
        before_drop(&r.admin, &r.used, options->drop_before);
    *clean = r.clean;
    session_close(&r.admin);
    recorded_free(&r.recorded);
    namelist_free(&r.made);
    namelist_free(&r.used);
    return status;
}

int32_t restore_forget(struct session *admin, const struct options *options, const char *id, struct cofre_error *error)
{
    char prefix[SESSION_NAME_MAX + 1];
    snprintf(prefix, sizeof prefix, "%.50s-", id);
    return target_drop_all(admin, options, prefix, error);
}
