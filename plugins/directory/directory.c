/* directory: saves a directory tree of this machine, and puts entries of any source back into one. */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/failure.h"
#include "common/pattern.h"
#include "common/root.h"
#include "common/tree_check.h"
#include "common/tree_read.h"
#include "common/tree_write.h"

struct conf {
    const char *path, *require;
    struct cofre_list exclude, include;
    int32_t require_mount, exclude_caches, one_file_system, inodes, live_database, numeric_owner, overwrite, exact,
        devices, setuid;
};

enum { INODES_STABLE, INODES_UNSTABLE };
enum { LIVE_INCOMPLETE, LIVE_ACCEPT };

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, path, PATH, COFRE_O_REQUIRED | COFRE_O_RESTORE, NULL,
                 "the directory; not a symlink to one"),
    COFRE_OPTION(struct conf, exclude, LIST, 0, NULL, "patterns of what is left out: *.tmp, cache/, /var/run, a/**/b"),
    COFRE_OPTION(struct conf, include, LIST, 0, NULL, "patterns of what is kept although exclude names it"),
    COFRE_OPTION(struct conf, exclude_caches, BOOLEAN, 0, "no",
                 "leave out what is in directories marked by a CACHEDIR.TAG"),
    COFRE_OPTION(struct conf, one_file_system, BOOLEAN, 0, "yes", "do not enter mount points below path"),
    COFRE_OPTION(struct conf, require_mount, BOOLEAN, 0, "no", "save nothing unless something is mounted at path"),
    COFRE_OPTION(struct conf, require, STRING, 0, NULL,
                 "save nothing unless this is there: a file, or directory, below path"),
    COFRE_OPTION_CHOICE(struct conf, inodes, 0, "stable", "stable|unstable",
                        "unstable: the file system gives files other inode numbers at each mount (sshfs, FUSE)"),
    COFRE_OPTION_CHOICE(struct conf, live_database, 0, "incomplete", "incomplete|accept",
                        "what files of a database are worth whose server is running: the snapshot is then incomplete"),
    COFRE_OPTION(struct conf, numeric_owner, BOOLEAN, COFRE_O_RESTORE, "no", "owners as numbers only, not by name"),
    COFRE_OPTION(struct conf, overwrite, BOOLEAN, COFRE_O_RESTORE | COFRE_O_REPLACE, "no",
                 "restore: replace files that are there, each at once"),
    COFRE_OPTION(struct conf, exact, BOOLEAN, COFRE_O_RESTORE, "no",
                 "restore: move what the snapshot does not have aside, beside path"),
    COFRE_OPTION(struct conf, devices, BOOLEAN, COFRE_O_RESTORE, "no", "restore: make devices (needs root)"),
    COFRE_OPTION(struct conf, setuid, BOOLEAN, COFRE_O_RESTORE, "no",
                 "restore: put back setuid and setgid bits, security.* and trusted.* (needs root)"),
};

struct directory {
    const struct conf *conf;
    struct pattern_set exclude, include;
};

static void directory_close(void *instance)
{
    struct directory *d = instance;
    pattern_free(&d->exclude);
    pattern_free(&d->include);
    free(d);
}

/* Has the path ".." for a component? */
static bool leads_up(const char *path)
{
    for (const char *p = path; *p;) {
        size_t n = strcspn(p, "/");
        if (n == 2 && p[0] == '.' && p[1] == '.')
            return true;
        p += n + (p[n] == '/');
    }
    return false;
}

/* It is looked for below path, and nowhere else. */
static int32_t check_require(const char *require, struct cofre_error *error)
{
    if (!require || (require[0] != '\0' && require[0] != '/' && !leads_up(require)))
        return COFRE_OK;
    cofre_fail(error, COFRE_E_CONFIG, "'require' names nothing below path: '%.200s'", require);
    cofre_hint(error, "write a path that begins at path, such as .mounted");
    return COFRE_E_CONFIG;
}

static int32_t directory_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    struct directory *d = calloc(1, sizeof *d);
    if (!d)
        return cofre_fail_errno(error, ENOMEM, "open the source");
    d->conf = conf;
    int32_t status = check_require(d->conf->require, error);
    if (status == COFRE_OK)
        status = pattern_compile(&d->exclude, "exclude", &d->conf->exclude, d->conf->path, error);
    if (status == COFRE_OK)
        status = pattern_compile(&d->include, "include", &d->conf->include, d->conf->path, error);
    if (status != COFRE_OK) {
        directory_close(d);
        return status;
    }
    *instance = d;
    return COFRE_OK;
}

static struct tree_read_options reading(const struct directory *d)
{
    return (struct tree_read_options){.path = d->conf->path,
                                      .exclude = &d->exclude,
                                      .include = &d->include,
                                      .exclude_caches = d->conf->exclude_caches,
                                      .one_file_system = d->conf->one_file_system,
                                      .numeric_owner = d->conf->numeric_owner,
                                      .inodes_vary = d->conf->inodes == INODES_UNSTABLE,
                                      .living_accepted = d->conf->live_database == LIVE_ACCEPT};
}

/* Something is mounted at path, a directory from elsewhere too where the system can tell. */
static bool is_mount_point(int root)
{
    struct stat here, above;
    struct statx more;
    if (statx(root, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &more) == 0 &&
        more.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT)
        return more.stx_attributes & STATX_ATTR_MOUNT_ROOT;
    if (fstat(root, &here) != 0 || fstatat(root, "..", &above, 0) != 0)
        return false;
    return here.st_dev != above.st_dev || here.st_ino == above.st_ino;
}

/* Is what the section requires there? */
static int32_t check_required(const struct conf *conf, int root, struct cofre_error *error)
{
    char quoted[FAILURE_QUOTE_MAX], wanted[FAILURE_QUOTE_MAX];
    struct stat st;
    failure_quote(conf->path, strlen(conf->path), quoted);
    if (conf->require_mount && !is_mount_point(root)) {
        cofre_fail(error, COFRE_E_NOT_FOUND, "nothing is mounted at '%s', and the section has require_mount = yes",
                   quoted);
        cofre_hint(error, "mount it: mount %s", quoted);
        return COFRE_E_NOT_FOUND;
    }
    if (!conf->require || fstatat(root, conf->require, &st, 0) == 0)
        return COFRE_OK;
    int cause = errno;
    failure_quote(conf->require, strlen(conf->require), wanted);
    if (cause != ENOENT && cause != ENOTDIR)
        return cofre_fail_errno(error, cause, "look for '%s' below '%s'", wanted, quoted);
    cofre_fail(error, COFRE_E_NOT_FOUND, "'%s' is not below '%s', and the section has require = %s", wanted, quoted,
               wanted);
    cofre_hint(error, "is something not mounted? If all is as it should be, make that file: touch %s/%s", quoted,
               wanted);
    return COFRE_E_NOT_FOUND;
}

static void say_root(struct cofre_call *call, const char *path, int root)
{
    char text[FAILURE_QUOTE_MAX + 64], quoted[FAILURE_QUOTE_MAX];
    struct cofre_error why = {.struct_size = sizeof why};
    bool empty = false;
    int32_t status = root_is_empty(root, &empty, &why);
    snprintf(text, sizeof text, "directory '%s' can be read", failure_quote(path, strlen(path), quoted));
    if (status != COFRE_OK)
        cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
    else if (empty)
        cofre->finding(call, COFRE_LOG_WARNING, "the directory is empty", "is something not mounted?");
    else
        cofre->finding(call, COFRE_LOG_INFO, text, "");
}

static int32_t directory_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    struct directory *d = instance;
    if (depth != COFRE_CHECK_OFFLINE && depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    if (depth == COFRE_CHECK_OFFLINE)
        return COFRE_OK;
    struct tree_read_options options = reading(d);
    int root;
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t status = root_open(options.path, &root, &why);
    if (status != COFRE_OK) {
        cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
        return COFRE_OK;
    }
    if (check_required(d->conf, root, &why) != COFRE_OK)
        cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
    say_root(call, options.path, root);
    status = tree_check(call, &options, root, error);
    close(root);
    if (status != COFRE_OK)
        return status;
    if (geteuid() != 0)
        cofre->finding(call, COFRE_LOG_WARNING, "not run as root: files closed to this user will be missing",
                       "run cofre as root, or give this user the rights to read");
    return COFRE_OK;
}

static void say_count(struct cofre_call *call, const char *key, uint64_t value, int32_t *status,
                      struct cofre_error *error)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    if (*status == COFRE_OK)
        *status = cofre->fact(call, key, text, COFRE_FACT_MUST_MATCH, error);
}

static int32_t say_counts(struct cofre_call *call, const struct tree_read_counts *counts, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    say_count(call, "entries", counts->entries, &status, error);
    say_count(call, "files", counts->files, &status, error);
    say_count(call, "directories", counts->directories, &status, error);
    say_count(call, "bytes", counts->bytes, &status, error);
    return status;
}

/* Before anything is read. */
static int32_t open_required(const struct conf *conf, struct cofre_error *error)
{
    int root;
    if (!conf->require && !conf->require_mount)
        return COFRE_OK;
    int32_t status = root_open(conf->path, &root, error);
    if (status != COFRE_OK)
        return status;
    status = check_required(conf, root, error);
    close(root);
    return status;
}

static int32_t directory_backup(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    const struct directory *d = instance;
    struct tree_read_options options = reading(d);
    struct tree_read_counts counts;
    int32_t status = open_required(d->conf, error);
    if (status == COFRE_OK)
        status = tree_read(call, &options, &counts, error);
    if (status != COFRE_OK)
        return status;
    pattern_say_unused(options.exclude, "exclude", call);
    pattern_say_unused(options.include, "include", call);
    return say_counts(call, &counts, error);
}

static int32_t directory_facts(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct tree_read_options options = reading(instance);
    struct tree_read_counts counts;
    int32_t status = tree_read_count(call, &options, &counts, error);
    return status == COFRE_OK ? say_counts(call, &counts, error) : status;
}

static int32_t directory_estimate(void *instance, struct cofre_call *call, int64_t *entries, int64_t *bytes,
                                  struct cofre_error *error)
{
    struct directory *d = instance;
    struct statvfs fs;
    int root;
    (void)call;
    *entries = *bytes = -1;
    int32_t status = root_open(d->conf->path, &root, error);
    if (status != COFRE_OK)
        return status;
    if (d->conf->one_file_system && is_mount_point(root) && fstatvfs(root, &fs) == 0 && fs.f_files > 0) {
        *entries = (int64_t)(fs.f_files - fs.f_ffree);
        *bytes = (int64_t)((fs.f_blocks - fs.f_bfree) * fs.f_frsize);
    }
    close(root);
    return COFRE_OK;
}

static int32_t directory_restore(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    const struct directory *d = instance;
    const struct conf *conf = d->conf;
    struct tree_write_options options = {.path = conf->path,
                                         .overwrite = conf->overwrite,
                                         .devices = conf->devices,
                                         .setuid = conf->setuid,
                                         .numeric_owner = conf->numeric_owner,
                                         .exact = conf->exact,
                                         .exclude = &d->exclude,
                                         .include = &d->include};
    return tree_write(call, &options, error);
}

static const struct cofre_source source = {
    .struct_size = sizeof source,
    .open = directory_open,
    .close = directory_close,
    .check = directory_check,
    .backup = directory_backup,
    .restore = directory_restore,
    .estimate = directory_estimate,
    .facts = directory_facts,
};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "directory",
    .version = "0.1.0",
    .summary = "a directory tree of this machine",
    .license = "MIT",
    .example = "path    = /srv/app/uploads\nexclude = *.tmp, cache/\n",
    .options = COFRE_OPTIONS(struct conf, rows),
    .source = &source,
};

COFRE_PLUGIN(plugin)
