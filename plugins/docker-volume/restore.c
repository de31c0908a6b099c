#include "docker-volume/restore.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/entry_path.h"
#include "common/failure.h"
#include "docker-volume/fill.h"
#include "docker-volume/layout.h"
#include "docker-volume/replace.h"
#include "docker-volume/restoring.h"
#include "docker-volume/say.h"

/* ---- what is not a volume's ---- */

/* Descriptions are remembered. The rest is for people, who get it with --into. */
static int32_t take_described(struct restoring *r, const struct cofre_entry *entry)
{
    struct cofre_error why = {.struct_size = sizeof why};
    char name[VOLUME_NAME_MAX + 1];
    int32_t result = COFRE_OK;
    if (entry->kind == COFRE_FILE && plan_is_description(entry->path, entry->path_length, name))
        result = plan_take(&r->plan, r->call, name, &why);
    if (result == COFRE_OK)
        return cofre->done(r->call, COFRE_OK, NULL, r->error);
    *r->error = why;
    return result;
}

/* ---- volumes ---- */

/* Before the first of them. */
static int32_t check_choice(struct restoring *r)
{
    const char *volume = r->source->options->volume;
    if (!volume || !*volume)
        return COFRE_OK;
    if (!volume_is_name(volume))
        return cofre_fail(r->error, COFRE_E_CONFIG, "option volume: '%s' is no name of a volume", volume);
    if (r->plan.count <= 1)
        return COFRE_OK;
    int32_t class = cofre_fail(r->error, COFRE_E_CONFIG,
                               "restore %zu volumes into volume '%s': they do not fit into one", r->plan.count, volume);
    cofre_hint(r->error, "say which: cofre restore JOB SOURCE:%.80s --set volume=%.80s", r->plan.items[0].name, volume);
    return class;
}

/* The first component of its path. */
static int32_t name_of(struct restoring *r, const struct cofre_entry *entry, char name[VOLUME_NAME_MAX + 1])
{
    char quoted[FAILURE_QUOTE_MAX];
    const char *slash = memchr(entry->path, '/', entry->path_length);
    size_t n = slash ? (size_t)(slash - entry->path) : entry->path_length;
    if (n > 0 && n <= VOLUME_NAME_MAX) {
        memcpy(name, entry->path, n);
        name[n] = '\0';
        if (volume_is_name(name))
            return COFRE_OK;
    }
    return cofre_fail(r->error, COFRE_E_INTEGRITY, "restore '%s': it is in no volume",
                      failure_quote(entry->path, entry->path_length, quoted));
}

static int32_t put_volume(struct restoring *r, const struct cofre_entry **entry, char last[VOLUME_NAME_MAX + 1])
{
    char name[VOLUME_NAME_MAX + 1];
    const char *volume = r->source->options->volume;
    int32_t status = name_of(r, *entry, name);
    if (status == COFRE_OK && last[0] == '\0')
        status = check_choice(r);
    if (status == COFRE_OK && last[0] != '\0' && volume && *volume)
        status = cofre_fail(r->error, COFRE_E_CONFIG,
                            "restore volume '%s', too, into volume '%s': they do not fit into one", name, volume);
    if (status != COFRE_OK)
        return status;
    bool whole = (*entry)->path_length == strlen(name);
    if (whole && (*entry)->kind != COFRE_DIRECTORY)
        return cofre_fail(r->error, COFRE_E_INTEGRITY, "restore volume '%s': its root is no directory", name);
    snprintf(last, VOLUME_NAME_MAX + 1, "%s", name);
    struct plan_volume *planned = plan_find(&r->plan, name);
    if (planned)
        planned->met = true;
    return whole ? fill_whole(r, name, entry) : fill_part(r, name, entry);
}

static int32_t put_all(struct restoring *r)
{
    const struct cofre_entry *entry = NULL;
    char last[VOLUME_NAME_MAX + 1] = "";
    int32_t status = cofre->next(r->call, &entry, r->error);
    while (status == COFRE_OK && entry) {
        if (entry_path_is_of(LAYOUT_ROOT, entry->path, entry->path_length)) {
            status = take_described(r, entry);
            if (status == COFRE_OK)
                status = cofre->next(r->call, &entry, r->error);
        } else {
            status = put_volume(r, &entry, last);
        }
    }
    return status == COFRE_END ? COFRE_OK : status;
}

/* Its content could not be read when the snapshot was made. */
static void say_unmet(struct restoring *r)
{
    bool content = false;
    for (size_t i = 0; i < r->plan.count; i++)
        content |= r->plan.items[i].met;
    if (r->plan.count > 0 && !content)
        cofre->log(
            r->call, COFRE_LOG_NOTICE,
            "only what describes volumes was asked for, and nothing is put anywhere: --into DIR gives it as files");
    for (size_t i = 0; i < r->plan.count && content; i++) {
        if (r->plan.items[i].met)
            continue;
        say_log(r->call, COFRE_LOG_WARNING,
                "volume '%s': the snapshot describes it, and has nothing of it: it is left as it is",
                r->plan.items[i].name);
    }
}

/* ---- the whole ---- */

static int32_t begin(struct restoring *r)
{
    struct daemon_about about;
    const char *id = cofre->id(r->call);
    if (!id)
        return cofre_fail(r->error, COFRE_E_BUG, "the host gave no id for this restore");
    int32_t status = daemon_hello(r->source->daemon, r->call, &about, r->error);
    if (status == COFRE_OK)
        status = note_open(&r->note, r->call, id, r->error);
    if (status == COFRE_OK && r->note.count > 0)
        status = cofre_fail(r->error, COFRE_E_BUG, "restore '%s' was begun before, and not taken back", id);
    return status == COFRE_OK ? users_list(r->source->daemon, r->call, &r->users, r->error) : status;
}

int32_t restore_run(const struct source *source, struct cofre_call *call, struct cofre_error *error)
{
    struct restoring r = {.source = source, .call = call, .error = error};
    int32_t status = begin(&r);
    if (status == COFRE_OK)
        status = put_all(&r);
    if (status == COFRE_OK)
        say_unmet(&r);
    if (status == COFRE_OK)
        status = replace_all(&r);
    plan_free(&r.plan);
    users_free(&r.users);
    note_close(&r.note);
    free(r.tallies);
    return status;
}
