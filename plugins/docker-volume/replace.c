#include "docker-volume/replace.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cofre/plugin.h"
#include "docker-volume/before.h"
#include "docker-volume/beside.h"
#include "docker-volume/say.h"
#include "docker-volume/user.h"

#define NAMES_MAX 600

static bool is_beside(const struct note_item *item)
{
    return item->way == NOTE_BESIDE;
}

/* Of the volume: "" where it is not known. */
static const char *directory_of(const struct note_item *item, char out[PATH_MAX + NAME_MAX + 2])
{
    if (item->place[0])
        snprintf(out, PATH_MAX + NAME_MAX + 2, "%s/%s", item->place, item->leaf);
    else
        out[0] = '\0';
    return out;
}

/* ---- containers ---- */

/* Those that use the volumes, as they are now; what cannot be stopped is refused. */
static int32_t find_users(const struct source *source, struct cofre_call *call, const struct note *note,
                          struct users *users, struct cofre_error *error)
{
    char directory[PATH_MAX + NAME_MAX + 2];
    int32_t status = users_list(source->daemon, call, users, error);
    for (size_t i = 0; i < note->count && status == COFRE_OK; i++) {
        const struct note_item *item = &note->items[i];
        if (!is_beside(item))
            continue;
        directory_of(item, directory);
        status = users_refuse(users, item->volume, directory, error);
        if (status == COFRE_OK)
            status = users_choose(users, item->volume, directory, error);
    }
    return status;
}

/* After they were stopped. */
static int32_t check_stopped(const struct source *source, struct cofre_call *call, const struct note *note,
                             struct cofre_error *error)
{
    USERS_AUTO users = {0};
    char directory[PATH_MAX + NAME_MAX + 2];
    int32_t status = users_list(source->daemon, call, &users, error);
    for (size_t i = 0; i < note->count && status == COFRE_OK; i++) {
        const struct note_item *item = &note->items[i];
        const struct container *c =
            is_beside(item) ? users_running(&users, item->volume, directory_of(item, directory)) : NULL;
        if (c)
            status = cofre_fail(error, COFRE_E_BUSY,
                                "replace the content of volume '%s': container '%s' is %s, though it was stopped",
                                item->volume, c->name, container_state_name(c->state));
    }
    return status;
}

int32_t replace_stop(const struct source *source, struct cofre_call *call, const struct note *note,
                     struct cofre_error *error)
{
    USERS_AUTO users = {0};
    struct halt halt;
    char names[NAMES_MAX];
    int32_t status = find_users(source, call, note, &users, error);
    if (status == COFRE_OK)
        status = source_halt(source, call, &halt, error);
    if (status != COFRE_OK)
        return status;
    users_names(&users.chosen, user_runs, names, sizeof names);
    status = halt_begin(&halt, call, note->id, &users.chosen, HALT_STOP, error);
    if (status == COFRE_OK)
        status = check_stopped(source, call, note, error);
    if (status == COFRE_OK && names[0])
        say_log(call, COFRE_LOG_NOTICE, "stopped while volumes are exchanged, to be started again: %s", names);
    return status;
}

/* ---- exchanging ---- */

static int32_t choose_names(struct restoring *r)
{
    for (size_t i = 0; i < r->note.count; i++) {
        VOLUME_AUTO volume = {0};
        struct note_item *item = &r->note.items[i];
        if (!is_beside(item))
            continue;
        int32_t status = volume_look(r->source->daemon, r->call, item->volume, &volume, r->error);
        if (status == COFRE_OK)
            status =
                before_choose(r->source->daemon, r->call, &r->note, cofre->snapshot(r->call), &volume, item, r->error);
        if (status != COFRE_OK)
            return status;
    }
    return COFRE_OK;
}

/* A failure of one: those that were exchanged go back, here or in the next attempt. */
static void go_back(struct restoring *r)
{
    struct cofre_error why = {.struct_size = sizeof why};
    bool gone;
    r->note.phase = NOTE_BACK;
    int32_t status = note_write(&r->note, &why);
    for (size_t i = 0; i < r->note.count && status == COFRE_OK; i++)
        if (is_beside(&r->note.items[i]))
            status = beside_exchange_back(&r->note, &r->note.items[i], &gone, &why);
    if (status != COFRE_OK)
        cofre->log(r->call, COFRE_LOG_WARNING, why.message);
}

static int32_t exchange_all(struct restoring *r)
{
    int32_t status = COFRE_OK;
    bool gone;
    r->note.phase = NOTE_EXCHANGING;
    status = note_write(&r->note, r->error);
    if (status != COFRE_OK)
        return status;
    for (size_t i = 0; i < r->note.count && status == COFRE_OK; i++) {
        const struct note_item *item = &r->note.items[i];
        if (!is_beside(item))
            continue;
        status = beside_exchange(&r->note, item, &gone, r->error);
        if (status == COFRE_OK && gone)
            status = cofre_fail(r->error, COFRE_E_CHANGED, "replace the content of volume '%s': it was removed",
                                item->volume);
    }
    if (status != COFRE_OK)
        go_back(r);
    return status;
}

/* ---- afterwards ---- */

static void say(struct restoring *r, const struct note_item *item, const struct restoring_tally *tally, bool kept)
{
    char line[3 * VOLUME_NAME_MAX + 240];
    int n = snprintf(line, sizeof line, "volume '%s' %s: %" PRIu64 " entries, %" PRIu64 " bytes", item->volume,
                     item->way == NOTE_MADE ? "was not there, and was made" : "has the content of the snapshot",
                     tally->entries, tally->bytes);
    if (kept)
        snprintf(line + n, sizeof line - (size_t)n, "; what it held is kept as volume '%s': remove it when all is well",
                 item->before);
    else if (is_beside(item))
        snprintf(line + n, sizeof line - (size_t)n, "; it was empty");
    cofre->log(r->call, COFRE_LOG_NOTICE, line);
}

static int32_t keep_all(struct restoring *r)
{
    for (size_t i = 0; i < r->note.count; i++) {
        const struct note_item *item = &r->note.items[i];
        bool kept = false;
        int32_t status = COFRE_OK;
        if (is_beside(item))
            status = before_keep(r->source->daemon, r->call, &r->note, item, &kept, r->error);
        if (status != COFRE_OK)
            return status;
        say(r, item, &r->tallies[i], kept);
    }
    return COFRE_OK;
}

static bool has_beside(const struct note *note)
{
    for (size_t i = 0; i < note->count; i++)
        if (is_beside(&note->items[i]))
            return true;
    return false;
}

int32_t replace_all(struct restoring *r)
{
    int32_t status = COFRE_OK;
    if (has_beside(&r->note)) {
        status = replace_stop(r->source, r->call, &r->note, r->error);
        if (status == COFRE_OK)
            status = choose_names(r);
    }
    if (status == COFRE_OK && r->note.count > 0)
        status = exchange_all(r);
    return status == COFRE_OK ? keep_all(r) : status;
}
