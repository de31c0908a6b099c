#include "docker-volume/before.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/pattern.h"
#include "common/root.h"
#include "common/tree_read.h"
#include "docker-volume/beside.h"
#include "docker-volume/say.h"

#define INFIX "_before_"
#define RESTORE_LABEL "cofre.restore" /* the id of the restore that made it */
#define COMPOSE "com.docker.compose."
#define ATTEMPTS 1000

static const struct pattern_set nothing;

static const char *label(const struct volume *volume, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(volume->json, "Labels"), name));
    return text ? text : "";
}

bool before_is(const struct volume *volume)
{
    return label(volume, BEFORE_LABEL)[0] != '\0';
}

/* ---- what it is to be ---- */

static json_t *plain_labels(json_t *labels)
{
    json_t *kept = json_object();
    for (void *i = json_object_iter(labels); kept && i; i = json_object_iter_next(labels, i)) {
        const char *name = json_object_iter_key(i);
        if (strncmp(name, COMPOSE, strlen(COMPOSE)) == 0)
            continue;
        if (json_object_set(kept, name, json_object_iter_value(i)) != 0) {
            json_decref(kept);
            kept = NULL;
        }
    }
    return kept;
}

json_t *before_without_compose(const json_t *description)
{
    json_t *copy = description ? json_copy((json_t *)(uintptr_t)description) : json_object();
    json_t *labels = plain_labels(json_object_get(description, "Labels"));
    if (copy && labels && json_object_set_new(copy, "Labels", labels) == 0)
        return copy;
    if (!copy)
        json_decref(labels);
    json_decref(copy);
    return NULL;
}

static json_t *describe(const struct note *note, const struct volume *volume)
{
    json_t *own = before_without_compose(volume->json);
    json_t *labels = json_object_get(own, "Labels");
    if (labels && json_object_set_new(labels, BEFORE_LABEL, json_string(volume->name)) == 0 &&
        json_object_set_new(labels, RESTORE_LABEL, json_string(note->id)) == 0) {
        json_t *description = json_pack("{s:s, s:O}", "Driver", volume->driver, "Labels", labels);
        json_decref(own);
        return description;
    }
    json_decref(own);
    return NULL;
}

/* As many bytes of the name as leave room for the tail. */
static void make_name(const char *volume, const char *snapshot, int number, char out[VOLUME_NAME_MAX + 1])
{
    char tail[80], suffix[16] = "";
    if (number > 1)
        snprintf(suffix, sizeof suffix, "_%d", number);
    snprintf(tail, sizeof tail, INFIX "%.40s%s", snapshot && *snapshot ? snapshot : "restore", suffix);
    size_t room = VOLUME_NAME_MAX - strlen(tail), n = strlen(volume);
    snprintf(out, VOLUME_NAME_MAX + 1, "%.*s%s", (int)(n < room ? n : room), volume, tail);
}

static int32_t free_name(struct daemon *daemon, struct cofre_call *call, const char *volume, const char *snapshot,
                         char out[VOLUME_NAME_MAX + 1], struct cofre_error *error)
{
    for (int number = 1; number <= ATTEMPTS; number++) {
        VOLUME_AUTO there = {0};
        make_name(volume, snapshot, number, out);
        int32_t status = volume_look(daemon, call, out, &there, error);
        if (status == COFRE_E_NOT_FOUND)
            return COFRE_OK;
        if (status != COFRE_OK)
            return status;
    }
    int32_t class = cofre_fail(error, COFRE_E_EXISTS, "keep what volume '%s' holds: there are %d volumes '%s' already",
                               volume, ATTEMPTS, out);
    cofre_hint(error, "remove those that are not needed any more: docker volume rm");
    return class;
}

int32_t before_choose(struct daemon *daemon, struct cofre_call *call, const struct note *note, const char *snapshot,
                      const struct volume *volume, struct note_item *item, struct cofre_error *error)
{
    int32_t status = free_name(daemon, call, volume->name, snapshot, item->before, error);
    if (status != COFRE_OK)
        return status;
    json_decref(item->description);
    item->description = describe(note, volume);
    return item->description ? COFRE_OK : cofre_fail_errno(error, ENOMEM, "keep what volume '%s' holds", volume->name);
}

/* ---- keeping ---- */

/* Is what was beside still to be kept? 0, ENOENT, or another errno. */
static int find_old(const struct note *note, const struct note_item *item, int place, bool *empty)
{
    char name[NOTE_NAME_MAX];
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    struct stat st;
    int old = openat(place, note_beside(note, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (old < 0)
        return errno;
    int errnum = fstat(old, &st) != 0 ? errno : st.st_ino == item->inode ? ESTALE : 0;
    if (!errnum && root_is_empty(old, empty, &ignored) != COFRE_OK)
        errnum = EIO;
    close(old);
    return errnum;
}

static int32_t not_ours(const struct note_item *item, struct cofre_error *error)
{
    int32_t class = cofre_fail(error, COFRE_E_EXISTS, "keep what volume '%s' held: somebody made a volume '%s'",
                               item->volume, item->before);
    cofre_hint(error, "remove that one, and it is kept by the next start of cofre; until then it is in '%.120s'",
               item->place);
    return class;
}

/* The volume of that name, made now or by an earlier attempt. */
static int32_t make_volume(struct daemon *daemon, struct cofre_call *call, const struct note *note,
                           const struct note_item *item, int *data, struct volume *volume, struct cofre_error *error)
{
    int32_t status = volume_make(daemon, call, item->before, item->description, volume, error);
    if (status == COFRE_E_EXISTS) {
        status = volume_look(daemon, call, item->before, volume, error);
        if (status == COFRE_OK && strcmp(label(volume, RESTORE_LABEL), note->id) != 0)
            status = not_ours(item, error);
    }
    return status == COFRE_OK ? volume_open(daemon, volume, data, error) : status;
}

static int32_t move_old(const struct note *note, const struct note_item *item, int place, const struct volume *volume,
                        int data, struct cofre_error *error)
{
    char name[NOTE_NAME_MAX];
    struct note_item kept = {.volume = ""};
    int to;
    snprintf(kept.volume, sizeof kept.volume, "%s", item->before);
    int32_t status = beside_find(&kept, volume, data, error);
    if (status == COFRE_OK)
        status = beside_place(&kept, &to, error);
    if (status != COFRE_OK)
        return status;
    /* Over the new volume's own directory, which is empty, or the kernel refuses. */
    if (renameat(place, note_beside(note, name), to, kept.leaf) != 0 || fsync(to) != 0 || fsync(place) != 0)
        status =
            cofre_fail_errno(error, errno, "keep what volume '%s' held as volume '%s'", item->volume, item->before);
    close(to);
    return status;
}

static int32_t keep(struct daemon *daemon, struct cofre_call *call, const struct note *note,
                    const struct note_item *item, int place, struct cofre_error *error)
{
    VOLUME_AUTO volume = {0};
    int data = -1;
    int32_t status = make_volume(daemon, call, note, item, &data, &volume, error);
    if (status == COFRE_OK)
        status = move_old(note, item, place, &volume, data, error);
    if (data >= 0)
        close(data);
    return status;
}

static void name_kept(struct cofre_call *call, const char *volume)
{
    char what[VOLUME_NAME_MAX + 20], removal[VOLUME_NAME_MAX + 20];
    snprintf(what, sizeof what, "volume '%s'", volume);
    snprintf(removal, sizeof removal, "docker volume rm %s", volume);
    cofre->leftover(call, what, removal);
}

int32_t before_keep(struct daemon *daemon, struct cofre_call *call, const struct note *note,
                    const struct note_item *item, bool *kept, struct cofre_error *error)
{
    char name[NOTE_NAME_MAX];
    bool empty = false;
    int place;
    *kept = false;
    int32_t status = beside_place(item, &place, error);
    if (status != COFRE_OK)
        return status == COFRE_E_NOT_FOUND ? COFRE_OK : status;
    int errnum = find_old(note, item, place, &empty);
    if (errnum == ESTALE)
        status = cofre_fail(error, COFRE_E_INTEGRITY, "keep what volume '%s' held: it was not exchanged", item->volume);
    else if (errnum && errnum != ENOENT)
        status = cofre_fail_errno(error, errnum, "look at what volume '%s' held, in '%s'", item->volume, item->place);
    else if (!errnum && empty && unlinkat(place, note_beside(note, name), AT_REMOVEDIR) != 0)
        status = cofre_fail_errno(error, errno, "remove the empty directory that volume '%s' was", item->volume);
    else if (!errnum && !empty) {
        status = keep(daemon, call, note, item, place, error);
        *kept = status == COFRE_OK;
        if (*kept)
            name_kept(call, item->before);
    }
    close(place);
    return status;
}

/* ---- which there are ---- */

static bool is_of(const struct survey *survey, const struct volume *volume)
{
    return before_is(volume) && survey_is_chosen(survey, label(volume, BEFORE_LABEL));
}

void before_name(struct cofre_call *call, const struct survey *survey)
{
    for (size_t i = 0; i < survey->volumes.count; i++)
        if (is_of(survey, &survey->volumes.items[i]))
            name_kept(call, survey->volumes.items[i].name);
}

static void say_size(struct daemon *daemon, struct cofre_call *call, const struct volume *volume, char *out,
                     size_t size)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    struct tree_read_counts counts;
    int data;
    out[0] = '\0';
    if (volume_open(daemon, volume, &data, &ignored) != COFRE_OK)
        return;
    struct tree_read_options options = {.path = volume->mountpoint,
                                        .prefix = volume->name,
                                        .root = data,
                                        .exclude = &nothing,
                                        .include = &nothing,
                                        .numeric_owner = true,
                                        .one_file_system = true};
    if (tree_read_count(call, &options, &counts, &ignored) == COFRE_OK)
        snprintf(out, size, "; it has %llu entries, %llu MiB", (unsigned long long)counts.entries,
                 (unsigned long long)(counts.bytes >> 20));
    close(data);
}

int32_t before_inspect(struct daemon *daemon, struct cofre_call *call, const struct survey *survey,
                       struct cofre_error *error)
{
    for (size_t i = 0; i < survey->volumes.count; i++) {
        const struct volume *volume = &survey->volumes.items[i];
        char size[80];
        if (!is_of(survey, volume))
            continue;
        int32_t status = cofre->cancelled(call, error);
        if (status != COFRE_OK)
            return status;
        say_size(daemon, call, volume, size, sizeof size);
        name_kept(call, volume->name);
        say_finding(call, COFRE_LOG_WARNING, "remove it when all is well: docker volume rm",
                    "volume '%s' is what a restore replaced in volume '%s'%s", volume->name,
                    label(volume, BEFORE_LABEL), size);
    }
    return COFRE_OK;
}
