#include "common/mounts.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cofre/plugin.h"

#define MOUNTINFO "/proc/self/mountinfo" /* proc(5) */

/* A line of it. */
struct row {
    char device[24], path[PATH_MAX + 1], type[64];
};

/* Blanks and backslashes stand there as \ooo. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        bool escaped = from[0] == '\\' && strspn(from + 1, "01234567") >= 3;
        *to = escaped ? (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + from[3] - '0') : *from;
        from += escaped ? 4 : 1;
    }
    *to = '\0';
}

static bool parse(const char *line, struct row *row)
{
    const char *dash = strstr(line, " - ");
    if (!dash || sscanf(line, "%*s %*s %23s %*s %4096s", row->device, row->path) != 2 ||
        sscanf(dash + 3, "%63s", row->type) != 1)
        return false;
    unescape(row->path);
    return true;
}

/* What follows path/ in the longer one; NULL when it is not below. */
static const char *below(const char *path, const char *longer)
{
    size_t n = strlen(path);
    n -= n > 0 && path[n - 1] == '/';
    return strncmp(longer, path, n) == 0 && longer[n] == '/' && longer[n + 1] ? longer + n + 1 : NULL;
}

static bool holds(const char *mount, const char *path)
{
    return strcmp(mount, path) == 0 || below(mount, path);
}

/* Subvolumes of btrfs are told apart by their device alone, which is not in the list; a local disk may be asked. */
static bool is_entered(const struct row *row, const char *device, dev_t root)
{
    struct stat st;
    if (strcmp(row->device, device) != 0)
        return false;
    return strcmp(row->type, "btrfs") != 0 || (lstat(row->path, &st) == 0 && st.st_dev == root);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Only those remain that no other one is above. */
static void keep_highest(struct mounts *m)
{
    size_t kept = 0;
    if (m->count > 0)
        qsort(m->paths, m->count, sizeof *m->paths, compare);
    for (size_t i = 0; i < m->count; i++) {
        bool hidden = false;
        for (size_t k = 0; k < kept && !hidden; k++)
            hidden = holds(m->paths[k], m->paths[i]);
        if (hidden)
            free(m->paths[i]);
        else
            m->paths[kept++] = m->paths[i];
    }
    m->count = kept;
}

static bool add(struct mounts *m, const char *path)
{
    char **paths = realloc(m->paths, (m->count + 1) * sizeof *paths);
    if (!paths)
        return false;
    m->paths = paths;
    paths[m->count] = strdup(path);
    return paths[m->count] && ++m->count;
}

/* The device of the mount that path is on: the last of the longest. */
static void find_device(FILE *file, char **line, size_t *size, const char *path, char device[24])
{
    struct row row;
    size_t longest = 0;
    while (getline(line, size, file) >= 0)
        if (parse(*line, &row) && holds(row.path, path) && strlen(row.path) >= longest) {
            longest = strlen(row.path);
            memcpy(device, row.device, sizeof row.device);
        }
    rewind(file);
}

static int32_t collect(struct mounts *m, FILE *file, dev_t root, const char *path, struct cofre_error *error)
{
    char device[24] = "", *line = NULL;
    size_t size = 0;
    struct row row;
    bool whole = true;
    find_device(file, &line, &size, path, device);
    while (whole && getline(&line, &size, file) >= 0) {
        const char *inside = parse(line, &row) ? below(path, row.path) : NULL;
        if (inside && !is_entered(&row, device, root))
            whole = add(m, inside);
    }
    free(line);
    keep_highest(m);
    return whole ? COFRE_OK : cofre_fail_errno(error, ENOMEM, "read the mount points below '%s'", path);
}

int32_t mounts_below(struct mounts *mounts, int root, const char *path, struct cofre_error *error)
{
    struct stat st;
    *mounts = (struct mounts){0};
    char *whole = realpath(path, NULL);
    FILE *file = whole && fstat(root, &st) == 0 ? fopen(MOUNTINFO, "re") : NULL;
    int32_t status = file ? collect(mounts, file, st.st_dev, whole, error)
                          : cofre_fail_errno(error, errno, "read the mount points below '%s'", path);
    if (file)
        fclose(file);
    free(whole);
    return status;
}

void mounts_free(struct mounts *mounts)
{
    for (size_t i = 0; i < mounts->count; i++)
        free(mounts->paths[i]);
    free(mounts->paths);
    *mounts = (struct mounts){0};
}
