#include "docker-volume/note.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/ownfile.h"

static const char *const phases[] = {"filling", "exchanging", "back"};
static const char *const ways[] = {"made", "beside", "poured"};

/* ---- as JSON ---- */

static json_t *item_json(const struct note_item *item)
{
    return json_pack("{s:s, s:s, s:b, s:s, s:s, s:I, s:s, s:O?}", "volume", item->volume, "way", ways[item->way],
                     "empty", item->empty, "place", item->place, "leaf", item->leaf, "inode", (json_int_t)item->inode,
                     "before", item->before, "description", item->description);
}

static json_t *note_json(const struct note *note)
{
    json_t *items = json_array();
    for (size_t i = 0; items && i < note->count; i++)
        if (json_array_append_new(items, item_json(&note->items[i])) != 0) {
            json_decref(items);
            items = NULL;
        }
    return items ? json_pack("{s:s, s:o}", "phase", phases[note->phase], "volumes", items) : NULL;
}

static bool find(const char *const *table, size_t count, const char *text, unsigned *at)
{
    for (*at = 0; *at < count; ++*at)
        if (strcmp(table[*at], text) == 0)
            return true;
    return false;
}

static bool copy(char *to, size_t size, const char *from)
{
    return (size_t)snprintf(to, size, "%s", from) < size;
}

static bool read_item(struct note *note, json_t *json)
{
    const char *volume, *way, *place, *leaf, *before;
    json_int_t inode;
    json_t *description = NULL;
    unsigned at;
    int empty;
    if (json_unpack(json, "{s:s, s:s, s:b, s:s, s:s, s:I, s:s, s?o}", "volume", &volume, "way", &way, "empty", &empty,
                    "place", &place, "leaf", &leaf, "inode", &inode, "before", &before, "description",
                    &description) != 0 ||
        !find(ways, sizeof ways / sizeof ways[0], way, &at) || !volume_is_name(volume))
        return false;
    struct note_item *item = note_add(note, volume, (enum note_way)at);
    if (!item)
        return false;
    item->inode = (uint64_t)inode;
    item->empty = empty;
    item->description = json_is_object(description) ? json_incref(description) : NULL;
    return copy(item->place, sizeof item->place, place) && copy(item->leaf, sizeof item->leaf, leaf) &&
           copy(item->before, sizeof item->before, before);
}

static bool read_note(struct note *note, const json_t *json)
{
    const char *phase;
    json_t *items;
    unsigned at;
    if (json_unpack((json_t *)(uintptr_t)json, "{s:s, s:o}", "phase", &phase, "volumes", &items) != 0 ||
        !find(phases, sizeof phases / sizeof phases[0], phase, &at) || !json_is_array(items))
        return false;
    note->phase = (enum note_phase)at;
    for (size_t i = 0; i < json_array_size(items); i++)
        if (!read_item(note, json_array_get(items, i)))
            return false;
    return true;
}

/* ---- on the disk ---- */

/* The id of the note that this process has written. */
static char written[COFRE_MAX_ID + 1];

int32_t note_open(struct note *note, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    const char *directory;
    json_error_t why;
    *note = (struct note){0};
    int32_t status = cofre->directory(call, &directory, error);
    if (status != COFRE_OK)
        return status;
    if (!copy(note->id, sizeof note->id, id) || !copy(note->directory, sizeof note->directory, directory) ||
        (size_t)snprintf(note->path, sizeof note->path, "%s/restore-%s", directory, id) >= sizeof note->path)
        return cofre_fail(error, COFRE_E_CONFIG, "open the note of restore '%s': its path is too long", id);
    note->own = strcmp(written, id) == 0;
    FILE *file = ownfile_read(note->path);
    if (!file)
        return errno == ENOENT ? COFRE_OK : cofre_fail_errno(error, errno, "open '%s'", note->path);
    json_t *json = json_loadf(file, 0, &why);
    fclose(file);
    bool good = json && read_note(note, json);
    json_decref(json);
    if (good)
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_INTEGRITY, "read '%s': it is not what a restore wrote: %s", note->path,
                      json ? "a member is wrong" : why.text);
}

void note_close(struct note *note)
{
    for (size_t i = 0; i < note->count; i++)
        json_decref(note->items[i].description);
    free(note->items);
    note->items = NULL;
    note->count = 0;
}

struct note_item *note_add(struct note *note, const char *volume, enum note_way way)
{
    struct note_item *items = realloc(note->items, (note->count + 1) * sizeof *items);
    if (!items)
        return NULL;
    note->items = items;
    struct note_item *item = &items[note->count++];
    *item = (struct note_item){.way = way};
    snprintf(item->volume, sizeof item->volume, "%s", volume);
    return item;
}

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) != 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return failed;
}

static int write_all(const char *path, const char *text, size_t length)
{
    int fd = ownfile_make(path);
    int failed = fd < 0 ? errno : 0;
    for (size_t done = 0; !failed && done < length;) {
        ssize_t n = write(fd, text + done, length - done);
        if (n < 0 && errno != EINTR)
            failed = errno;
        done += n > 0 ? (size_t)n : 0;
    }
    if (!failed && fsync(fd) != 0)
        failed = errno;
    if (fd >= 0 && close(fd) != 0 && !failed)
        failed = errno;
    return failed;
}

int32_t note_write(const struct note *note, struct cofre_error *error)
{
    char part[PATH_MAX + 8];
    json_t *json = note_json(note);
    char *text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    json_decref(json);
    if (!text)
        return cofre_fail_errno(error, ENOMEM, "write '%s'", note->path);
    snprintf(part, sizeof part, "%s.part", note->path);
    int failed = write_all(part, text, strlen(text));
    free(text);
    if (!failed && rename(part, note->path) != 0)
        failed = errno;
    if (!failed)
        failed = sync_directory(note->directory);
    if (failed)
        unlink(part);
    else
        snprintf(written, sizeof written, "%s", note->id);
    return failed ? cofre_fail_errno(error, failed, "write '%s'", note->path) : COFRE_OK;
}

int32_t note_drop(const struct note *note, struct cofre_error *error)
{
    char part[PATH_MAX + 8];
    snprintf(part, sizeof part, "%s.part", note->path);
    if ((unlink(part) != 0 && errno != ENOENT) || (unlink(note->path) != 0 && errno != ENOENT))
        return cofre_fail_errno(error, errno, "remove '%s'", note->path);
    return COFRE_OK;
}

const char *note_beside(const struct note *note, char name[NOTE_NAME_MAX])
{
    snprintf(name, NOTE_NAME_MAX, "_cofre_%s", note->id);
    return name;
}
