#include "common/visit.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/content.h"
#include "common/failure.h"
#include "common/names.h"

#define COUNT_STEP 4096

/* ---- telling the host ---- */

int32_t visit_missing(struct visits *w, const struct look *look, int32_t class)
{
    return w->counting ? COFRE_OK : cofre->missing(w->call, look->path, look->path_length, class, &w->why, w->error);
}

int32_t visit_missing_errno(struct visits *w, const struct look *look, int errnum, const char *what)
{
    char quoted[FAILURE_QUOTE_MAX];
    int32_t class =
        cofre_fail_errno(&w->why, errnum, "%s '%s'", what, failure_quote(look->path, look->path_length, quoted));
    return visit_missing(w, look, class);
}

void visit_warn(struct visits *w, const struct look *look, const char *text, const char *cause)
{
    char quoted[FAILURE_QUOTE_MAX], line[FAILURE_QUOTE_MAX + 160];
    snprintf(line, sizeof line, "%s '%s': %s", text, failure_quote(look->path, look->path_length, quoted), cause);
    cofre->log(w->call, COFRE_LOG_WARNING, line);
}

void visit_remarks(const struct visits *w)
{
    remark_say(&w->far, w->call, COFRE_LOG_WARNING,
               "times before 1677 or after 2262 are kept as the nearest that fits");
    remark_say(&w->sockets, w->call, COFRE_LOG_NOTICE, "sockets are named in the snapshot and not kept");
}

static void count(struct visits *w, const struct look *look)
{
    if (!w->counting && look_is_far(look))
        remark_add(&w->far, look->path, look->path_length);
    if (!w->counting && look->kind == COFRE_SOCKET)
        remark_add(&w->sockets, look->path, look->path_length);
    if (look->kind == COFRE_SOCKET)
        return;
    w->counts->entries++;
    w->counts->files += look->kind == COFRE_FILE;
    w->counts->directories += look->kind == COFRE_DIRECTORY;
    w->counts->bytes += look->kind == COFRE_FILE ? (uint64_t)look->st.st_size : 0;
    if (w->counting && w->counts->entries % COUNT_STEP == 0)
        cofre->progress(w->call, w->counts->entries, 0);
}

static int32_t name_owner(struct visits *w, struct look *look)
{
    if (!w->names)
        return COFRE_OK;
    int failed = names_user(w->names, look->st.st_uid, &look->user);
    if (failed)
        return cofre_fail_errno(&w->why, failed, "find the name of its user %u", look->st.st_uid);
    failed = names_group(w->names, look->st.st_gid, &look->group);
    if (failed)
        return cofre_fail_errno(&w->why, failed, "find the name of its group %u", look->st.st_gid);
    return COFRE_OK;
}

/* Names of the owner, and attributes: by descriptor, or by name when fd is -1. COFRE_OK or COFRE_E_CHANGED: the entry
 * is kept without some of it. */
static int32_t gather(struct visits *w, struct visit *v, int fd)
{
    int32_t owner = name_owner(w, &v->look);
    int32_t result = fd >= 0 ? attribute_read(&w->attributes, fd, v->look.st.st_dev, &w->why)
                             : attribute_read_at(&w->attributes, v->dir, v->name, v->look.st.st_dev, &w->why);
    return owner == COFRE_OK && result == COFRE_OK ? COFRE_OK : COFRE_E_CHANGED;
}

/* Announce. What is too large with its attributes is told without them: *result. *told false: it was named as missing,
 * and nothing is to be sent. */
static int32_t announce(struct visits *w, const struct look *look, bool bare, int32_t *result, bool *told)
{
    const struct attribute_set *set = bare ? NULL : &w->attributes;
    int32_t status = look_announce(w->call, look, set, *result == COFRE_OK, w->error);
    if (status == COFRE_E_RANGE && set && set->count > 0) {
        *result = cofre_fail(&w->why, COFRE_E_CHANGED, "keep its %u extended attributes: together they are too large",
                             set->count);
        status = look_announce(w->call, look, NULL, false, w->error);
    }
    *told = status == COFRE_OK;
    if (status != COFRE_E_RANGE)
        return status;
    w->why = *w->error;
    return visit_missing(w, look, status);
}

/* Announce what has no content of its own, with a result that is known beforehand. */
static int32_t tell(struct visits *w, const struct look *look, bool bare, int32_t result)
{
    bool told;
    int32_t status = announce(w, look, bare, &result, &told);
    return status == COFRE_OK && told ? cofre->end(w->call, result, &w->why, w->error) : status;
}

/* The first name of a file was kept: later ones become links to it. */
static void remember(struct visits *w, const struct look *look)
{
    if (look->st.st_nlink < 2 || look->kind == COFRE_SOCKET || look->kind == COFRE_HARDLINK)
        return;
    if (!hardlink_add(&w->hardlinks, &look->st, look->path, look->path_length) && !w->hardlinks_full) {
        w->hardlinks_full = true;
        visit_warn(w, look, "remember the names of",
                   "too many hard links; each further name is kept as a file of its own");
    }
}

/* ---- opening ---- */

int32_t visit_not_opened(struct visits *w, struct visit *v, int errnum)
{
    if (errnum == ENOENT)
        return visit_missing_errno(w, &v->look, errnum, "open");
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
        cofre_fail_errno(&w->why, errnum, "open '%s'", failure_quote(v->look.path, v->look.path_length, quoted));
    return tell(w, &v->look, false, class == COFRE_E_NOT_FOUND ? COFRE_E_PERMANENT : class);
}

bool visit_settles(struct visit *v, int fd)
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

int32_t visit_unsettled(struct visits *w, struct visit *v)
{
    if (!v->last) {
        v->again = true;
        return COFRE_OK;
    }
    cofre_fail(&w->why, COFRE_E_CHANGED, "open the entry: it was replaced each of the %d times it was looked at",
               VISIT_ATTEMPTS);
    return visit_missing(w, &v->look, COFRE_E_CHANGED);
}

/* ---- kinds ---- */

int32_t visit_hardlink(struct visits *w, struct visit *v, struct hardlink *link)
{
    v->look.kind = COFRE_HARDLINK;
    v->look.link = link->path;
    v->look.link_length = link->length;
    count(w, &v->look);
    int32_t status = COFRE_OK;
    if (!w->counting && !look_unchanged(w->call, &v->look))
        status = tell(w, &v->look, true, name_owner(w, &v->look) == COFRE_OK ? COFRE_OK : COFRE_E_CHANGED);
    hardlink_met(&w->hardlinks, link);
    return status;
}

static int32_t send_file(struct visits *w, struct visit *v, int fd)
{
    int32_t result = COFRE_OK, kept = gather(w, v, fd);
    bool told;
    int32_t status = announce(w, &v->look, false, &kept, &told);
    if (status != COFRE_OK || !told)
        return status;
    status = content_send(w->call, fd, &v->look.st, &result, &w->why, w->error);
    result = result == COFRE_OK ? kept : result;
    if (status == COFRE_OK)
        status = cofre->end(w->call, result, &w->why, w->error);
    if (result == COFRE_OK || result == COFRE_E_CHANGED)
        remember(w, &v->look);
    return status;
}

int32_t visit_file(struct visits *w, struct visit *v)
{
    if (w->counting || look_unchanged(w->call, &v->look)) {
        count(w, &v->look);
        remember(w, &v->look);
        return COFRE_OK;
    }
    int fd = look_open(&v->look, v->dir, v->name, w->user, 0);
    if (fd < 0)
        return visit_not_opened(w, v, errno);
    int32_t status;
    if (visit_settles(v, fd)) {
        count(w, &v->look);
        status = send_file(w, v, fd);
    } else {
        status = visit_unsettled(w, v);
    }
    close(fd);
    return status;
}

int32_t visit_special(struct visits *w, struct visit *v)
{
    if (v->look.kind == COFRE_SYMLINK) {
        ssize_t n = readlinkat(v->dir, v->name, w->target, sizeof w->target - 1);
        if (n < 0 && errno == EINVAL)
            return visit_unsettled(w, v);
        if (n < 0)
            return visit_missing_errno(w, &v->look, errno, "read the symlink");
        w->target[n] = '\0';
        v->look.link = w->target;
        v->look.link_length = (size_t)n;
    }
    count(w, &v->look);
    if (!w->counting && !look_unchanged(w->call, &v->look)) {
        /* A directory is here because it is a mount point, and one of those is not to be touched: it may hang. */
        bool bare = v->look.kind == COFRE_SOCKET || v->look.kind == COFRE_DIRECTORY;
        int32_t result = bare ? name_owner(w, &v->look) : gather(w, v, -1);
        int32_t status = tell(w, &v->look, bare, result == COFRE_OK ? COFRE_OK : COFRE_E_CHANGED);
        if (status != COFRE_OK)
            return status;
    }
    remember(w, &v->look);
    return COFRE_OK;
}

int32_t visit_open_directory(struct visits *w, struct visit *v, int fd, int32_t result)
{
    count(w, &v->look);
    if (w->counting || (result == COFRE_OK && look_unchanged(w->call, &v->look)))
        return COFRE_OK;
    struct cofre_error names = w->why;
    int32_t kept = gather(w, v, fd);
    if (result != COFRE_OK)
        w->why = names;
    return tell(w, &v->look, false, result == COFRE_OK ? kept : result);
}
