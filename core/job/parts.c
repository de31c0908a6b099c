#include "job/parts.h"

#include <stdlib.h>
#include <string.h>

#include "job/restore.h"
#include "snapshot/path.h"

static int compare_paths(const void *a, const void *b)
{
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    return path_compare(x, strlen(x), y, strlen(y));
}

const char **parts_paths(const struct restore_request *request, const struct manifest_source *source)
{
    const char **paths = calloc(request->part_count + 1, sizeof *paths);
    size_t count = 0, kept = 0;
    for (size_t i = 0; paths && i < request->part_count; i++) {
        const char *path = request->parts[i].path;
        if (request->parts[i].source == source)
            paths[count++] = path ? path : "";
    }
    if (count > 0)
        qsort(paths, count, sizeof *paths, compare_paths);
    for (size_t i = 0; i < count; i++) {
        const char *last = kept ? paths[kept - 1] : NULL, *path = paths[i];
        if (!last || (strcmp(last, path) != 0 && !path_is_below(path, strlen(path), last, strlen(last))))
            paths[kept++] = path;
    }
    /* All of the source. */
    kept = kept > 0 && paths[0][0] == '\0' ? 0 : kept;
    if (paths)
        paths[kept] = NULL;
    return paths;
}

bool parts_wanted(const struct restore_request *request, const struct manifest_source *source)
{
    bool wanted = request->part_count == 0;
    for (size_t i = 0; i < request->part_count; i++)
        wanted |= request->parts[i].source == source;
    return wanted;
}
