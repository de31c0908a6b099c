#include "common/tree_write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "common/descent.h"
#include "common/failure.h"
#include "common/finish.h"
#include "common/names.h"
#include "common/place.h"
#include "common/root.h"

#define DIRECTORY_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK)
#define ACLS_MAX 2
#define LATE_LINES 20

/* A directory on the way to the entry at hand. Its metadata waits until everything in it is there. */
struct level {
    bool announced; /* it has metadata */
    bool existed;   /* before this run */
    bool inherits;  /* hands ACLs or its group down */
    bool opened_up; /* had to get rights for us: mode is what it had */
    mode_t mode;
    struct finish_metadata metadata;
    struct cofre_attribute acls[ACLS_MAX]; /* copies */
};

struct writer {
    struct place place;
    struct descent descent;
    struct level *levels; /* one for each of descent's */
    size_t level_capacity;
    struct cofre_error why;
    uint64_t late;       /* directories that did not get all of their metadata */
    int link_dir;        /* the directory of the last hard link's first name; -1 = none */
    char *link_dir_path; /* DESCENT_PATH_MAX + 1 bytes */
    size_t link_dir_length;
};

/* ---- directories ---- */

static void free_acls(struct level *level)
{
    for (uint32_t i = 0; i < ACLS_MAX; i++) {
        free((void *)(uintptr_t)level->acls[i].value);
        level->acls[i].value = NULL;
    }
}

/* A directory whose metadata could not be set when the walk left it: its entry was done long before. */
static void tell_late(struct writer *w, const struct cofre_error *why)
{
    char quoted[FAILURE_QUOTE_MAX], line[sizeof why->message + FAILURE_QUOTE_MAX];
    if (w->late++ >= LATE_LINES)
        return;
    snprintf(line, sizeof line, "the directory '%s' is not as it was: %s",
             failure_quote(w->descent.path, descent_path_length(&w->descent), quoted), why->message);
    cofre->log(w->place.call, COFRE_LOG_WARNING, line);
}

static void finish_level(struct writer *w, struct level *level)
{
    struct cofre_error why = {.struct_size = sizeof why};
    struct finish_losses losses = {.why = &why};
    struct stat st;
    int fd = descent_fd(&w->descent);
    if (fstat(fd, &st) != 0) {
        finish_lose(&losses, errno, "look at it");
    } else if (level->announced) {
        struct finish_subject subject = {.fd = fd, .inherits = level->existed, .st = &st};
        level->metadata.attributes = level->acls; /* levels move while their stack grows */
        finish_directory(&w->place.rules, &subject, &level->metadata, &losses);
    } else if (level->opened_up && fchmod(fd, level->mode) != 0) {
        finish_lose(&losses, errno, "give back its mode");
    }
    if (finish_result(&losses) != COFRE_OK)
        tell_late(w, &why);
    free_acls(level);
}

/* Leave the lowest directory. */
static int32_t leave(struct writer *w)
{
    finish_level(w, &w->levels[w->descent.depth - 1]);
    if (w->descent.depth == 1)
        return COFRE_OK;
    int errnum = descent_pop(&w->descent);
    if (errnum)
        return failure_system(w->place.error, errnum,
                              "go back up in the target: somebody moved a directory while it was written");
    return COFRE_OK;
}

/* Without root's rights a directory of our own may be closed to ourselves. */
static int open_up(struct writer *w, int dir, const char *name, struct level *level)
{
    struct stat st;
    char path[32];
    int fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    bool done = fstat(fd, &st) == 0 && st.st_uid == w->place.rules.user && chmod(path, st.st_mode | 0700) == 0;
    close(fd);
    if (!done) {
        errno = EACCES;
        return -1;
    }
    level->opened_up = true;
    level->mode = st.st_mode & 07777;
    return openat(dir, name, DIRECTORY_FLAGS);
}

static int32_t not_opened(struct writer *w, int errnum)
{
    if (errnum != ENOTDIR && errnum != ELOOP)
        return failure_system(&w->why, errnum, "open the directory");
    int32_t class = failure_set(&w->why, COFRE_E_EXISTS, "open the directory: a symlink or a file is in its place");
    failure_hint(&w->why, "remove what is there, or restore into another directory");
    return class;
}

static int32_t refuse(struct writer *w, const char *what, const char *why)
{
    return failure_set(&w->why, COFRE_E_INTEGRITY, "accept the %s: %s", what, why);
}

/* What the directory hands down, and what it needs for us to work in it. */
static int32_t examine(struct writer *w, int fd, struct stat *st, struct level *level, bool handed_down)
{
    const struct finish_rules *rules = &w->place.rules;
    if (fstat(fd, st) != 0)
        return failure_system(&w->why, errno, "look at the directory");
    if (!level->existed && st->st_uid != rules->user && !rules->foreign)
        return failure_set(&w->why, COFRE_E_CHANGED, "make the directory: somebody replaced it meanwhile");
    if (!level->existed && handed_down) {
        if (fremovexattr(fd, "system.posix_acl_default") != 0 && errno != ENODATA && errno != EOPNOTSUPP)
            return failure_system(&w->why, errno, "remove an inherited ACL");
        if (fchmod(fd, 0700) != 0)
            return failure_system(&w->why, errno, "set the mode of the new directory");
        level->existed = true; /* so that what is left of the inheritance goes at the end */
        level->inherits = st->st_gid != rules->group;
        return COFRE_OK;
    }
    if (level->existed && rules->user != 0 && !level->opened_up && (st->st_mode & 0300) != 0300 &&
        fchmod(fd, st->st_mode | 0700) == 0) {
        level->opened_up = true;
        level->mode = st->st_mode & 07777;
    }
    level->inherits = (st->st_mode & S_ISGID) || st->st_gid != rules->group ||
                      (level->existed && fgetxattr(fd, "system.posix_acl_default", NULL, 0) > 0);
    return COFRE_OK;
}

static int32_t push(struct writer *w, int fd, const struct stat *st, const struct level *level)
{
    int errnum = w->descent.depth ? descent_push(&w->descent, fd, st) : descent_begin(&w->descent, fd, st);
    if (!errnum && w->descent.depth > w->level_capacity) {
        size_t larger = w->level_capacity ? w->level_capacity * 2 : 64;
        void *levels = realloc(w->levels, larger * sizeof *w->levels);
        errnum = levels ? 0 : ENOMEM;
        w->levels = levels ? levels : w->levels;
        w->level_capacity = levels ? larger : w->level_capacity;
    }
    if (errnum)
        return failure_system(w->place.error, errnum, "go down into a directory");
    w->levels[w->descent.depth - 1] = *level;
    return COFRE_OK;
}

/* Into the directory name of the lowest one; it is made when it is not there. Returns what ends the restore; *result is
 * the entry's. */
static int32_t step_down(struct writer *w, const char *name, size_t length, int32_t *result)
{
    struct level level = {0};
    struct stat st;
    int dir = descent_fd(&w->descent);
    level.existed = mkdirat(dir, name, 0700) != 0;
    if (level.existed && errno != EEXIST) {
        *result = failure_system(&w->why, errno, "make the directory");
        return COFRE_OK;
    }
    int fd = openat(dir, name, DIRECTORY_FLAGS);
    if (fd < 0 && errno == EACCES && level.existed && w->place.rules.user != 0)
        fd = open_up(w, dir, name, &level);
    if (fd < 0) {
        *result = not_opened(w, errno);
        return COFRE_OK;
    }
    *result = examine(w, fd, &st, &level, w->levels[w->descent.depth - 1].inherits);
    if (*result == COFRE_OK && !descent_name(&w->descent, name, length))
        *result = refuse(w, "path", "it is too long");
    if (*result != COFRE_OK) {
        close(fd);
        return COFRE_OK;
    }
    return push(w, fd, &st, &level);
}

/* ---- the way to an entry ---- */

/* Is the lowest directory the one of this path, or above it? */
static bool is_above(const struct writer *w, const char *path, size_t length)
{
    size_t n = descent_path_length(&w->descent);
    return n == 0 || (n <= length && (n == length || path[n] == '/') && !memcmp(path, w->descent.path, n));
}

/* Up and down to the directory path, through directories that are missing in the stream, too. */
static int32_t go_to(struct writer *w, const char *path, size_t length, int32_t *result)
{
    char name[NAME_MAX + 1];
    while (!is_above(w, path, length)) {
        int32_t status = leave(w);
        if (status != COFRE_OK)
            return status;
    }
    size_t at = descent_path_length(&w->descent);
    at += at > 0;
    while (at < length && *result == COFRE_OK) {
        const char *slash = memchr(path + at, '/', length - at);
        size_t n = (size_t)((slash ? slash : path + length) - (path + at));
        memcpy(name, path + at, n);
        name[n] = '\0';
        int32_t status = step_down(w, name, n, result);
        if (status != COFRE_OK)
            return status;
        at += n + 1;
    }
    return COFRE_OK;
}

/* Why a path cannot be one of ours; NULL when it can. */
static const char *path_fault(const char *path, size_t length)
{
    if (length > DESCENT_PATH_MAX || memchr(path, '\0', length))
        return "it is too long or holds a zero byte";
    for (size_t at = 0; at < length;) {
        const char *p = path + at, *slash = memchr(p, '/', length - at);
        size_t n = slash ? (size_t)(slash - p) : length - at;
        if (n == 0 || at + n + 1 == length)
            return "it has an empty component";
        if (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.')))
            return "it has a component that leads elsewhere";
        if (n > NAME_MAX)
            return "it has a component that is too long";
        at += n + 1;
    }
    return NULL;
}

static size_t parent_length(const char *path, size_t length)
{
    const char *slash = memrchr(path, '/', length);
    return slash ? (size_t)(slash - path) : 0;
}

/* ---- kinds ---- */

/* ACLs wait with the rest of the metadata; what else there is is set now, while a failure can be told as the entry's.
 */
static int32_t keep_metadata(struct writer *w, const struct cofre_entry *entry, int32_t *result)
{
    struct level *level = &w->levels[w->descent.depth - 1];
    struct finish_losses losses = {.why = &w->why};
    struct finish_subject subject = {.fd = descent_fd(&w->descent)};
    struct finish_metadata m = finish_of(&w->place.rules, entry);
    finish_attributes(&w->place.rules, &subject, &m, FINISH_OTHERS, &losses);
    *result = finish_result(&losses);
    free_acls(level);
    level->announced = true;
    level->metadata = m;
    level->metadata.attributes = NULL;
    level->metadata.attribute_count = 0;
    level->metadata.attribute_stride = sizeof level->acls[0];
    const char *p = (const void *)m.attributes;
    for (uint32_t i = 0; i < m.attribute_count; i++, p += m.attribute_stride) {
        const struct cofre_attribute *a = (const void *)p;
        static const char *const names[ACLS_MAX] = {"system.posix_acl_access", "system.posix_acl_default"};
        if (!finish_is_acl(a->name) || level->metadata.attribute_count == ACLS_MAX)
            continue;
        struct cofre_attribute *copy = &level->acls[level->metadata.attribute_count];
        void *value = malloc(a->length + 1);
        if (!value)
            return failure_system(w->place.error, ENOMEM, "keep the ACL of a directory");
        memcpy(value, a->value, a->length);
        *copy = (struct cofre_attribute){names[strcmp(a->name, names[0]) != 0], value, a->length};
        level->metadata.attribute_count++;
    }
    return COFRE_OK;
}

static int32_t put_directory(struct writer *w, const struct cofre_entry *entry, int32_t *result)
{
    int32_t status = go_to(w, entry->path, entry->path_length, result);
    return status == COFRE_OK && *result == COFRE_OK ? keep_metadata(w, entry, result) : status;
}

/* The directory of a hard link's first name, from the root down. */
static int open_link_dir(struct writer *w, const char *path, size_t length)
{
    char name[NAME_MAX + 1];
    if (w->link_dir >= 0 && w->link_dir_length == length && !memcmp(w->link_dir_path, path, length))
        return w->link_dir;
    int at = dup(w->descent.levels[0].fd);
    for (size_t from = 0; at >= 0 && from < length;) {
        size_t n = (size_t)(strchrnul(path + from, '/') - (path + from));
        memcpy(name, path + from, n);
        name[n] = '\0';
        int next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        int errnum = errno;
        close(at);
        errno = errnum;
        at = next;
        from += n + 1;
    }
    if (at < 0)
        return -1;
    if (w->link_dir >= 0)
        close(w->link_dir);
    w->link_dir = at;
    memcpy(w->link_dir_path, path, length);
    w->link_dir_length = length;
    return at;
}

static void put_link(struct writer *w, const struct place_spot *spot, const struct cofre_entry *entry, int32_t *result)
{
    const char *fault = path_fault(entry->link, entry->link_length);
    if (fault || entry->link_length == 0) {
        *result = refuse(w, "first name of the hard link", fault ? fault : "it is empty");
        return;
    }
    size_t parent = parent_length(entry->link, entry->link_length);
    bool same = parent == descent_path_length(&w->descent) && !memcmp(entry->link, w->descent.path, parent);
    int dir = same ? spot->dir : open_link_dir(w, entry->link, parent);
    if (dir < 0)
        *result = failure_system(&w->why, errno, "open the directory of the hard link's first name");
    else
        place_link(&w->place, spot, dir, entry->link + parent + (parent > 0), result);
}

static int32_t put_other(struct writer *w, const struct cofre_entry *entry, int32_t *result)
{
    size_t parent = parent_length(entry->path, entry->path_length);
    int32_t status = go_to(w, entry->path, parent, result);
    if (status != COFRE_OK || *result != COFRE_OK)
        return status;
    struct place_spot spot = {.dir = descent_fd(&w->descent),
                              .name = entry->path + parent + (parent > 0),
                              .inherits = w->levels[w->descent.depth - 1].inherits};
    if (entry->kind == COFRE_FILE || entry->kind == COFRE_STREAM)
        return place_file(&w->place, &spot, entry, result);
    if (entry->kind == COFRE_HARDLINK)
        put_link(w, &spot, entry, result);
    else
        place_node(&w->place, &spot, entry, result);
    return COFRE_OK;
}

static int32_t put(struct writer *w, const struct cofre_entry *entry, int32_t *result)
{
    const char *fault = path_fault(entry->path, entry->path_length);
    *result = COFRE_OK;
    if (fault)
        *result = refuse(w, "path", fault);
    else if (entry->kind < COFRE_FILE || entry->kind > COFRE_STREAM)
        *result = failure_set(&w->why, COFRE_E_UNSUPPORTED, "put it back: a kind of entry that is not known here");
    else if (entry->path_length == 0 && entry->kind != COFRE_DIRECTORY)
        *result = refuse(w, "path", "only a directory may be the root");
    else if ((entry->kind == COFRE_SYMLINK || entry->kind == COFRE_HARDLINK) && !entry->link)
        *result = refuse(w, "link", "it has no target");
    else
        return entry->kind == COFRE_DIRECTORY ? put_directory(w, entry, result) : put_other(w, entry, result);
    return COFRE_OK;
}

/* ---- the whole ---- */

static int32_t put_all(struct writer *w)
{
    for (;;) {
        const struct cofre_entry *entry;
        int32_t result, status = cofre->next(w->place.call, &entry, w->place.error);
        if (status == COFRE_END)
            return COFRE_OK;
        if (status == COFRE_OK)
            status = put(w, entry, &result);
        if (status == COFRE_OK)
            status = cofre->done(w->place.call, result, &w->why, w->place.error);
        if (status != COFRE_OK)
            return status;
        if (result == COFRE_E_NO_SPACE) {
            *w->place.error = w->why;
            return result;
        }
    }
}

static int64_t milliseconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int32_t make_durable(struct writer *w)
{
    char line[80];
    int64_t begin = milliseconds();
    if (syncfs(w->descent.levels[0].fd) != 0)
        return failure_system(w->place.error, errno, "flush the file system of the target");
    snprintf(line, sizeof line, "flushing the target took %lld ms", (long long)(milliseconds() - begin));
    cofre->log(w->place.call, COFRE_LOG_DEBUG, line);
    return COFRE_OK;
}

static int32_t finish(struct writer *w)
{
    int32_t status;
    while (w->descent.depth > 1)
        if ((status = leave(w)) != COFRE_OK)
            return status;
    leave(w);
    status = make_durable(w);
    if (status != COFRE_OK)
        return status;
    if (w->place.rules.owners_kept)
        cofre->log(w->place.call, COFRE_LOG_WARNING,
                   "not run as root: entries that belong to others were restored as belonging to this user");
    if (w->late)
        return failure_set(
            w->place.error, COFRE_E_UNSUPPORTED,
            "restore the directories: %llu did not get back owner, mode, ACL or time; the log names them",
            (unsigned long long)w->late);
    return COFRE_OK;
}

static int32_t begin(struct writer *w, const struct tree_write_options *options)
{
    struct cofre_error *error = w->place.error;
    struct level level = {.existed = true};
    struct stat st;
    int root;
    w->link_dir_path = malloc(DESCENT_PATH_MAX + 1);
    w->place.rules.names = options->numeric_owner ? NULL : names_new();
    if (!w->link_dir_path || (!options->numeric_owner && !w->place.rules.names))
        return failure_system(error, ENOMEM, "restore into '%s'", options->path);
    int32_t status = root_make(options->path, &root, error);
    if (status != COFRE_OK)
        return status;
    status = place_begin(&w->place, root, options->path);
    if (status == COFRE_OK && (status = examine(w, root, &st, &level, false)) != COFRE_OK)
        *error = w->why;
    if (status != COFRE_OK) {
        close(root);
        return status;
    }
    return push(w, root, &st, &level);
}

int32_t tree_write(struct cofre_call *call, const struct tree_write_options *options, struct cofre_error *error)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return failure_system(error, ENOMEM, "restore into '%s'", options->path);
    w->why.struct_size = sizeof w->why;
    w->link_dir = -1;
    w->place = (struct place){
        .call = call, .devices = options->devices, .overwrite = options->overwrite, .why = &w->why, .error = error};
    w->place.rules = (struct finish_rules){.user = geteuid(), .group = getegid(), .setuid = options->setuid};
    int32_t status = begin(w, options);
    if (status == COFRE_OK)
        status = put_all(w);
    if (status == COFRE_OK)
        status = finish(w);
    for (size_t i = 0; i < w->descent.depth && i < w->level_capacity; i++)
        free_acls(&w->levels[i]);
    descent_end(&w->descent);
    if (w->link_dir >= 0)
        close(w->link_dir);
    names_free(w->place.rules.names);
    free(w->link_dir_path);
    free(w->levels);
    free(w);
    return status;
}
