#include "common/tree_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/cachedir.h"
#include "common/descent.h"
#include "common/hardlink.h"
#include "common/listing.h"
#include "common/living.h"
#include "common/names.h"
#include "common/pattern.h"
#include "common/remark.h"
#include "common/root.h"
#include "common/visit.h"

#define NAMES_BYTES_MAX ((size_t)4 << 30)
#define HARDLINK_BYTES_MAX ((size_t)512 << 20)

struct level {
    struct listing_range range;
    bool outside; /* excluded: only what include names is kept */
};

struct walk {
    struct visits visits;
    struct descent descent;
    struct listing listing;
    struct level *levels; /* one for each of descent's */
    size_t level_capacity;
    struct remark twice; /* directories that list a name twice */
};

/* ---- directories ---- */

/* Names whose paths the ABI cannot carry are taken out of the range; the directory is then not whole. */
static int32_t drop_long_names(struct walk *w, const struct look *look, struct listing_range *range)
{
    size_t room = DESCENT_PATH_MAX - look->path_length, kept = range->first;
    if (room > NAME_MAX)
        return COFRE_OK;
    for (size_t i = range->first; i < range->end; i++)
        if (w->listing.names[i].length < room)
            w->listing.names[kept++] = w->listing.names[i];
    if (kept == range->end)
        return COFRE_OK;
    range->end = kept;
    return cofre_fail(&w->visits.why, COFRE_E_RANGE, "list the directory: paths below it are longer than %d bytes",
                      DESCENT_PATH_MAX);
}

/* Of a directory that is marked as a cache, only the mark is kept. */
static void drop_cache(const struct walk *w, int fd, struct listing_range *range)
{
    size_t at = w->visits.options->exclude_caches ? listing_find(&w->listing, range, CACHEDIR_TAG) : SIZE_MAX;
    if (at == SIZE_MAX || !cachedir_is_marked(fd, w->visits.user))
        return;
    range->next = at;
    range->end = at + 1;
}

static int32_t push(struct walk *w, int fd, const struct look *look, const struct level *level)
{
    int errnum =
        w->descent.depth ? descent_push(&w->descent, fd, &look->st) : descent_begin(&w->descent, fd, &look->st);
    if (!errnum && w->descent.depth > w->level_capacity) {
        size_t larger = w->level_capacity ? w->level_capacity * 2 : 64;
        void *levels = realloc(w->levels, larger * sizeof *w->levels);
        errnum = levels ? 0 : ENOMEM;
        w->levels = levels ? levels : w->levels;
        w->level_capacity = levels ? larger : w->level_capacity;
    }
    if (errnum)
        return cofre_fail_errno(w->visits.error, errnum, "go down into a directory");
    if (w->descent.depth == 1)
        descent_prefix(&w->descent, look->path, look->path_length);
    w->levels[w->descent.depth - 1] = *level;
    return COFRE_OK;
}

struct saying {
    struct visits *visits;
    const struct look *directory;
};

static int32_t say_living(void *context, const struct living *living)
{
    const struct saying *s = context;
    struct look look = *s->directory;
    char *path = NULL;
    if (living->name[0] && asprintf(&path, "%s%s%s", look.path, look.path_length ? "/" : "", living->name) < 0)
        return cofre_fail_errno(s->visits->error, ENOMEM, "name a running database");
    if (path) {
        look.path = path;
        look.path_length = strlen(path);
    }
    living_explain(living, s->visits->options->container, &s->visits->why);
    int32_t status = visit_missing(s->visits, &look, COFRE_E_CHANGED);
    free(path);
    return status;
}

/* A database that is at work in this directory makes the copy doubtful: named as a problem of it. */
static int32_t look_for_living(struct walk *w, const struct look *look, int fd, const struct level *level)
{
    struct visits *all = &w->visits;
    if (all->counting || all->options->living_accepted || level->outside)
        return COFRE_OK;
    return living_find(fd, &w->listing, &level->range, say_living, &(struct saying){all, look});
}

/* Announce an open directory and go down into it. Its names are read first: whether that works belongs to its result.
 */
static int32_t enter(struct walk *w, struct visit *v, int fd)
{
    struct level level = {.outside = v->outside};
    int32_t result = listing_read(&w->listing, fd, &level.range, &w->visits.why);
    int32_t too_long = drop_long_names(w, &v->look, &level.range);
    if (level.range.twice)
        remark_add(&w->twice, v->look.path, v->look.path_length);
    drop_cache(w, fd, &level.range);
    int32_t status = visit_open_directory(&w->visits, v, fd, result == COFRE_OK ? too_long : result);
    if (status == COFRE_OK)
        status = look_for_living(w, &v->look, fd, &level);
    if (status != COFRE_OK) {
        close(fd);
        return status;
    }
    bool whole = w->descent.depth == 0 && !w->visits.options->prefix && !w->visits.counting;
    if (whole && result == COFRE_OK && level.range.end == level.range.first)
        cofre->log(w->visits.call, COFRE_LOG_WARNING, "the source's root is empty; is something not mounted?");
    return push(w, fd, &v->look, &level);
}

/* Only the directory itself is kept. */
static int32_t not_entered(struct walk *w, struct visit *v, const char *why)
{
    struct visits *all = &w->visits;
    int32_t status = visit_special(all, v);
    if (status != COFRE_OK || all->counting)
        return status;
    return cofre->left_out(all->call, v->look.path, v->look.path_length, why, all->error);
}

static int32_t visit_directory(struct walk *w, struct visit *v)
{
    struct visits *all = &w->visits;
    if (all->options->one_file_system && v->look.st.st_dev != all->rules.device)
        return not_entered(w, v, "another file system is mounted there, and one_file_system = yes");
    int fd = look_open(&v->look, v->dir, v->name, all->user, O_DIRECTORY);
    if (fd < 0)
        return visit_not_opened(all, v, errno);
    if (!visit_settles(v, fd)) {
        close(fd);
        return visit_unsettled(all, v);
    }
    if (descent_holds(&w->descent, &v->look.st)) {
        close(fd);
        visit_warn(all, &v->look, "enter the directory",
                   "a bind mount leads back to a directory above; it is not entered");
        return visit_special(all, v);
    }
    return enter(w, v, fd);
}

/* ---- the walk ---- */

static enum pattern_verdict judge(const struct walk *w, bool directory)
{
    const struct tree_read_options *o = w->visits.options;
    return pattern_judge(o->exclude, o->include, w->descent.path, w->descent.path_length, directory,
                         w->levels[w->descent.depth - 1].outside);
}

static int32_t visit_once(struct walk *w, struct visit *v)
{
    struct visits *all = &w->visits;
    v->look.link = NULL;
    v->look.link_length = 0;
    int errnum = look_at(&v->look, v->dir, v->name);
    if (errnum)
        return visit_missing_errno(all, &v->look, errnum, "look at");
    enum pattern_verdict verdict = judge(w, v->look.kind == COFRE_DIRECTORY);
    if (verdict == PATTERN_LEAVE_OUT)
        return COFRE_OK;
    v->outside = verdict == PATTERN_KEEP_PARTLY;
    if (v->look.kind == COFRE_DIRECTORY)
        return visit_directory(w, v);
    struct hardlink *link = v->look.st.st_nlink > 1 ? hardlink_find(&all->hardlinks, &v->look.st) : NULL;
    if (link && v->look.kind != COFRE_SOCKET)
        return visit_hardlink(all, v, link);
    return v->look.kind == COFRE_FILE ? visit_file(all, v) : visit_special(all, v);
}

static int32_t visit_name(struct walk *w, const struct listing_name *name)
{
    struct visit v = {.dir = descent_fd(&w->descent), .name = listing_text(&w->listing, name)};
    /* Names with paths that are too long were dropped with the listing. */
    if (!descent_name(&w->descent, v.name, name->length))
        return cofre_fail(w->visits.error, COFRE_E_RANGE, "walk the tree: a path is too long");
    /* What is excluded is not even looked at, where the listing tells directories apart: it may be a dead mount. */
    if (name->type != DT_UNKNOWN && judge(w, name->type == DT_DIR) == PATTERN_LEAVE_OUT)
        return COFRE_OK;
    v.look.rules = &w->visits.rules;
    v.look.path = w->descent.path;
    v.look.path_length = w->descent.path_length;
    for (int attempt = 1;; attempt++) {
        v.last = attempt == VISIT_ATTEMPTS;
        v.again = false;
        int32_t status = visit_once(w, &v);
        if (status != COFRE_OK || !v.again)
            return status;
    }
}

/* The way back to a directory was lost: somebody moved it. Its other names are named. */
static int32_t name_lost(struct walk *w, const struct listing_name *name)
{
    if (!descent_name(&w->descent, listing_text(&w->listing, name), name->length))
        return COFRE_OK;
    struct look look = {.path = w->descent.path, .path_length = w->descent.path_length};
    cofre_fail(&w->visits.why, COFRE_E_CHANGED, "read the entry: its directory was moved away while it was read");
    return visit_missing(&w->visits, &look, COFRE_E_CHANGED);
}

static int32_t walk_tree(struct walk *w)
{
    for (;;) {
        struct level *level = &w->levels[w->descent.depth - 1];
        int32_t status = cofre->cancelled(w->visits.call, w->visits.error);
        if (status != COFRE_OK)
            return status;
        if (level->range.next < level->range.end) {
            struct listing_name name = w->listing.names[level->range.next++];
            status = descent_fd(&w->descent) < 0 ? name_lost(w, &name) : visit_name(w, &name);
            if (status != COFRE_OK)
                return status;
            continue;
        }
        listing_drop(&w->listing, &level->range);
        if (w->descent.depth == 1)
            return COFRE_OK;
        descent_pop(&w->descent); /* a lost way shows as a descriptor of -1 */
    }
}

static int32_t open_root(const struct tree_read_options *options, int *root, struct cofre_error *error)
{
    if (!options->prefix)
        return root_open(options->path, root, error);
    *root = openat(options->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *root >= 0 ? COFRE_OK : cofre_fail_errno(error, errno, "read '%s'", options->path);
}

static int32_t enter_root(struct walk *w)
{
    struct visits *all = &w->visits;
    int root;
    const char *prefix = all->options->prefix ? all->options->prefix : "";
    struct visit v = {.look = {.rules = &all->rules, .path = prefix, .path_length = strlen(prefix)}, .last = true};
    int32_t status = open_root(all->options, &root, all->error);
    if (status != COFRE_OK)
        return status;
    int errnum = look_at(&v.look, root, NULL);
    if (errnum) {
        close(root);
        return cofre_fail_errno(all->error, errnum, "look at '%s'", all->options->path);
    }
    all->rules.device = v.look.st.st_dev;
    return enter(w, &v, root);
}

static int32_t walk(struct walk *w)
{
    struct visits *all = &w->visits;
    int32_t status = enter_root(w);
    if (status == COFRE_OK)
        status = walk_tree(w);
    if (status != COFRE_OK || all->counting)
        return status;
    remark_say(&w->twice, all->call, COFRE_LOG_WARNING,
               "directories list a name twice; each name is kept once, as the file system shows it");
    visit_remarks(all);
    return COFRE_OK;
}

static int32_t run(struct cofre_call *call, const struct tree_read_options *options, struct tree_read_counts *counts,
                   bool counting, struct cofre_error *error)
{
    *counts = (struct tree_read_counts){0};
    struct walk *w = calloc(1, sizeof *w);
    if (!w)
        return cofre_fail_errno(error, ENOMEM, "read '%s'", options->path);
    struct visits *all = &w->visits;
    *all = (struct visits){.call = call, .options = options, .counts = counts, .error = error, .counting = counting};
    all->why.struct_size = sizeof all->why;
    all->rules = (struct look_rules){.inodes_vary = options->inodes_vary, .numbers_only = options->numeric_owner};
    all->hardlinks.maximum = HARDLINK_BYTES_MAX;
    all->user = geteuid();
    w->listing.maximum = NAMES_BYTES_MAX;
    all->names = options->numeric_owner ? NULL : names_new();
    int32_t status =
        !options->numeric_owner && !all->names ? cofre_fail_errno(error, ENOMEM, "read '%s'", options->path) : walk(w);
    names_free(all->names);
    hardlink_free(&all->hardlinks);
    attribute_free(&all->attributes);
    listing_free(&w->listing);
    descent_end(&w->descent);
    free(w->levels);
    free(w);
    return status;
}

int32_t tree_read(struct cofre_call *call, const struct tree_read_options *options, struct tree_read_counts *counts,
                  struct cofre_error *error)
{
    return run(call, options, counts, false, error);
}

int32_t tree_read_count(struct cofre_call *call, const struct tree_read_options *options,
                        struct tree_read_counts *counts, struct cofre_error *error)
{
    return run(call, options, counts, true, error);
}
