#include "common/tree_write.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/aside.h"
#include "common/delivery.h"
#include "common/descent.h"
#include "common/entry_path.h"
#include "common/failure.h"
#include "common/finish.h"
#include "common/level.h"
#include "common/names.h"
#include "common/place.h"
#include "common/root.h"

struct writer {
    struct place place;
    struct delivery delivery;
    struct aside aside;
    bool exact;
    struct descent descent;
    struct level *levels; /* one for each of descent's */
    size_t level_capacity;
    struct cofre_error why;
    uint64_t late;                 /* directories that are not as they were, and are no entries */
    struct entry_directory firsts; /* of first names of hard links */
    const char *prefix;            /* of what is taken; "" = all */
    struct tree_write_counts counts;
};

/* ---- directories ---- */

/* Its entry was done long before. */
static void finish_level(struct writer *w, struct level *level, int fd, const char *path, size_t length)
{
    struct losses losses;
    level_finish(level, &w->place.rules, fd, &losses);
    if (losses_result(&losses) == COFRE_OK)
        return;
    w->late += !level->announced;
    delivery_lost(&w->delivery, path, length, &losses, level->announced && !level->told);
}

/* The last file of a directory has arrived. */
static void settled(void *context, struct folder *folder)
{
    struct writer *w = context;
    if (folder->left)
        finish_level(w, &folder->level, folder->fd, folder->path, folder->path_length);
    else
        w->levels[folder->depth].folder = NULL;
}

static struct aside_level here(struct writer *w)
{
    return (struct aside_level){.fd = descent_fd(&w->descent),
                                .path = w->descent.path,
                                .length = descent_path_length(&w->descent),
                                .range = &w->levels[w->descent.depth - 1].names};
}

/* The snapshot has this name in the lowest directory. */
static void pass(struct writer *w, const char *name, bool directory)
{
    struct aside_level level = here(w);
    if (w->levels[w->descent.depth - 1].exact)
        aside_pass(&w->aside, &level, name, directory);
}

/* Leave the lowest directory. */
static int32_t leave(struct writer *w)
{
    struct level *level = &w->levels[w->descent.depth - 1];
    struct aside_level left = here(w);
    if (level->exact)
        aside_leave(&w->aside, &left);
    level->exact = false;
    if (level->folder) {
        level->folder->left = true;
        level->folder->level = *level;
        *level = (struct level){0};
    } else {
        finish_level(w, level, descent_fd(&w->descent), w->descent.path, descent_path_length(&w->descent));
    }
    if (w->descent.depth == 1)
        return COFRE_OK;
    int errnum = descent_pop(&w->descent);
    if (errnum)
        return cofre_fail_errno(w->place.error, errnum,
                                "go back up in the target: somebody moved a directory while it was written");
    return COFRE_OK;
}

static int32_t refuse(struct writer *w, const char *what, const char *why)
{
    return cofre_fail(&w->why, COFRE_E_INTEGRITY, "accept the %s: %s", what, why);
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
        return cofre_fail_errno(w->place.error, errnum, "go down into a directory");
    w->levels[w->descent.depth - 1] = *level;
    return COFRE_OK;
}

/* Into the directory name of the lowest one; it is made when it is not there. Returns what ends the restore; *result is
 * the entry's. */
static int32_t step_down(struct writer *w, const char *name, size_t length, int32_t *result)
{
    struct level level = {0};
    struct stat st;
    pass(w, name, true);
    int fd = level_open(&level, &w->place.rules, descent_fd(&w->descent), name, result, &w->why);
    if (fd < 0)
        return COFRE_OK;
    bool handed_down = w->levels[w->descent.depth - 1].inherits;
    *result = level_examine(&level, &w->place.rules, fd, &st, handed_down, &w->why);
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

/* ---- kinds ---- */

static int32_t put_directory(struct writer *w, const struct cofre_entry *entry, int32_t *result)
{
    int32_t status = go_to(w, entry->path, entry->path_length, result);
    if (status != COFRE_OK || *result != COFRE_OK)
        return status;
    struct level *level = &w->levels[w->descent.depth - 1];
    if (!level_keep(level, &w->place.rules, descent_fd(&w->descent), entry, &w->place.lost))
        return cofre_fail_errno(w->place.error, ENOMEM, "keep the ACL of a directory");
    *result = losses_result(&w->place.lost);
    struct aside_level at = here(w);
    if (w->exact && !level->fresh && !level->exact)
        level->exact = aside_enter(&w->aside, &at);
    return COFRE_OK;
}

static void put_link(struct writer *w, const struct place_spot *spot, const struct cofre_entry *entry, int32_t *result)
{
    const char *fault = entry_path_fault(entry->link, entry->link_length);
    if (fault || entry->link_length == 0) {
        *result = refuse(w, "first name of the hard link", fault ? fault : "it is empty");
        return;
    }
    delivery_wait(&w->delivery, entry->link, entry->link_length);
    size_t parent = entry_path_parent(entry->link, entry->link_length);
    bool same = parent == descent_path_length(&w->descent) && !memcmp(entry->link, w->descent.path, parent);
    int dir = same ? spot->dir : entry_directory_open(&w->firsts, w->descent.levels[0].fd, entry->link, parent);
    if (dir < 0)
        *result = cofre_fail_errno(&w->why, errno, "open the directory of the hard link's first name");
    else
        place_link(&w->place, spot, dir, entry->link + parent + (parent > 0), result);
}

static int32_t put_file(struct writer *w, const struct cofre_entry *entry, int32_t *result)
{
    size_t depth = w->descent.depth - 1;
    struct level *level = &w->levels[depth];
    struct folder *folder = delivery_folder(&w->delivery, &level->folder, level, depth, descent_fd(&w->descent),
                                            w->descent.path, descent_path_length(&w->descent), result);
    return folder ? delivery_file(&w->delivery, folder, entry, result) : COFRE_OK;
}

static int32_t put_other(struct writer *w, const struct cofre_entry *entry, int32_t *result)
{
    size_t parent = entry_path_parent(entry->path, entry->path_length);
    int32_t status = go_to(w, entry->path, parent, result);
    if (status != COFRE_OK || *result != COFRE_OK)
        return status;
    pass(w, entry->path + parent + (parent > 0), false);
    if (entry->kind == COFRE_FILE || entry->kind == COFRE_STREAM)
        return put_file(w, entry, result);
    const struct level *level = &w->levels[w->descent.depth - 1];
    struct place_spot spot = {.dir = descent_fd(&w->descent),
                              .name = entry->path + parent + (parent > 0),
                              .inherits = level->inherits,
                              .fresh = level->fresh};
    if (entry->kind == COFRE_HARDLINK)
        put_link(w, &spot, entry, result);
    else
        place_node(&w->place, &spot, entry, result);
    return COFRE_OK;
}

static int32_t put_entry(struct writer *w, const struct cofre_entry *entry, int32_t *result)
{
    const char *fault = entry_path_fault(entry->path, entry->path_length);
    *result = COFRE_OK;
    if (fault)
        *result = refuse(w, "path", fault);
    else if (entry->kind < COFRE_FILE || entry->kind > COFRE_STREAM)
        *result = cofre_fail(&w->why, COFRE_E_UNSUPPORTED, "put it back: a kind of entry that is not known here");
    else if (entry->path_length == 0 && entry->kind != COFRE_DIRECTORY)
        *result = refuse(w, "path", "only a directory may be the root");
    else if ((entry->kind == COFRE_SYMLINK || entry->kind == COFRE_HARDLINK) && !entry->link)
        *result = refuse(w, "link", "it has no target");
    else
        return entry->kind == COFRE_DIRECTORY ? put_directory(w, entry, result) : put_other(w, entry, result);
    return COFRE_OK;
}

/* ---- the whole ---- */

/* As the root sees it: its own path, and that of the first name of a hard link, without the prefix. */
static int32_t put(struct writer *w, const struct cofre_entry *given, int32_t *result)
{
    struct cofre_entry entry = *given;
    bool first = entry.kind == COFRE_HARDLINK && entry.link;
    if (first && !entry_path_is_of(w->prefix, entry.link, entry.link_length)) {
        *result = refuse(w, "first name of the hard link", "it lies elsewhere");
        return COFRE_OK;
    }
    entry_path_strip(w->prefix, &entry.path, &entry.path_length);
    if (first)
        entry_path_strip(w->prefix, &entry.link, &entry.link_length);
    int32_t status = put_entry(w, &entry, result);
    if (status == COFRE_OK && *result == COFRE_PARTLY)
        delivery_lost(&w->delivery, entry.path, entry.path_length, &w->place.lost, false);
    return status;
}

static void count(struct writer *w, const struct cofre_entry *entry, int32_t result)
{
    struct tree_write_counts *c = &w->counts;
    bool device = entry->kind == COFRE_CHARACTER || entry->kind == COFRE_BLOCK;
    c->given += entry->kind != COFRE_SOCKET;
    c->bytes += entry->kind == COFRE_FILE && entry->size > 0 ? (uint64_t)entry->size : 0;
    c->partly += result == COFRE_PARTLY;
    if (device && result == COFRE_E_UNSUPPORTED && !w->place.devices)
        c->left_out++;
    else if (result != COFRE_OK && result != COFRE_PARTLY && c->failed++ == 0) {
        c->class = result;
        failure_about(&c->first, entry->path, entry->path_length, &w->why);
    }
}

static int32_t put_one(struct writer *w, const struct cofre_entry *entry)
{
    int32_t result, status = put(w, entry, &result);
    if (status != COFRE_OK)
        return status;
    count(w, entry, result);
    status = cofre->done(w->place.call, result, &w->why, w->place.error);
    if (status == COFRE_OK)
        status = delivery_tell(&w->delivery);
    if (status == COFRE_OK && result == COFRE_E_NO_SPACE) {
        *w->place.error = w->why;
        status = result;
    }
    return status;
}

/* *entry: as in tree_write_part. */
static int32_t put_all(struct writer *w, const struct cofre_entry **entry)
{
    int32_t status = COFRE_OK;
    while (status == COFRE_OK && entry_path_is_of(w->prefix, (*entry)->path, (*entry)->path_length)) {
        status = put_one(w, *entry);
        if (status == COFRE_OK)
            status = cofre->next(w->place.call, entry, w->place.error);
    }
    if (status != COFRE_OK)
        *entry = NULL;
    return status == COFRE_END ? COFRE_OK : status;
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
        return cofre_fail_errno(w->place.error, errno, "flush the file system of the target");
    snprintf(line, sizeof line, "flushing the target took %lld ms", (long long)(milliseconds() - begin));
    cofre->log(w->place.call, COFRE_LOG_DEBUG, line);
    return COFRE_OK;
}

/* A directory server that did not answer: somebody else may have that number here. */
static void say_unknown_owners(struct writer *w)
{
    int failed = w->place.rules.names ? names_failed(w->place.rules.names) : 0;
    if (!failed)
        return;
    cofre_fail_errno(&w->why, failed, "find the owners by their names; numbers were used instead");
    cofre->log(w->place.call, COFRE_LOG_WARNING, w->why.message);
}

static int32_t finish(struct writer *w)
{
    int32_t status;
    while (w->descent.depth > 1)
        if ((status = leave(w)) != COFRE_OK)
            return status;
    leave(w);
    delivery_drain(&w->delivery);
    status = delivery_tell(&w->delivery);
    int32_t moved = w->exact ? aside_say(&w->aside, w->place.error) : COFRE_OK;
    if (status == COFRE_OK)
        status = make_durable(w);
    if (status == COFRE_OK)
        status = moved;
    if (status != COFRE_OK)
        return status;
    if (w->place.rules.owners_kept)
        cofre->log(w->place.call, COFRE_LOG_WARNING,
                   "not run as root: entries that belong to others were restored as belonging to this user");
    say_unknown_owners(w);
    if (w->late)
        return cofre_fail(w->place.error, COFRE_E_UNSUPPORTED,
                          "restore the directories: %llu did not get back owner, mode, ACL or time; the log names them",
                          (unsigned long long)w->late);
    return COFRE_OK;
}

/* What the root is, and what its file system can do. Takes root over. */
static int32_t begin_root(struct writer *w, const struct tree_write_options *options, int root, bool fresh)
{
    struct level level = {.existed = true, .fresh = fresh};
    struct stat st;
    int32_t status = place_begin(&w->place, root, options->path);
    if (status == COFRE_OK && (status = level_examine(&level, &w->place.rules, root, &st, false, &w->why)) != COFRE_OK)
        *w->place.error = w->why;
    if (status != COFRE_OK) {
        close(root);
        return status;
    }
    level_sweep(root);
    return push(w, root, &st, &level);
}

static int32_t begin(struct writer *w, const struct tree_write_options *options, const struct tree_write_part *part)
{
    struct cofre_error *error = w->place.error;
    int root, errnum = 0;
    w->place.rules.names = options->numeric_owner ? NULL : names_new();
    if (!entry_directory_begin(&w->firsts) || (!options->numeric_owner && !w->place.rules.names))
        return cofre_fail_errno(error, ENOMEM, "restore into '%s'", options->path);
    int32_t status = COFRE_OK;
    if (!part)
        status = root_make(options->path, &root, error);
    else if ((root = fcntl(part->root, F_DUPFD_CLOEXEC, 0)) < 0)
        status = cofre_fail_errno(error, errno, "restore into '%s'", options->path);
    if (status == COFRE_OK)
        status = begin_root(w, options, root, part && part->fresh);
    if (status == COFRE_OK && options->exact) {
        errnum = aside_begin(&w->aside, w->place.call, options, w->descent.levels[0].fd);
        w->aside.prefix = w->prefix;
        w->exact = !errnum;
    }
    if (status == COFRE_OK && !errnum)
        errnum = delivery_begin(&w->delivery, &w->place, settled, w);
    w->delivery.prefix = w->prefix;
    return errnum ? cofre_fail_errno(error, errnum, "restore into '%s'", options->path) : status;
}

/* What late took back. */
static void settle_counts(struct writer *w, struct tree_write_counts *counts)
{
    if (w->counts.failed == 0 && w->delivery.late_failed > 0) {
        w->counts.class = w->delivery.class_failed;
        w->counts.first = w->delivery.why_failed;
    }
    w->counts.failed += w->delivery.late_failed;
    w->counts.partly += w->delivery.late_partly;
    *counts = w->counts;
}

static void end(struct writer *w)
{
    losses_say(&w->delivery.tally, w->place.call);
    delivery_end(&w->delivery);
    if (w->exact)
        aside_end(&w->aside);
    for (size_t i = 0; i < w->descent.depth && i < w->level_capacity; i++)
        level_free(&w->levels[i]);
    descent_end(&w->descent);
    entry_directory_end(&w->firsts);
    names_free(w->place.rules.names);
    free(w->levels);
    free(w);
}

static int32_t run(struct cofre_call *call, const struct tree_write_options *options, struct tree_write_part *part,
                   const struct cofre_entry **entry, struct cofre_error *error)
{
    struct writer *w = calloc(1, sizeof *w);
    if (!w)
        return cofre_fail_errno(error, ENOMEM, "restore into '%s'", options->path);
    w->why.struct_size = w->counts.first.struct_size = sizeof w->why;
    w->prefix = part ? part->prefix : "";
    w->firsts.fd = -1;
    w->place = (struct place){
        .call = call, .devices = options->devices, .overwrite = options->overwrite, .why = &w->why, .error = error};
    w->place.rules = (struct finish_rules){.user = geteuid(), .group = getegid(), .setuid = options->setuid};
    int32_t status = begin(w, options, part);
    if (status == COFRE_OK && !*entry)
        status = cofre->next(call, entry, error);
    if (status == COFRE_OK)
        status = put_all(w, entry);
    if (status == COFRE_OK || status == COFRE_END)
        status = finish(w);
    if (part)
        settle_counts(w, &part->counts);
    end(w);
    return status;
}

int32_t tree_write(struct cofre_call *call, const struct tree_write_options *options, struct cofre_error *error)
{
    const struct cofre_entry *entry = NULL;
    return run(call, options, NULL, &entry, error);
}

int32_t tree_write_part(struct cofre_call *call, const struct tree_write_options *options, struct tree_write_part *part,
                        const struct cofre_entry **entry, struct cofre_error *error)
{
    return run(call, options, part, entry, error);
}
