#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/root.h"
#include "docker-volume/before.h"
#include "docker-volume/beside.h"
#include "docker-volume/replace.h"
#include "docker-volume/restore.h"
#include "docker-volume/say.h"

/* ---- settle ---- */

static int32_t settle(struct note *note, struct cofre_call *call, struct cofre_error *error)
{
    for (size_t i = 0; i < note->count; i++) {
        const struct note_item *item = &note->items[i];
        bool gone = false;
        int32_t status = COFRE_OK;
        if (item->way != NOTE_BESIDE || note->phase == NOTE_FILLING)
            continue;
        if (note->phase == NOTE_EXCHANGING)
            status = beside_exchange(note, item, &gone, error);
        else
            status = beside_exchange_back(note, item, &gone, error);
        if (status != COFRE_OK)
            return status;
        if (gone)
            say_log(call, COFRE_LOG_WARNING, "volume '%s' was removed by somebody while it was restored", item->volume);
    }
    return COFRE_OK;
}

/* A daemon that was started again has started containers again, perhaps, before an exchange was made. */
static int32_t stop_users(const struct source *source, struct cofre_call *call, const struct note *note,
                          struct cofre_error *error)
{
    bool pending = false;
    for (size_t i = 0; i < note->count && note->phase != NOTE_FILLING; i++)
        pending |= note->items[i].way == NOTE_BESIDE && beside_is_pending(note, &note->items[i]);
    return pending ? replace_stop(source, call, note, error) : COFRE_OK;
}

int32_t restore_settle(const struct source *source, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    NOTE_AUTO note = {0};
    int32_t status = note_open(&note, call, id, error);
    if (status == COFRE_OK)
        status = stop_users(source, call, &note, error);
    return status == COFRE_OK ? settle(&note, call, error) : status;
}

/* ---- tidy ---- */

/* Killed before it heard of the volume it made, or knew which directory that has: then nothing was put into it. */
static bool is_untouched(const struct source *source, const struct volume *volume)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    bool empty = false;
    int fd;
    if (!volume->plain)
        return strcmp(volume->driver, "local") == 0; /* whose removal leaves alone what it mounts */
    if (!daemon_is_local(source->daemon))
        return false; /* whoever has made one of that name since may have filled it */
    if (volume_open(source->daemon, volume, &fd, &ignored) != COFRE_OK)
        return false;
    if (root_is_empty(fd, &empty, &ignored) != COFRE_OK)
        empty = false;
    close(fd);
    return empty;
}

static int32_t remove_made(const struct source *source, struct cofre_call *call, const struct note *note,
                           const struct note_item *item, struct cofre_error *error)
{
    VOLUME_AUTO volume = {0};
    int32_t status = volume_look(source->daemon, call, item->volume, &volume, error);
    if (status != COFRE_OK)
        return status == COFRE_E_NOT_FOUND ? COFRE_OK : status;
    /* One of that name may be another one by now, unless nobody has had the time for that. */
    bool known = item->empty && (note->own || !volume.plain);
    bool ours = item->inode ? beside_is_same(item, &volume) : known || is_untouched(source, &volume);
    if (ours)
        return volume_remove(source->daemon, call, item->volume, error);
    say_log(call, COFRE_LOG_WARNING,
            "volume '%s' stays: it holds, or may hold, what the restore did not put there; look at it, then remove it: "
            "docker volume rm %s",
            item->volume, item->volume);
    return COFRE_OK;
}

static int32_t take_back(const struct source *source, struct cofre_call *call, const struct note *note,
                         const struct note_item *item, struct cofre_error *error)
{
    if (item->way == NOTE_BESIDE)
        return beside_discard(note, item, call, error);
    if (item->way == NOTE_MADE)
        return remove_made(source, call, note, item, error);
    /* Nothing but its removal empties a volume, and it was somebody's before. */
    if (item->empty)
        say_log(call, COFRE_LOG_WARNING,
                "volume '%s' was empty, and may hold a part of what was restored: empty it before the next attempt",
                item->volume);
    return COFRE_OK;
}

/* The restore died after its volumes were whole, or it would have done and said this itself. */
static int32_t finish(const struct source *source, struct cofre_call *call, const struct note *note,
                      const struct note_item *item, struct cofre_error *error)
{
    bool kept;
    if (item->way != NOTE_BESIDE)
        return COFRE_OK;
    int32_t status = before_keep(source->daemon, call, note, item, &kept, error);
    if (status == COFRE_OK && kept)
        say_log(call, COFRE_LOG_NOTICE, "volume '%s' has what was restored; what it held is kept as volume '%s'",
                item->volume, item->before);
    return status;
}

int32_t restore_tidy(const struct source *source, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    NOTE_AUTO note = {0};
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t first = note_open(&note, call, id, error);
    if (first != COFRE_OK)
        return first;
    for (size_t i = 0; i < note.count; i++) {
        const struct note_item *item = &note.items[i];
        int32_t status = note.phase == NOTE_EXCHANGING ? finish(source, call, &note, item, &why)
                                                       : take_back(source, call, &note, item, &why);
        if (status == COFRE_OK)
            continue;
        if (first == COFRE_OK)
            *error = why;
        else
            cofre->log(call, COFRE_LOG_WARNING, why.message);
        first = first == COFRE_OK ? status : first;
    }
    return first == COFRE_OK ? note_drop(&note, error) : first;
}
