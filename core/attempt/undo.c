#include "attempt/undo.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attempt/hook.h"
#include "attempt/undo_text.h"
#include "attempt/watchdog.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "worker/engine.h"
#include "worker/id.h"
#include "worker/source.h"
#include "worker/worker.h"

#define RECOVER_MAX 1000 /* at one start */
#define LOOK_AGAIN 20    /* ms */

/* One function for each enum undo_what that a plugin undoes. */
static int (*const undo[])(struct worker *, const char *id, struct error *) = {
    [UNDO_FREEZE] = source_thaw,
    [UNDO_RESTORE] = source_thaw,
    [UNDO_SCRATCH] = source_scratch_drop,
    [UNDO_SERVICES] = source_thaw,
};

struct undo {
    const struct engine *engine;
    char id[ID_MAX];
    char path[PATH_MAX];
    int fd; /* locked */
    struct undo_text text;
};

const char *undo_id(const struct undo *hold)
{
    return hold->id;
}

int undo_lock(const struct undo *hold)
{
    return hold->fd;
}

static void free_hold(struct undo *hold)
{
    if (!hold)
        return;
    undo_text_free(&hold->text);
    if (hold->fd >= 0)
        close(hold->fd);
    free(hold);
}

static int directory_path(const struct engine *engine, char *out, struct error *e)
{
    if (snprintf(out, PATH_MAX, "%s/holds", engine->config->state_dir) >= PATH_MAX - 128)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", engine->config->state_dir);
    return 0;
}

/* The directory is locked while files appear in it and while they are looked at: a file that is not locked then belongs
 * to nobody. Held for moments only. */
static int lock_directory(const char *path, int *fd, struct error *e)
{
    *fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0)
        return error_system(e, errno, "open directory '%s'", path);
    while (flock(*fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return error_system(e, errno, "lock directory '%s'", path);
    return 0;
}

/* ---- making ---- */

/* Under a temporary name until it is locked and durable. */
static int write_file(struct undo *hold, int directory, struct error *e)
{
    struct file_temporary t;
    AUTO_FREE char *text = undo_text_encode(&hold->text);
    if (!text)
        return error_memory(e);
    if (file_temporary_make(&t, hold->path, e) < 0)
        return -1;
    hold->fd = t.fd;
    int result = flock(t.fd, LOCK_EX | LOCK_NB) < 0 ? error_system(e, errno, "lock '%s'", t.path)
                                                    : file_write_all(t.fd, text, strlen(text), t.path, e);
    if (result == 0 && fsync(t.fd) < 0)
        result = error_system(e, errno, "sync '%s'", t.path);
    if (result == 0)
        result = file_temporary_name(&t, hold->path, FILE_REPLACE, e);
    if (result < 0) {
        unlink(t.path);
        return -1;
    }
    if (fsync(directory) == 0)
        return 0;
    error_system(e, errno, "sync the directory of '%s'", hold->path);
    unlink(hold->path);
    return -1;
}

/* Under the lock of the directory. A hook must not run while its counterpart of the next run does. */
static int check_free(const char *directory, const char *job, struct error *e)
{
    char path[PATH_MAX];
    int result = 0;
    DIR *d = opendir(directory);
    for (const struct dirent *row = d ? readdir(d) : NULL; row && result == 0; row = readdir(d)) {
        struct undo_text text = {0};
        struct error ignored;
        snprintf(path, sizeof path, "%.*s/%.*s", PATH_MAX - ID_MAX - 2, directory, ID_MAX, row->d_name);
        if (row->d_name[0] != '.' && !strstr(row->d_name, ".tmp") && undo_text_read(path, &text, &ignored) == 0 &&
            text.hook && strcmp(text.job, job) == 0) {
            char what[UNDO_TEXT_WHAT];
            result = error_set(e, ERROR_BUSY, "%s is at work, or is still to be run",
                               undo_text_describe(&text, row->d_name, what));
            error_hint(e, "wait for the run or restore that it belongs to, or end that");
        }
        undo_text_free(&text);
    }
    if (d)
        closedir(d);
    return result;
}

static int make_file(struct undo *hold, struct error *e)
{
    char directory[PATH_MAX];
    AUTO_CLOSE int fd = -1;
    if (directory_path(hold->engine, directory, e) < 0 || file_make_trusted(directory, e) < 0 ||
        lock_directory(directory, &fd, e) < 0 || (hold->text.hook && check_free(directory, hold->text.job, e) < 0))
        return -1;
    snprintf(hold->path, sizeof hold->path, "%.*s/%s", PATH_MAX - ID_MAX - 2, directory, hold->id);
    return write_file(hold, fd, e);
}

static struct undo *new_hold(const struct engine *engine, struct error *e)
{
    struct undo *h = calloc(1, sizeof *h);
    if (!h) {
        error_memory(e);
        return NULL;
    }
    if (engine->watched)
        watchdog_start(engine->config->directory);
    h->engine = engine;
    h->fd = -1;
    id_make(h->id);
    return h;
}

int undo_make(const struct engine *engine, const struct undo_spec *spec, const struct worker *worker,
              struct undo **hold, struct error *e)
{
    struct undo *h = new_hold(engine, e);
    if (!h)
        return -1;
    if (undo_text_make(spec, worker_plugin(worker), &h->text, e) < 0 || make_file(h, e) < 0) {
        free_hold(h);
        return spec->source ? error_subject(e, "source", spec->source->name)
                            : error_subject(e, "plugin", worker_plugin(worker)->name);
    }
    *hold = h;
    return 0;
}

int undo_make_hook(const struct engine *engine, const struct hook *hook, struct undo **hold, struct error *e)
{
    struct undo *h = new_hold(engine, e);
    if (!h)
        return -1;
    if (undo_text_make_hook(hook, &h->text, e) < 0 || make_file(h, e) < 0) {
        free_hold(h);
        return error_subject(e, "job", hook->job);
    }
    *hold = h;
    return 0;
}

/* ---- undoing ---- */

static int open_source(const struct undo *hold, struct worker **worker, struct error *e)
{
    const struct undo_text *text = &hold->text;
    const struct config_instance *source;
    if (config_find_source(hold->engine->config, text->source, &source, e) < 0)
        return error_hint(e, "configure it again, or remove '%s' when nothing of it is left", hold->path);
    if (strcmp(source->plugin, text->plugin) != 0) {
        error_set(e, ERROR_CONFIG, "it was made by plugin '%s', and the source has plugin '%s' now", text->plugin,
                  source->plugin);
        return error_hint(e, "give it that plugin once more, or remove '%s' when nothing of it is left", hold->path);
    }
    return engine_open_undoing(hold->engine, source, text->overrides, text->override_count, worker, e);
}

static int undo_afresh(struct undo *hold, struct error *e)
{
    const struct undo_text *text = &hold->text;
    struct worker *worker;
    if ((text->source[0] ? open_source(hold, &worker, e)
                         : engine_open_defaults(hold->engine, text->plugin, true, &worker, e)) < 0)
        return -1;
    int result = undo[text->what](worker, hold->id, e);
    worker_stop(worker);
    return result;
}

static int remove_file(const struct undo *hold, struct error *e)
{
    char directory[PATH_MAX];
    AUTO_CLOSE int fd = -1;
    if (unlink(hold->path) < 0 && errno != ENOENT)
        return error_system(e, errno, "remove '%s'", hold->path);
    if (directory_path(hold->engine, directory, e) < 0)
        return -1;
    fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) < 0 ? error_system(e, errno, "sync directory '%s'", directory) : 0;
}

int undo_run(struct undo *hold, struct worker *worker, struct error *e)
{
    if (!hold)
        return 0;
    ASSERT(!hold->text.hook);
    int result = worker ? undo[hold->text.what](worker, hold->id, e) : -1;
    if (result < 0 && (!worker || worker_failed(worker)))
        result = undo_afresh(hold, e);
    if (result == 0)
        result = remove_file(hold, e);
    if (result < 0) {
        char what[UNDO_TEXT_WHAT];
        error_consequence(e, "%s is not undone (%s): ", undo_text_name(&hold->text, what), hold->id);
        if (!e->hint[0])
            error_hint(e, "the next start of cofre tries again");
    }
    free_hold(hold);
    return result;
}

/* The runner removes the file; whoever killed it shall not keep the hook from being run. */
int undo_run_hook(struct undo *hold, json_t *record, struct hook_outcome *outcome, struct error *e)
{
    struct hook *hook = hold->text.hook;
    if (record) {
        json_decref(hook->record);
        hook->record = record;
    }
    int result = hook_run(hook, hold->fd, hold->path, outcome, e);
    if (result < 0) {
        log_error(LOG_WARNING, e);
        result = hook_run(hook, hold->fd, hold->path, outcome, e);
    }
    if (result == 0)
        result = remove_file(hold, e);
    free_hold(hold);
    return result;
}

int undo_release(struct undo *hold, struct error *e)
{
    int result = remove_file(hold, e);
    free_hold(hold);
    return result;
}

/* ---- what killed runs left ---- */

/* The holds of one directory. */
struct left {
    struct undo *holds[RECOVER_MAX]; /* of nobody: ours now, locked; NULL = done with */
    size_t count;
    size_t failed; /* that could not be looked at, or not be undone; each was logged */
    bool used;     /* a process has others */
};

/* Is it ours now? */
static bool take_over(struct undo *hold, struct left *left)
{
    struct stat st;
    struct error e;
    hold->fd = file_open(hold->path, O_RDWR, &e);
    if (hold->fd < 0) {
        if (e.class != ERROR_NOT_FOUND) {
            log_error(LOG_ERROR, &e);
            left->failed++;
        }
        return false;
    }
    if (flock(hold->fd, LOCK_EX | LOCK_NB) < 0) {
        left->used = true;
        return false;
    }
    /* Its owner may have undone it just now. */
    return fstat(hold->fd, &st) == 0 && st.st_nlink > 0;
}

static void look_at(const struct engine *engine, const char *directory, const char *name, struct left *left)
{
    struct error e;
    size_t n = strlen(name);
    if (n >= ID_MAX || left->count == RECOVER_MAX)
        return;
    struct undo *hold = calloc(1, sizeof *hold);
    if (!hold) {
        error_memory(&e);
        log_error(LOG_ERROR, &e);
        left->failed++;
        return;
    }
    hold->engine = engine;
    memcpy(hold->id, name, n + 1);
    snprintf(hold->path, sizeof hold->path, "%.*s/%s", PATH_MAX - ID_MAX - 2, directory, hold->id);
    if (take_over(hold, left))
        left->holds[left->count++] = hold;
    else
        free_hold(hold);
}

/* Files that were still being written are none yet, and go. */
static void collect(const struct engine *engine, const char *directory, struct left *left)
{
    DIR *d = opendir(directory);
    for (const struct dirent *row = d ? readdir(d) : NULL; row; row = readdir(d)) {
        const char *end = strstr(row->d_name, ".tmp");
        if (end && end[4] == '\0')
            unlinkat(dirfd(d), row->d_name, 0);
        else if (row->d_name[0] != '.')
            look_at(engine, directory, row->d_name, left);
    }
    if (d)
        closedir(d);
}

static int recover_hook(struct undo *hold, struct error *e)
{
    struct hook_outcome outcome;
    /* It is going to be executed. */
    if (file_check_trusted(hold->path, e) < 0) {
        free_hold(hold);
        return -1;
    }
    if (undo_run_hook(hold, NULL, &outcome, e) < 0)
        return -1;
    *e = outcome.error;
    return outcome.error.class == ERROR_NONE ? 0 : -1;
}

static int recover_one(struct undo *hold)
{
    struct error e;
    char what[UNDO_TEXT_WHAT];
    bool hook = hold->text.hook != NULL;
    undo_text_describe(&hold->text, hold->id, what);
    log_line(LOG_WARNING, "%s was left by a run that was killed: %s it", what, hook ? "running" : "undoing");
    if ((hook ? recover_hook(hold, &e) : undo_run(hold, NULL, &e)) < 0) {
        log_error(LOG_ERROR, &e);
        return -1;
    }
    log_line(LOG_NOTICE, "%s is %s", what, hook ? "done" : "undone");
    return 0;
}

/* When it is undone: a restore that was killed inside of stopped services is whole before they start. */
static int turn(const struct undo *hold)
{
    return hold->text.what == UNDO_HOOK ? 2 : hold->text.what == UNDO_SERVICES;
}

/* hooks_of: only the hooks of that job, NULL = everything. */
static void recover(struct left *left, const char *hooks_of)
{
    struct error e;
    struct undo **holds = left->holds;
    for (size_t i = 0; i < left->count; i++) {
        bool read = undo_text_read(holds[i]->path, &holds[i]->text, &e) == 0;
        bool wanted = !hooks_of || (read && holds[i]->text.hook && strcmp(holds[i]->text.job, hooks_of) == 0);
        if (read && wanted)
            continue;
        if (wanted) {
            log_error(LOG_ERROR, &e);
            left->failed++;
        }
        free_hold(holds[i]);
        holds[i] = NULL;
    }
    for (int now = 0; now <= 2; now++)
        for (size_t i = 0; i < left->count; i++)
            if (holds[i] && turn(holds[i]) == now) {
                left->failed += recover_one(holds[i]) < 0;
                holds[i] = NULL;
            }
}

/* Returns how many failed. */
static size_t recover_some(const struct engine *engine, const char *hooks_of, bool *used)
{
    char directory[PATH_MAX];
    struct error e;
    struct left left = {.count = 0};
    int fd = -1;
    *used = false;
    if (!engine->config->state_dir || directory_path(engine, directory, &e) < 0 || access(directory, F_OK) < 0)
        return 0;
    if (lock_directory(directory, &fd, &e) < 0) {
        log_error(LOG_ERROR, &e);
        left.failed++;
    } else {
        collect(engine, directory, &left);
    }
    if (fd >= 0)
        close(fd);
    recover(&left, hooks_of);
    *used = left.used;
    return left.failed;
}

size_t undo_recover(const struct engine *engine)
{
    bool used;
    return recover_some(engine, NULL, &used);
}

void undo_recover_hooks(const struct engine *engine, const char *job)
{
    bool used;
    recover_some(engine, job, &used);
}

static bool is_locked(int directory, const char *name)
{
    AUTO_CLOSE int fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* Under the lock of the directory: who looks for what was left must not take our look for an owner's. */
static bool any_locked(const char *path)
{
    struct error ignored;
    AUTO_CLOSE int fd = -1;
    bool locked = false;
    if (lock_directory(path, &fd, &ignored) < 0)
        return false;
    DIR *d = opendir(path);
    for (const struct dirent *row = d ? readdir(d) : NULL; row && !locked; row = readdir(d))
        locked = row->d_name[0] != '.' && !strstr(row->d_name, ".tmp") && is_locked(fd, row->d_name);
    if (d)
        closedir(d);
    return locked;
}

size_t undo_recover_patiently(const struct engine *engine, int64_t patience)
{
    char directory[PATH_MAX];
    struct error ignored;
    bool used;
    int64_t until = clock_monotonic() + patience;
    size_t failed = recover_some(engine, NULL, &used);
    if (!used || directory_path(engine, directory, &ignored) < 0)
        return failed;
    while (used && clock_monotonic() < until) {
        clock_sleep(LOOK_AGAIN);
        if (!any_locked(directory))
            failed = recover_some(engine, NULL, &used);
    }
    return failed;
}
