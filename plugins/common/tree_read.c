#include "common/tree_read.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/attribute.h"
#include "common/cachedir.h"
#include "common/content.h"
#include "common/descent.h"
#include "common/failure.h"
#include "common/hardlink.h"
#include "common/listing.h"
#include "common/look.h"
#include "common/names.h"
#include "common/pattern.h"
#include "common/root.h"

#define NAMES_BYTES_MAX ((size_t)4 << 30)
#define HARDLINK_BYTES_MAX ((size_t)512 << 20)
#define ATTEMPTS 3         /* looks at an entry that keeps turning into another */
#define ATTRIBUTE_LINES 10 /* in the log; there may be a million files of the kind */
#define COUNT_STEP 4096

struct level {
    struct listing_range range;
    bool outside; /* excluded: only what include names is kept */
};

struct walk {
    struct cofre_call *call;
    const struct tree_read_options *options;
    struct tree_read_counts *counts;
    struct cofre_error *error;
    bool counting; /* announce nothing */
    struct descent descent;
    struct listing listing;
    struct level *levels; /* one for each of descent's */
    size_t level_capacity;
    struct names *names; /* NULL: numbers only */
    struct hardlink_table hardlinks;
    struct attribute_set attributes;
    struct cofre_error why; /* of the entry at hand */
    dev_t device;           /* of the root */
    uid_t user;
    unsigned attribute_lines;
    bool hardlinks_full;
    char target[PATH_MAX + 1];
};

/* One visit of a name. */
struct visit {
    struct look look;
    const char *name; /* last component */
    bool outside;     /* a directory that is entered only for what include names in it */
    bool last;        /* no more attempts */
    bool again;       /* it turned into something else between two calls: look anew */
};

enum verdict { KEEP, KEEP_PARTLY, LEAVE_OUT };

/* ---- telling the host ---- */

static int32_t missing(struct walk *w, const struct look *look, int32_t class)
{
    return w->counting ? COFRE_OK : cofre->missing(w->call, look->path, look->path_length, class, &w->why, w->error);
}

static int32_t missing_errno(struct walk *w, const struct look *look, int errnum, const char *what)
{
    char quoted[FAILURE_QUOTE_MAX];
    int32_t class =
        failure_system(&w->why, errnum, "%s '%s'", what, failure_quote(look->path, look->path_length, quoted));
    return missing(w, look, class);
}

static void count(struct walk *w, const struct look *look)
{
    if (look->kind == COFRE_SOCKET)
        return;
    w->counts->entries++;
    w->counts->files += look->kind == COFRE_FILE;
    w->counts->directories += look->kind == COFRE_DIRECTORY;
    w->counts->bytes += look->kind == COFRE_FILE ? (uint64_t)look->st.st_size : 0;
    if (w->counting && w->counts->entries % COUNT_STEP == 0)
        cofre->progress(w->call, w->counts->entries, 0);
}

static void warn(struct walk *w, const struct look *look, const char *text, const char *cause)
{
    char quoted[FAILURE_QUOTE_MAX], line[FAILURE_QUOTE_MAX + 160];
    snprintf(line, sizeof line, "%s '%s': %s", text, failure_quote(look->path, look->path_length, quoted), cause);
    cofre->log(w->call, COFRE_LOG_WARNING, line);
}

static void warn_attributes(struct walk *w, const struct look *look, int errnum)
{
    if (errnum && w->attribute_lines++ < ATTRIBUTE_LINES)
        warn(w, look, "read the extended attributes of", strerrordesc_np(errnum));
}

/* Attributes by descriptor, or by name when fd is -1. */
static void gather(struct walk *w, const struct visit *v, int fd)
{
    int errnum = fd >= 0 ? attribute_read(&w->attributes, fd, v->look.st.st_dev)
                         : attribute_read_at(&w->attributes, descent_fd(&w->descent), v->name, v->look.st.st_dev);
    warn_attributes(w, &v->look, errnum);
}

/* Announce what has no content of its own, with a result that is known beforehand. */
static int32_t tell(struct walk *w, const struct look *look, const struct attribute_set *attributes, int32_t result)
{
    bool told;
    int32_t status = look_announce(w->call, look, attributes, result == COFRE_OK, &told, w->error);
    return status == COFRE_OK && told ? cofre->end(w->call, result, &w->why, w->error) : status;
}

/* The first name of a file was kept: later ones become links to it. */
static void remember(struct walk *w, const struct look *look)
{
    if (look->st.st_nlink < 2 || look->kind == COFRE_SOCKET || look->kind == COFRE_HARDLINK)
        return;
    if (!hardlink_add(&w->hardlinks, &look->st, look->path, look->path_length) && !w->hardlinks_full) {
        w->hardlinks_full = true;
        warn(w, look, "remember the names of", "too many hard links; each further name is kept as a file of its own");
    }
}

/* ---- opening ---- */

/* The name could be looked at but not opened. Its metadata is kept, and what is wrong is said. */
static int32_t not_opened(struct walk *w, struct visit *v, int errnum)
{
    if (errnum == ENOENT)
        return missing_errno(w, &v->look, errnum, "open");
    bool other = errnum == ELOOP || errnum == ENOTDIR || errnum == ENXIO || errnum == ENODEV;
    if (other && !v->last) {
        v->again = true;
        return COFRE_OK;
    }
    count(w, &v->look);
    if (w->counting)
        return COFRE_OK;
    gather(w, v, -1);
    char quoted[FAILURE_QUOTE_MAX];
    int32_t class =
        failure_system(&w->why, errnum, "open '%s'", failure_quote(v->look.path, v->look.path_length, quoted));
    return tell(w, &v->look, &w->attributes, class == COFRE_E_NOT_FOUND ? COFRE_E_PERMANENT : class);
}

/* ---- kinds ---- */

static int32_t visit_hardlink(struct walk *w, struct visit *v, struct hardlink *link)
{
    v->look.kind = COFRE_HARDLINK;
    v->look.link = link->path;
    v->look.link_length = link->length;
    count(w, &v->look);
    int32_t status = COFRE_OK;
    if (!w->counting && !look_unchanged(w->call, &v->look))
        status = tell(w, &v->look, NULL, COFRE_OK);
    hardlink_met(&w->hardlinks, link);
    return status;
}

static int32_t send_file(struct walk *w, struct visit *v, int fd)
{
    int32_t result = COFRE_OK;
    bool told;
    gather(w, v, fd);
    int32_t status = look_announce(w->call, &v->look, &w->attributes, true, &told, w->error);
    if (status != COFRE_OK || !told)
        return status;
    status = content_send(w->call, fd, &v->look.st, &result, &w->why, w->error);
    if (status == COFRE_OK)
        status = cofre->end(w->call, result, &w->why, w->error);
    if (result == COFRE_OK || result == COFRE_E_CHANGED)
        remember(w, &v->look);
    return status;
}

/* Was the open file what the name showed? Else it is looked at anew; at last it is taken as it is, without fingerprint.
 */
static bool settle(struct visit *v, int fd)
{
    struct look seen = v->look;
    if (look_at(&seen, fd, NULL) != 0)
        return false;
    bool directory = v->look.kind == COFRE_DIRECTORY;
    bool same = directory ? seen.st.st_ino == v->look.st.st_ino && seen.st.st_dev == v->look.st.st_dev
                          : look_same(&seen, &v->look);
    if (!same && (!v->last || seen.kind != v->look.kind))
        return false;
    seen.racy |= !same;
    v->look = seen;
    return true;
}

static int32_t unsettled(struct walk *w, struct visit *v)
{
    if (!v->last) {
        v->again = true;
        return COFRE_OK;
    }
    failure_set(&w->why, COFRE_E_CHANGED, "open the entry: it was replaced each of the %d times it was looked at",
                ATTEMPTS);
    return missing(w, &v->look, COFRE_E_CHANGED);
}

static int32_t visit_file(struct walk *w, struct visit *v)
{
    if (w->counting || look_unchanged(w->call, &v->look)) {
        count(w, &v->look);
        remember(w, &v->look);
        return COFRE_OK;
    }
    int fd = look_open(&v->look, descent_fd(&w->descent), v->name, w->user, 0);
    if (fd < 0)
        return not_opened(w, v, errno);
    int32_t status;
    if (settle(v, fd)) {
        count(w, &v->look);
        status = send_file(w, v, fd);
    } else {
        status = unsettled(w, v);
    }
    close(fd);
    return status;
}

/* Symlinks, FIFOs, devices, sockets; and directories that are not entered. */
static int32_t visit_special(struct walk *w, struct visit *v)
{
    if (v->look.kind == COFRE_SYMLINK) {
        ssize_t n = readlinkat(descent_fd(&w->descent), v->name, w->target, sizeof w->target - 1);
        if (n < 0 && errno == EINVAL)
            return unsettled(w, v);
        if (n < 0)
            return missing_errno(w, &v->look, errno, "read the symlink");
        w->target[n] = '\0';
        v->look.link = w->target;
        v->look.link_length = (size_t)n;
    }
    count(w, &v->look);
    if (!w->counting && !look_unchanged(w->call, &v->look)) {
        /* A directory is here because it is a mount point, and one of those is not to be touched: it may hang. */
        bool bare = v->look.kind == COFRE_SOCKET || v->look.kind == COFRE_DIRECTORY;
        if (!bare)
            gather(w, v, -1);
        int32_t status = tell(w, &v->look, bare ? NULL : &w->attributes, COFRE_OK);
        if (status != COFRE_OK)
            return status;
    }
    remember(w, &v->look);
    return COFRE_OK;
}

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
    return failure_set(&w->why, COFRE_E_RANGE, "list the directory: paths below it are longer than %d bytes",
                       DESCENT_PATH_MAX);
}

/* Of a directory that is marked as a cache, only the mark is kept. */
static void drop_cache(const struct walk *w, int fd, struct listing_range *range)
{
    size_t at = w->options->exclude_caches ? listing_find(&w->listing, range, CACHEDIR_TAG) : SIZE_MAX;
    if (at == SIZE_MAX || !cachedir_is_marked(fd, w->user))
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
        return failure_system(w->error, errnum, "go down into a directory");
    w->levels[w->descent.depth - 1] = *level;
    return COFRE_OK;
}

/* Announce an open directory and go down into it. Its names are read first: whether that works belongs to its result.
 */
static int32_t enter(struct walk *w, struct visit *v, int fd)
{
    struct level level = {.outside = v->outside};
    int32_t result = listing_read(&w->listing, fd, &level.range, &w->why);
    int32_t too_long = drop_long_names(w, &v->look, &level.range);
    drop_cache(w, fd, &level.range);
    result = result == COFRE_OK ? too_long : result;
    count(w, &v->look);
    int32_t status = COFRE_OK;
    if (!w->counting && (result != COFRE_OK || !look_unchanged(w->call, &v->look))) {
        gather(w, v, fd);
        status = tell(w, &v->look, &w->attributes, result);
    }
    if (status != COFRE_OK) {
        close(fd);
        return status;
    }
    return push(w, fd, &v->look, &level);
}

static int32_t visit_directory(struct walk *w, struct visit *v)
{
    if (w->options->one_file_system && v->look.st.st_dev != w->device)
        return visit_special(w, v);
    int fd = look_open(&v->look, descent_fd(&w->descent), v->name, w->user, O_DIRECTORY);
    if (fd < 0)
        return not_opened(w, v, errno);
    if (!settle(v, fd)) {
        close(fd);
        return unsettled(w, v);
    }
    if (descent_holds(&w->descent, &v->look.st)) {
        close(fd);
        warn(w, &v->look, "enter the directory", "a bind mount leads back to a directory above; it is not entered");
        return visit_special(w, v);
    }
    return enter(w, v, fd);
}

/* ---- the walk ---- */

static enum verdict judge(const struct walk *w, bool directory)
{
    const struct tree_read_options *o = w->options;
    const char *path = w->descent.path;
    size_t length = w->descent.path_length;
    bool outside = w->levels[w->descent.depth - 1].outside;
    if (!outside && !o->exclude->count)
        return KEEP;
    if (pattern_matches(o->include, path, length, directory))
        return KEEP;
    if (!outside && !pattern_matches(o->exclude, path, length, directory))
        return KEEP;
    return directory && pattern_leads_below(o->include, path, length) ? KEEP_PARTLY : LEAVE_OUT;
}

static int32_t visit_once(struct walk *w, struct visit *v)
{
    v->look.link = NULL;
    v->look.link_length = 0;
    int errnum = look_at(&v->look, descent_fd(&w->descent), v->name);
    if (errnum)
        return missing_errno(w, &v->look, errnum, "look at");
    enum verdict verdict = judge(w, v->look.kind == COFRE_DIRECTORY);
    if (verdict == LEAVE_OUT)
        return COFRE_OK;
    v->outside = verdict == KEEP_PARTLY;
    if (v->look.kind == COFRE_DIRECTORY)
        return visit_directory(w, v);
    struct hardlink *link = v->look.st.st_nlink > 1 ? hardlink_find(&w->hardlinks, &v->look.st) : NULL;
    if (link && v->look.kind != COFRE_SOCKET)
        return visit_hardlink(w, v, link);
    return v->look.kind == COFRE_FILE ? visit_file(w, v) : visit_special(w, v);
}

static int32_t visit_name(struct walk *w, const struct listing_name *name)
{
    struct visit v = {.name = listing_text(&w->listing, name)};
    /* Names with paths that are too long were dropped with the listing. */
    if (!descent_name(&w->descent, v.name, name->length))
        return failure_set(w->error, COFRE_E_RANGE, "walk the tree: a path is too long");
    /* What is excluded is not even looked at, where the listing tells directories apart: it may be a dead mount. */
    if (name->type != DT_UNKNOWN && judge(w, name->type == DT_DIR) == LEAVE_OUT)
        return COFRE_OK;
    v.look.path = w->descent.path;
    v.look.path_length = w->descent.path_length;
    v.look.names = w->names;
    for (int attempt = 1;; attempt++) {
        v.last = attempt == ATTEMPTS;
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
    failure_set(&w->why, COFRE_E_CHANGED, "read the entry: its directory was moved away while it was read");
    return missing(w, &look, COFRE_E_CHANGED);
}

static int32_t walk_tree(struct walk *w)
{
    for (;;) {
        struct level *level = &w->levels[w->descent.depth - 1];
        int32_t status = cofre->cancelled(w->call, w->error);
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

static int32_t enter_root(struct walk *w)
{
    int root;
    struct visit v = {.look = {.path = "", .names = w->names}, .last = true};
    int32_t status = root_open(w->options->path, &root, w->error);
    if (status != COFRE_OK)
        return status;
    int errnum = look_at(&v.look, root, NULL);
    if (errnum) {
        close(root);
        return failure_system(w->error, errnum, "look at '%s'", w->options->path);
    }
    w->device = v.look.st.st_dev;
    status = enter(w, &v, root);
    if (status == COFRE_OK && w->levels[0].range.end == 0 && !w->counting)
        cofre->log(w->call, COFRE_LOG_WARNING, "the source's root is empty; is something not mounted?");
    return status;
}

static int32_t run(struct cofre_call *call, const struct tree_read_options *options, struct tree_read_counts *counts,
                   bool counting, struct cofre_error *error)
{
    *counts = (struct tree_read_counts){0};
    struct walk *w = calloc(1, sizeof *w);
    if (!w)
        return failure_system(error, ENOMEM, "read '%s'", options->path);
    *w = (struct walk){.call = call, .options = options, .counts = counts, .error = error, .counting = counting};
    w->why.struct_size = sizeof w->why;
    w->listing.maximum = NAMES_BYTES_MAX;
    w->hardlinks.maximum = HARDLINK_BYTES_MAX;
    w->user = geteuid();
    w->names = options->numeric_owner ? NULL : names_new();
    int32_t status = !options->numeric_owner && !w->names ? failure_system(error, ENOMEM, "read '%s'", options->path)
                                                          : enter_root(w);
    if (status == COFRE_OK)
        status = walk_tree(w);
    names_free(w->names);
    hardlink_free(&w->hardlinks);
    attribute_free(&w->attributes);
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
