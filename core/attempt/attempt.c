#include "attempt/attempt.h"

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

#include "attempt/records.h"
#include "attempt/watchdog.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "worker/engine.h"
#include "worker/id.h"

struct attempt {
    char directory[PATH_MAX]; /* of the records */
    char path[PATH_MAX];      /* of the open attempt */
    int fd;                   /* locked; -1 = it could not be written */
    int64_t began;            /* ms, monotonic */
    json_t *record;
    bool no_memory;
};

json_t *attempt_json(const char *text)
{
    if (!text)
        return json_null();
    size_t size = 4 * strlen(text) + 8;
    AUTO_FREE char *escaped = malloc(size);
    return escaped ? json_string(log_escape_bytes(text, strlen(text), escaped, size)) : NULL;
}

static json_t *time_json(int64_t ns)
{
    char text[CLOCK_TEXT_MAX];
    return json_string(clock_format_exact(ns, text));
}

static void warn(const json_t *record, const struct error *e)
{
    struct error why = *e;
    const char *command = records_text(record, "command");
    error_consequence(&why, "the record of this %s was not written: ", command ? command : "attempt");
    log_error(LOG_WARNING, &why);
}

/* ---- begin ---- */

static int write_open(struct attempt *a, struct file_temporary *t, struct error *e)
{
    AUTO_FREE char *text = json_dumps(a->record, JSON_COMPACT);
    if (!text)
        return error_memory(e);
    if (file_write_all(t->fd, text, strlen(text), t->path, e) < 0)
        return -1;
    if (fsync(t->fd) < 0)
        return error_system(e, errno, "sync '%s'", t->path);
    if (file_temporary_name(t, a->path, FILE_REPLACE, e) < 0)
        return -1;
    return file_make_durable(a->path, e);
}

/* Under a temporary name until it is locked and whole. That begins alike for all, so that what a killed process left
 * goes when the next one begins. */
static int open_attempt(struct attempt *a, const char *id, struct error *e)
{
    char place[PATH_MAX], begun[PATH_MAX];
    struct file_temporary t;
    snprintf(place, sizeof place, "%.*s/attempts", PATH_MAX - 64, a->directory);
    snprintf(a->path, sizeof a->path, "%.*s/%s", PATH_MAX - ID_MAX - 2, place, id);
    snprintf(begun, sizeof begun, "%.*s/begun", PATH_MAX - 64, place);
    if (file_make_trusted(place, e) < 0 || file_temporary_make(&t, begun, e) < 0)
        return -1;
    if (write_open(a, &t, e) == 0) {
        a->fd = t.fd;
        return 0;
    }
    unlink(t.path);
    close(t.fd);
    return -1;
}

static json_t *describe(const struct engine *engine, const char *command, const char *job, const char *sink,
                        const char *id)
{
    return json_pack("{s:s, s:s, s:s?, s:s?, s:s, s:s, s:o}", "id", id, "command", command, "job", job, "sink", sink,
                     "host", engine->config->host, "version", COFRE_VERSION, "started", time_json(clock_now()));
}

static void recover_place(const char *directory);

struct attempt *attempt_begin(const struct engine *engine, const char *command, const char *job, const char *sink,
                              json_t *members)
{
    char id[ID_MAX];
    struct error e;
    struct attempt *a = calloc(1, sizeof *a);
    id_make(id);
    if (!a || !(a->record = describe(engine, command, job, sink, id))) {
        log_line(LOG_WARNING, "the record of this %s was not written: out of memory", command);
        json_decref(members);
        free(a);
        return NULL;
    }
    a->fd = -1;
    a->began = clock_monotonic();
    attempt_tell(a, members);
    if (records_directory(engine->config, job, sink, a->directory, &e) < 0 || open_attempt(a, id, &e) < 0) {
        if (a->path[0])
            unlink(a->path);
        warn(a->record, &e);
        return a;
    }
    recover_place(a->directory);
    if (engine->watched)
        watchdog_start(engine->config->directory);
    return a;
}

void attempt_tell(struct attempt *attempt, json_t *members)
{
    if (attempt && (!members || json_object_update(attempt->record, members) < 0))
        attempt->no_memory = true;
    json_decref(members);
}

void attempt_keep(struct attempt *attempt)
{
    struct error e;
    int before = attempt ? attempt->fd : -1;
    if (before < 0)
        return;
    if (open_attempt(attempt, records_text(attempt->record, "id"), &e) < 0) {
        error_consequence(&e, "what this has done so far is not noted: ");
        log_error(LOG_WARNING, &e);
        return;
    }
    close(before);
}

json_t *attempt_record(const struct attempt *attempt, const char *status)
{
    json_t *record = attempt ? json_deep_copy(attempt->record) : json_object();
    if (record && status && json_object_set_new(record, "status", json_string(status)) < 0) {
        json_decref(record);
        return NULL;
    }
    return record;
}

/* ---- end ---- */

static int close_record(json_t *record, const char *status, json_t *exit, json_t *elapsed, const struct error *why)
{
    char text[ERROR_TEXT_MAX];
    json_t *end = json_pack("{s:o, s:o, s:s, s:o, s:o, s:s?}", "ended", time_json(clock_now()), "elapsed", elapsed,
                            "status", status, "exit", exit, "error", attempt_json(why ? error_text(why, text) : NULL),
                            "class", why ? error_class_name(why->class) : NULL);
    int result = end ? json_object_update(record, end) : -1;
    json_decref(end);
    return result;
}

static int finish(struct attempt *a, const char *status, int exit, const struct error *why, struct error *e)
{
    json_t *elapsed = json_real((double)(clock_monotonic() - a->began) / 1000);
    if (close_record(a->record, status, json_integer(exit), elapsed, why) < 0 || a->no_memory)
        return error_memory(e);
    /* Where it could not be opened there may be room, or a directory, again. */
    if (a->fd < 0 && file_make_trusted(a->directory, e) < 0)
        return -1;
    if (records_append(a->directory, a->record, e) < 0)
        return -1;
    if (a->fd >= 0 && unlink(a->path) < 0)
        return error_system(e, errno, "remove '%s'", a->path);
    return 0;
}

json_t *attempt_close(struct attempt *attempt, const char *status, int exit, const struct error *why)
{
    struct error e;
    if (!attempt)
        return NULL;
    if (finish(attempt, status, exit, why, &e) < 0)
        warn(attempt->record, &e);
    if (attempt->fd >= 0)
        close(attempt->fd);
    json_t *record = attempt->record;
    free(attempt);
    return record;
}

void attempt_end(struct attempt *attempt, const char *status, int exit, const struct error *why)
{
    json_decref(attempt_close(attempt, status, exit, why));
}

/* ---- what killed processes left ---- */

/* The record so far; NULL: *e says why. */
static json_t *read_open(const char *path, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = RECORDS_LINE_MAX};
    if (file_read_own(path, RECORDS_LINE_MAX, &text, e) < 0)
        return NULL;
    json_t *record = json_loadb((const char *)text.data, text.length, 0, NULL);
    if (json_is_object(record) && records_text(record, "id") && records_time(record, "started") != INT64_MIN)
        return record;
    json_decref(record);
    error_set(e, ERROR_INTEGRITY, "'%s' is no attempt that was begun", path);
    return NULL;
}

/* Is its process gone? Then *fd has its lock: LOCK_EX keeps others from closing it, too; LOCK_SH is for a look. */
static bool is_left(const char *path, int how, int *fd)
{
    struct stat st;
    struct error ignored;
    *fd = file_open(path, O_RDONLY, &ignored);
    return *fd >= 0 && flock(*fd, how | LOCK_NB) == 0 && fstat(*fd, &st) == 0 && st.st_nlink > 0;
}

struct search {
    const char *id;
    int64_t started;
    bool found;
};

/* It may have been killed between the record and the removal of the file. */
static bool compare_id(void *context, const char *line, size_t length)
{
    struct search *s = context;
    if (!memmem(line, length, s->id, strlen(s->id))) {
        json_t *record = records_parse(line, length);
        bool older = record && records_time(record, "ended") < s->started;
        json_decref(record);
        return !older;
    }
    json_t *record = records_parse(line, length);
    s->found = record && strcmp(records_text(record, "id"), s->id) == 0;
    json_decref(record);
    return !s->found;
}

static int close_killed(const char *directory, json_t *record, struct error *e)
{
    struct search search = {.id = records_text(record, "id"), .started = records_time(record, "started")};
    if (records_back(directory, compare_id, &search, e) < 0)
        return -1;
    if (search.found)
        return 0;
    if (close_record(record, "killed", json_null(), json_null(), NULL) < 0)
        return error_memory(e);
    return records_append(directory, record, e);
}

static void recover_one(const char *directory, const char *path)
{
    struct error e;
    AUTO_CLOSE int fd = -1;
    if (!is_left(path, LOCK_EX, &fd))
        return;
    json_t *record = read_open(path, &e);
    int result = record ? close_killed(directory, record, &e) : -1;
    bool damaged = !record && e.class == ERROR_INTEGRITY; /* nobody knows what it was, and it says nothing for ever */
    if (damaged)
        error_consequence(&e, "what a killed process left is removed, and has no record: ");
    if (result < 0)
        log_error(LOG_WARNING, &e);
    if ((result == 0 || damaged) && unlink(path) < 0) {
        error_system(&e, errno, "remove '%s'", path);
        log_error(LOG_WARNING, &e);
    }
    json_decref(record);
}

/* Each open attempt, by its path. */
static void each_path(const char *directory, void (*visit)(void *context, const char *path), void *context)
{
    char place[PATH_MAX], path[PATH_MAX];
    snprintf(place, sizeof place, "%.*s/attempts", PATH_MAX - 64, directory);
    DIR *d = opendir(place);
    for (const struct dirent *row = d ? readdir(d) : NULL; row; row = readdir(d)) {
        if (row->d_name[0] == '.' || strstr(row->d_name, ".tmp") || strlen(row->d_name) >= ID_MAX)
            continue;
        snprintf(path, sizeof path, "%.*s/%.*s", PATH_MAX - ID_MAX - 2, place, ID_MAX - 1, row->d_name);
        visit(context, path);
    }
    if (d)
        closedir(d);
}

static void recover_path(void *context, const char *path)
{
    recover_one(context, path);
}

static void recover_place(const char *directory)
{
    each_path(directory, recover_path, (void *)(uintptr_t)directory);
}

void attempt_recover(const struct config *config)
{
    static const char *const kinds[] = {"jobs", "sinks"};
    char above[PATH_MAX], directory[PATH_MAX];
    struct error ignored;
    for (size_t i = 0; config->state_dir && i < sizeof kinds / sizeof kinds[0]; i++) {
        snprintf(above, sizeof above, "%s/%s", config->state_dir, kinds[i]);
        DIR *d = opendir(above);
        for (const struct dirent *row = d ? readdir(d) : NULL; row; row = readdir(d))
            if (row->d_name[0] != '.' &&
                records_directory(config, i == 0 ? row->d_name : NULL, row->d_name, directory, &ignored) == 0)
                recover_place(directory);
        if (d)
            closedir(d);
    }
}

/* ---- looking at them ---- */

json_t *attempt_killed(const struct attempt_open *open)
{
    json_t *killed = json_deep_copy(open->record);
    json_t *end = json_pack("{s:s, s:O}", "status", "killed", "ended", json_object_get(open->record, "started"));
    bool made = killed && end && json_object_update(killed, end) == 0;
    json_decref(end);
    if (made)
        return killed;
    json_decref(killed);
    return NULL;
}

struct look {
    void (*visit)(void *context, const struct attempt_open *open);
    void *context;
    struct error *e;
    int result;
};

static void look_at(void *context, const char *path)
{
    struct look *l = context;
    AUTO_CLOSE int fd = -1;
    bool left = is_left(path, LOCK_SH, &fd);
    json_t *record = read_open(path, l->e);
    if (!record && l->e->class != ERROR_NOT_FOUND && !(left && l->e->class == ERROR_INTEGRITY))
        l->result = -1;
    if (record)
        l->visit(l->context, &(struct attempt_open){.record = record, .alive = !left});
    json_decref(record);
}

int attempt_each_open(const char *directory, void (*visit)(void *context, const struct attempt_open *open),
                      void *context, struct error *e)
{
    struct look look = {.visit = visit, .context = context, .e = e};
    each_path(directory, look_at, &look);
    return look.result;
}
