#include "common/aside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/failure.h"
#include "common/pattern.h"

#define NAMES_BYTES_MAX ((size_t)4 << 30)
#define PLACES_MAX 100
#define OPEN_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define MARK "_before_"

int aside_begin(struct aside *a, struct cofre_call *call, const struct tree_write_options *options, int root)
{
    struct stat st;
    *a = (struct aside){
        .call = call, .options = options, .prefix = "", .root = root, .fd = -1, .listing.maximum = NAMES_BYTES_MAX};
    if (fstat(root, &st) != 0)
        return errno;
    a->device = st.st_dev;
    return 0;
}

void aside_end(struct aside *a)
{
    if (a->fd >= 0)
        close(a->fd);
    listing_free(&a->listing);
}

/* ---- the place ---- */

/* The first name that is free. */
static int make_place(struct aside *a)
{
    const char *root = a->options->path, *id = cofre->snapshot(a->call);
    size_t n = strlen(root);
    struct stat above;
    while (n > 1 && root[n - 1] == '/')
        n--;
    bool inside = fstatat(a->root, "..", &above, 0) != 0 || above.st_dev != a->device || n <= 1;
    for (int number = 1; number <= PLACES_MAX; number++) {
        int used = snprintf(a->place, sizeof a->place, "%.*s%s" MARK "%s", (int)n, root, inside ? "/." : "",
                            id ? id : "restore");
        if (number > 1 && used < (int)sizeof a->place)
            used += snprintf(a->place + used, sizeof a->place - (size_t)used, "_%d", number);
        if (used >= (int)sizeof a->place)
            return ENAMETOOLONG;
        if (mkdir(a->place, 0700) == 0)
            return 0;
        if (errno != EEXIST)
            return errno;
    }
    return EEXIST;
}

static int open_place(struct aside *a)
{
    if (a->fd >= 0)
        return 0;
    int errnum = make_place(a);
    if (errnum) {
        a->place[0] = '\0';
        return errnum;
    }
    a->fd = open(a->place, OPEN_FLAGS);
    return a->fd < 0 ? errno : 0;
}

/* The directory of this path in the place, made when it is missing. */
static int open_below(const struct aside *a, const char *path, size_t length)
{
    char name[NAME_MAX + 1];
    int at = fcntl(a->fd, F_DUPFD_CLOEXEC, 0);
    for (size_t from = 0; at >= 0 && from < length;) {
        const char *slash = memchr(path + from, '/', length - from);
        size_t n = (size_t)((slash ? slash : path + length) - (path + from));
        memcpy(name, path + from, n);
        name[n] = '\0';
        int next = mkdirat(at, name, 0700) == 0 || errno == EEXIST ? openat(at, name, OPEN_FLAGS) : -1;
        int errnum = errno;
        close(at);
        errno = errnum;
        at = next;
        from += n + 1;
    }
    return at;
}

/* ---- moving ---- */

static int move_name(struct aside *a, const struct aside_level *level, const char *name)
{
    int errnum = open_place(a);
    if (errnum)
        return errnum;
    int to = open_below(a, level->path, level->length);
    if (to < 0)
        return errno;
    errnum = renameat2(level->fd, name, to, name, RENAME_NOREPLACE) == 0 ? 0 : errno;
    close(to);
    return errnum;
}

static void move_aside(struct aside *a, const struct aside_level *level, const char *name)
{
    char *path = NULL, quoted[FAILURE_QUOTE_MAX], line[FAILURE_QUOTE_MAX + 120];
    int length = asprintf(&path, "%.*s%s%s", (int)level->length, level->path, level->length ? "/" : "", name);
    const char *shown = length < 0 ? name : path;
    size_t n = strlen(shown);
    int errnum = move_name(a, level, name);
    if (!errnum) {
        remark_add(&a->moved, shown, n);
    } else {
        if (a->stuck.count < REMARK_NAMED) {
            snprintf(line, sizeof line, "move '%s' aside: %s", failure_quote(shown, n, quoted),
                     strerrordesc_np(errnum));
            cofre->log(a->call, COFRE_LOG_WARNING, line);
        }
        remark_add(&a->stuck, shown, n);
    }
    if (length >= 0)
        free(path);
}

static bool is_directory(const struct aside_level *level, const struct listing_name *n, const char *name)
{
    struct stat st;
    if (n->type != DT_UNKNOWN)
        return n->type == DT_DIR;
    return fstatat(level->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* Does it belong to the source at all? */
static bool is_saved(const struct aside *a, const struct aside_level *level, const char *name, bool directory)
{
    const struct tree_write_options *o = a->options;
    char *path = NULL;
    int n = asprintf(&path, "%s%s%.*s%s%s", a->prefix, *a->prefix ? "/" : "", (int)level->length, level->path,
                     level->length ? "/" : "", name);
    if (n < 0)
        return false; /* what is not known stays */
    bool own = level->length == 0 && strncmp(name, "." MARK, sizeof "." MARK - 1) == 0;
    bool saved = !own && pattern_reaches(o->exclude, o->include, path, (size_t)n, directory);
    free(path);
    return saved;
}

/* The next name of the listing is not in the snapshot. */
static void drop_next(struct aside *a, const struct aside_level *level)
{
    struct listing_name n = a->listing.names[level->range->next++];
    const char *name = listing_text(&a->listing, &n);
    if (is_saved(a, level, name, is_directory(level, &n, name)))
        move_aside(a, level, name);
}

bool aside_enter(struct aside *a, const struct aside_level *level)
{
    struct cofre_error why = {.struct_size = sizeof why};
    struct stat st;
    if (fstat(level->fd, &st) != 0 || st.st_dev != a->device)
        return false;
    int again = openat(level->fd, ".", OPEN_FLAGS);
    int32_t result = again < 0 ? cofre_fail_errno(&why, errno, "list the directory")
                               : listing_read(&a->listing, again, level->range, &why);
    if (again >= 0)
        close(again);
    if (result == COFRE_OK || result == COFRE_E_CHANGED)
        return true;
    if (again >= 0)
        listing_drop(&a->listing, level->range);
    remark_add(&a->stuck, level->path, level->length);
    return false;
}

void aside_pass(struct aside *a, const struct aside_level *level, const char *name, bool directory)
{
    struct listing_range *range = level->range;
    while (range->next < range->end) {
        const struct listing_name *n = &a->listing.names[range->next];
        const char *there = listing_text(&a->listing, n);
        int order = strcmp(there, name);
        if (order > 0)
            return;
        if (order < 0) {
            drop_next(a, level);
            continue;
        }
        range->next++;
        if (is_directory(level, n, there) != directory)
            move_aside(a, level, there);
    }
}

void aside_leave(struct aside *a, const struct aside_level *level)
{
    while (level->range->next < level->range->end)
        drop_next(a, level);
    listing_drop(&a->listing, level->range);
}

int32_t aside_say(const struct aside *a, struct cofre_error *error)
{
    char what[FAILURE_QUOTE_MAX + 64], quoted[FAILURE_QUOTE_MAX];
    snprintf(what, sizeof what, "not in the snapshot, and moved to '%s'",
             failure_quote(a->place, strlen(a->place), quoted));
    remark_say(&a->moved, a->call, COFRE_LOG_NOTICE, what);
    if (a->stuck.count == 0)
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_UNSUPPORTED,
                      "restore exactly: %llu entries that are not in the snapshot could not be moved aside",
                      (unsigned long long)a->stuck.count);
}
