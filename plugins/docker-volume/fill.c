#include "docker-volume/fill.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/pattern.h"
#include "common/root.h"
#include "common/tree_read.h"
#include "common/tree_write.h"
#include "docker-volume/before.h"
#include "docker-volume/beside.h"
#include "docker-volume/pour.h"
#include "docker-volume/say.h"

static const struct pattern_set nothing;

/* Where the entries of volume `name` go. */
static const char *target_of(const struct restoring *r, const char *name)
{
    const char *volume = r->source->options->volume;
    return volume && *volume ? volume : name;
}

int32_t fill_item(struct restoring *r, const char *volume, enum note_way way, struct note_item **item)
{
    struct restoring_tally *tallies = realloc(r->tallies, (r->note.count + 1) * sizeof *tallies);
    r->tallies = tallies ? tallies : r->tallies;
    *item = tallies ? note_add(&r->note, volume, way) : NULL;
    if (!*item)
        return cofre_fail_errno(r->error, ENOMEM, "restore volume '%s'", volume);
    tallies[r->note.count - 1] = (struct restoring_tally){0};
    return COFRE_OK;
}

/* ---- room ---- */

/* Of all volumes that the snapshot describes, or of this one alone. */
static int32_t bytes_needed(struct restoring *r, const char *name, uint64_t *bytes)
{
    bool found;
    uint64_t n;
    *bytes = 0;
    int32_t status = COFRE_OK;
    if (r->plan.count == 0) {
        status = plan_fact(r->call, "bytes.", name, &found, &n, r->error);
        *bytes = status == COFRE_OK && found ? n : 0;
    }
    for (size_t i = 0; i < r->plan.count && status == COFRE_OK; i++) {
        status = plan_fact(r->call, "bytes.", r->plan.items[i].name, &found, &n, r->error);
        *bytes += status == COFRE_OK && found && *bytes + n > *bytes ? n : 0;
    }
    return status;
}

/* Once, before the first volume is filled: what is there stays beside the new until somebody removes it. */
static int32_t look_for_room(struct restoring *r, const char *name, int fd)
{
    struct statvfs fs;
    uint64_t needed;
    if (r->has_room || r->source->options->force || fstatvfs(fd, &fs) != 0)
        return COFRE_OK;
    r->has_room = r->plan.count > 0;
    int32_t status = bytes_needed(r, name, &needed);
    uint64_t there = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (status != COFRE_OK || needed <= there)
        return status;
    status = cofre_fail(r->error, COFRE_E_NO_SPACE,
                        "restore volume '%s': %" PRIu64 " MiB are to come, and %" PRIu64
                        " MiB are free where the daemon has its volumes",
                        name, needed >> 20, there >> 20);
    cofre_hint(r->error, "make room; where files have holes they need less: --set force=yes tries");
    return status;
}

/* ---- filling ---- */

static int32_t say_failed(struct restoring *r, const char *volume, const struct tree_write_counts *counts)
{
    char hint[sizeof counts->first.hint];
    snprintf(hint, sizeof hint, "%s", counts->first.hint);
    int32_t class =
        cofre_fail(r->error, counts->class,
                   "restore volume '%.100s': %" PRIu64 " of its entries were not put back, so no volume is changed: %s",
                   volume, counts->failed, counts->first.message);
    cofre_hint(r->error, "%s", hint[0] ? hint : "--into DIR gives what can be put back, as files");
    return class;
}

/* What is there now, looked at by the code that reads volumes. */
static int32_t compare(struct restoring *r, const char *volume, int fd, const struct tree_write_counts *given)
{
    struct tree_read_options options = {
        .path = volume, .prefix = volume, .root = fd, .numeric_owner = true, .exclude = &nothing, .include = &nothing};
    struct tree_read_counts there;
    int32_t status = tree_read_count(r->call, &options, &there, r->error);
    if (status != COFRE_OK)
        return status;
    uint64_t entries = given->given - given->left_out;
    if (there.entries == entries && there.bytes == given->bytes)
        return COFRE_OK;
    return cofre_fail(r->error, COFRE_E_INTEGRITY,
                      "restore volume '%s': %" PRIu64 " entries with %" PRIu64 " bytes were written, and %" PRIu64
                      " with %" PRIu64 " are there; no volume is changed",
                      volume, entries, given->bytes, there.entries, there.bytes);
}

/* What was counted when it was saved; less came back where something was not readable then, which the host names. */
static int32_t compare_recorded(struct restoring *r, const char *name, const struct tree_write_counts *given)
{
    uint64_t entries = given->given, bytes = given->bytes;
    bool found;
    int32_t status = plan_fact(r->call, "entries.", name, &found, &entries, r->error);
    if (status == COFRE_OK)
        status = plan_fact(r->call, "bytes.", name, &found, &bytes, r->error);
    if (status != COFRE_OK || (entries == given->given && bytes == given->bytes))
        return status;
    say_log(r->call, COFRE_LOG_WARNING,
            "volume '%s': %" PRIu64 " entries with %" PRIu64 " bytes came from the snapshot; when it was made there "
            "were %" PRIu64 " with %" PRIu64,
            name, given->given, given->bytes, entries, bytes);
    return COFRE_OK;
}

/* Into an open directory that is empty, and closed to others. */
static int32_t fill(struct restoring *r, const char *name, size_t at, int fd, const struct cofre_entry **entry)
{
    const struct options *o = r->source->options;
    const char *volume = r->note.items[at].volume;
    struct tree_write_options options = {.path = volume,
                                         .devices = o->devices,
                                         .setuid = o->setuid,
                                         .numeric_owner = o->numeric_owner,
                                         .exclude = &nothing,
                                         .include = &nothing};
    struct tree_write_part part = {.prefix = name, .root = fd, .fresh = true};
    int32_t status = tree_write_part(r->call, &options, &part, entry, r->error);
    if (status != COFRE_OK)
        return status;
    if (part.counts.failed)
        return say_failed(r, volume, &part.counts);
    status = compare(r, volume, fd, &part.counts);
    if (status == COFRE_OK)
        status = compare_recorded(r, name, &part.counts);
    r->tallies[at] =
        (struct restoring_tally){.entries = part.counts.given - part.counts.left_out, .bytes = part.counts.bytes};
    return status;
}

/* ---- a volume that is not there ---- */

/* As the snapshot describes it. Another one than that is none of compose's. */
static json_t *description_of(struct restoring *r, const char *name, const char *target)
{
    const struct plan_volume *planned = plan_find(&r->plan, name);
    if (planned && strcmp(name, target) != 0)
        return before_without_compose(planned->description);
    if (planned)
        return json_incref(planned->description);
    if (strcmp(name, target) == 0)
        say_log(r->call, COFRE_LOG_WARNING,
                "volume '%s' is made without labels, since what describes it was not asked for: SOURCE:.docker/volumes/"
                "%s.json before SOURCE:%s gives those, too",
                target, name, name);
    return json_pack("{s:s}", "Driver", "local");
}

static int32_t make_volume(struct restoring *r, const char *name, struct note_item *item, struct volume *volume)
{
    json_t *description = description_of(r, name, item->volume);
    if (!description)
        return cofre_fail_errno(r->error, ENOMEM, "make volume '%s'", item->volume);
    int32_t status = note_write(&r->note, r->error);
    if (status == COFRE_OK)
        status = volume_make(r->source->daemon, r->call, item->volume, description, volume, r->error);
    json_decref(description);
    return status;
}

static int32_t fill_new(struct restoring *r, const char *name, const struct volume *volume, size_t at, int fd,
                        const struct cofre_entry **entry)
{
    bool empty;
    int32_t status = root_is_empty(fd, &empty, r->error);
    if (status == COFRE_OK && !empty)
        status =
            cofre_fail(r->error, COFRE_E_EXISTS, "fill volume '%s': it was just made, and has content", volume->name);
    if (status == COFRE_OK)
        status = look_for_room(r, name, fd);
    if (status == COFRE_OK)
        status = beside_identify(&r->note.items[at], volume, fd, r->error);
    if (status == COFRE_OK)
        status = note_write(&r->note, r->error);
    if (status == COFRE_OK && fchmod(fd, 0700) != 0)
        status = cofre_fail_errno(r->error, errno, "close volume '%s' until it is filled", volume->name);
    return status == COFRE_OK ? fill(r, name, at, fd, entry) : status;
}

static int32_t fill_missing(struct restoring *r, const char *name, const struct cofre_entry **entry)
{
    VOLUME_AUTO volume = {0};
    struct note_item *item;
    int fd;
    int32_t status = fill_item(r, target_of(r, name), NOTE_MADE, &item);
    size_t at = r->note.count - 1;
    if (status == COFRE_OK)
        status = make_volume(r, name, item, &volume);
    if (status != COFRE_OK)
        return status;
    if (!volume.plain || !daemon_is_local(r->source->daemon))
        return pour_volume(r, name, &volume, at, entry);
    status = volume_open(r->source->daemon, &volume, &fd, r->error);
    if (status != COFRE_OK)
        return status;
    status = fill_new(r, name, &volume, at, fd, entry);
    close(fd);
    return status;
}

/* ---- one that is there ---- */

static int32_t refuse_content(struct restoring *r, const char *volume)
{
    int32_t class = cofre_fail(r->error, COFRE_E_EXISTS, "restore volume '%s': it has content", volume);
    cofre_hint(r->error, "--in-place replaces it, and keeps what it holds; --set volume=OTHER leaves it alone");
    return class;
}

/* May its content be exchanged, now that nothing has happened yet? */
static int32_t may_replace(struct restoring *r, const struct volume *volume, int data)
{
    bool empty;
    int32_t status = root_is_empty(data, &empty, r->error);
    if (status != COFRE_OK)
        return status;
    if (!empty && !r->source->options->overwrite)
        return refuse_content(r, volume->name);
    const struct container *user = users_running(&r->users, volume->name, volume->mountpoint);
    if (user && !r->source->options->overwrite) {
        status = cofre_fail(r->error, COFRE_E_BUSY, "restore volume '%s': container '%s' is using it", volume->name,
                            user->name);
        cofre_hint(r->error, "stop it, or say --in-place: then it is stopped, and started again");
        return status;
    }
    return users_refuse(&r->users, volume->name, volume->mountpoint, r->error);
}

static int32_t fill_beside(struct restoring *r, const char *name, const struct volume *volume, int data,
                           const struct cofre_entry **entry)
{
    struct note_item *item;
    int fd;
    int32_t status = may_replace(r, volume, data);
    if (status == COFRE_OK)
        status = look_for_room(r, name, data);
    if (status == COFRE_OK)
        status = fill_item(r, volume->name, NOTE_BESIDE, &item);
    size_t at = r->note.count - 1;
    if (status == COFRE_OK)
        status = beside_find(item, volume, data, r->error);
    if (status == COFRE_OK)
        status = note_write(&r->note, r->error);
    if (status == COFRE_OK)
        status = beside_make(&r->note, item, &fd, r->error);
    if (status != COFRE_OK)
        return status;
    /* By its inode nothing else is ever taken for it. */
    status = note_write(&r->note, r->error);
    if (status == COFRE_OK)
        status = fill(r, name, at, fd, entry);
    close(fd);
    return status;
}

int32_t fill_whole(struct restoring *r, const char *name, const struct cofre_entry **entry)
{
    VOLUME_AUTO volume = {0};
    struct daemon *daemon = r->source->daemon;
    int data;
    int32_t status = volume_look(daemon, r->call, target_of(r, name), &volume, r->error);
    if (status == COFRE_E_NOT_FOUND)
        return fill_missing(r, name, entry);
    if (status != COFRE_OK)
        return status;
    if (!volume.plain || !daemon_is_local(daemon))
        return pour_into(r, name, &volume, entry);
    status = volume_open(daemon, &volume, &data, r->error);
    if (status != COFRE_OK)
        return status;
    status = fill_beside(r, name, &volume, data, entry);
    close(data);
    return status;
}

/* ---- a part of one ---- */

static int32_t put_part(struct restoring *r, const char *name, const struct volume *volume, int data,
                        const struct cofre_entry **entry)
{
    const struct options *o = r->source->options;
    struct tree_write_options options = {.path = volume->mountpoint,
                                         .overwrite = o->overwrite,
                                         .devices = o->devices,
                                         .setuid = o->setuid,
                                         .numeric_owner = o->numeric_owner,
                                         .exact = o->exact,
                                         .exclude = &r->source->exclude_paths,
                                         .include = &nothing};
    struct tree_write_part part = {.prefix = name, .root = data};
    int32_t status = tree_write_part(r->call, &options, &part, entry, r->error);
    if (status != COFRE_OK)
        return status;
    say_log(r->call, COFRE_LOG_NOTICE, "volume '%s': %" PRIu64 " entries put into it as it is; nothing was stopped",
            volume->name, part.counts.given - part.counts.left_out - part.counts.failed);
    return COFRE_OK;
}

int32_t fill_part(struct restoring *r, const char *name, const struct cofre_entry **entry)
{
    VOLUME_AUTO volume = {0};
    int data;
    const char *target = target_of(r, name);
    int32_t status = volume_look(r->source->daemon, r->call, target, &volume, r->error);
    if (status == COFRE_E_NOT_FOUND)
        cofre_hint(r->error, "restore all of it, or make it first: docker volume create %.80s", target);
    if (status != COFRE_OK)
        return status;
    if (!volume.plain || !daemon_is_local(r->source->daemon)) {
        status = cofre_fail(r->error, COFRE_E_UNSUPPORTED,
                            "restore a part of volume '%s': its files cannot be reached from here", target);
        cofre_hint(r->error, "restore it with --into DIR, and copy it: docker cp");
        return status;
    }
    status = volume_open(r->source->daemon, &volume, &data, r->error);
    if (status != COFRE_OK)
        return status;
    status = put_part(r, name, &volume, data, entry);
    close(data);
    return status;
}
