/* Of gc_repack.h: is it worth to look into all snapshots? What they need less of, they do when some are gone; and to
 * look takes time, since every catalogue is read. So it is done when one in WORTH of those that there were is gone. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "repository/gc.h"
#include "repository/gc_repack.h"
#include "repository/repository.h"

#define WORTH 20
#define NAMES_MAX ((size_t)64 << 20)
#define NAME_SIZE 16 /* of a snapshot, as the beginning of a hash */

static void path_of(const struct gc *gc, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/repacked", gc->repository->state);
}

static int compare_names(const void *a, const void *b)
{
    return memcmp(a, b, NAME_SIZE);
}

/* Of all that are there, sorted. */
static int list_names(const struct gc *gc, struct bytes *names, struct error *e)
{
    size_t count;
    const struct gc_needs *rows = gc_needs_of(gc, &count);
    for (size_t i = 0; i < count; i++) {
        uint8_t hash[SEAL_HASH_SIZE];
        if (!rows[i].has_manifest || (i > 0 && strcmp(rows[i - 1].name, rows[i].name) == 0))
            continue;
        seal_hash(rows[i].name, strlen(rows[i].name), hash);
        bytes_put(names, hash, NAME_SIZE);
    }
    if (names->length > 0)
        qsort(names->data, names->length / NAME_SIZE, NAME_SIZE, compare_names);
    return bytes_check(names, "list of snapshots", e);
}

int gc_is_worth_repacking(const struct gc *gc, bool *worth, struct error *e)
{
    AUTO_BYTES struct bytes then = {.maximum = NAMES_MAX}, now = {.maximum = NAMES_MAX};
    char path[PATH_MAX];
    size_t gone = 0;
    *worth = true;
    path_of(gc, path);
    if (file_read_own(path, NAMES_MAX, &then, e) < 0)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    if (list_names(gc, &now, e) < 0)
        return -1;
    size_t count = then.length / NAME_SIZE;
    for (size_t i = 0; i < count; i++)
        gone += now.length == 0 ||
                !bsearch(then.data + i * NAME_SIZE, now.data, now.length / NAME_SIZE, NAME_SIZE, compare_names);
    *worth = gc->request->now || gone * WORTH >= count;
    *worth = *worth && gone > 0;
    return 0;
}

int gc_remember_repacked(const struct gc *gc, struct error *e)
{
    AUTO_BYTES struct bytes names = {.maximum = NAMES_MAX};
    char path[PATH_MAX];
    path_of(gc, path);
    if (gc->more_to_repack)
        return unlink(path) == 0 || errno == ENOENT ? 0 : error_system(e, errno, "remove '%s'", path);
    if (list_names(gc, &names, e) < 0 || file_make_trusted(gc->repository->state, e) < 0)
        return -1;
    return file_write(path, names.data, names.length, FILE_REPLACE, e);
}
