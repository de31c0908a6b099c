#include "common/tree_check.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/failure.h"
#include "common/listing.h"
#include "common/living.h"
#include "common/look.h"
#include "common/mounts.h"
#include "common/pattern.h"

#define MOUNTS_NAMED 10
#define LEVELS 3        /* root and two more are searched for databases */
#define PLACES_MAX 1000 /* directories in all of them */
#define NAMES_BYTES_MAX ((size_t)64 << 20)
#define NEAR_PATH_MAX 1024

/* ---- mount points ---- */

static void say_mount(struct cofre_call *call, const char *path)
{
    char quoted[FAILURE_QUOTE_MAX], text[FAILURE_QUOTE_MAX + 80];
    snprintf(text, sizeof text, "'%s' is left out: another file system is mounted there",
             failure_quote(path, strlen(path), quoted));
    cofre->finding(call, COFRE_LOG_WARNING, text,
                   "save it with a source of its own, set one_file_system = no, or name it in exclude");
}

static int32_t check_mounts(struct cofre_call *call, const struct tree_read_options *o, int root,
                            struct cofre_error *error)
{
    struct mounts mounts;
    char text[80], path[NEAR_PATH_MAX];
    size_t said = 0;
    int32_t status = mounts_below(&mounts, root, o->path, error);
    for (size_t i = 0; i < mounts.count; i++) {
        snprintf(path, sizeof path, "%s%s%s", o->prefix ? o->prefix : "", o->prefix ? "/" : "", mounts.paths[i]);
        if (pattern_reaches(o->exclude, o->include, path, strlen(path), true) && said++ < MOUNTS_NAMED)
            say_mount(call, path);
    }
    mounts_free(&mounts);
    if (said > MOUNTS_NAMED) {
        snprintf(text, sizeof text, "%zu further mount points are left out", said - MOUNTS_NAMED);
        cofre->finding(call, COFRE_LOG_WARNING, text, "");
    }
    return status;
}

/* ---- databases ---- */

struct search {
    struct cofre_call *call;
    const struct tree_read_options *options;
    struct listing listing;
    dev_t device; /* of the root */
    unsigned places;
    char path[NEAR_PATH_MAX]; /* of the directory at hand */
    size_t length;
};

static int32_t say_living(void *context, const struct living *living)
{
    const struct search *s = context;
    struct cofre_error why = {.struct_size = sizeof why};
    char path[NEAR_PATH_MAX + NAME_MAX + 2], quoted[FAILURE_QUOTE_MAX], text[FAILURE_QUOTE_MAX + sizeof why.message];
    living_explain(living, s->options->container, &why);
    snprintf(path, sizeof path, "%s%s%s", s->path, s->length && living->name[0] ? "/" : "", living->name);
    if (path[0])
        snprintf(text, sizeof text, "'%s': %s", failure_quote(path, strlen(path), quoted), why.message);
    else
        snprintf(text, sizeof text, "%s", why.message);
    cofre->finding(s->call, COFRE_LOG_WARNING, text, why.hint);
    return COFRE_OK;
}

/* Makes path that of a directory in it. false: it is not saved, or lies on another file system, or is too deep. */
static bool step_down(struct search *s, const struct listing_name *name)
{
    size_t from = s->length, longer = from + (from > 0) + name->length;
    if ((name->type != DT_DIR && name->type != DT_UNKNOWN) || longer >= sizeof s->path)
        return false;
    snprintf(s->path + from, sizeof s->path - from, "%s%s", from ? "/" : "", listing_text(&s->listing, name));
    s->length = longer;
    return pattern_reaches(s->options->exclude, s->options->include, s->path, s->length, true);
}

static int open_place(const struct search *s, int dir, const char *name)
{
    struct look look;
    if (look_at(&look, dir, name) != 0 || look.kind != COFRE_DIRECTORY ||
        (s->options->one_file_system && look.st.st_dev != s->device))
        return -1;
    return look_open(&look, dir, name, geteuid(), O_DIRECTORY);
}

/* What cannot be read is told by the run. */
static void search(struct search *s, int fd, int levels)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    struct listing_range range;
    size_t length = s->length;
    s->places++;
    listing_read(&s->listing, fd, &range, &ignored);
    living_find(fd, &s->listing, &range, say_living, s);
    for (size_t i = range.first; i < range.end && levels > 1 && s->places < PLACES_MAX; i++) {
        struct listing_name name = s->listing.names[i];
        int below = step_down(s, &name) ? open_place(s, fd, listing_text(&s->listing, &name)) : -1;
        if (below >= 0) {
            search(s, below, levels - 1);
            close(below);
        }
        s->length = length;
        s->path[length] = '\0';
    }
    listing_drop(&s->listing, &range);
}

int32_t tree_check(struct cofre_call *call, const struct tree_read_options *options, int root,
                   struct cofre_error *error)
{
    struct search s = {.call = call, .options = options, .listing.maximum = NAMES_BYTES_MAX};
    struct stat st;
    int32_t status = options->one_file_system ? check_mounts(call, options, root, error) : COFRE_OK;
    if (status != COFRE_OK || options->living_accepted || fstat(root, &st) != 0)
        return status;
    s.device = st.st_dev;
    s.length = (size_t)snprintf(s.path, sizeof s.path, "%.*s", NAME_MAX, options->prefix ? options->prefix : "");
    search(&s, root, LEVELS);
    listing_free(&s.listing);
    return COFRE_OK;
}
