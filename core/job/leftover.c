#include "job/leftover.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attempt/attempt.h"
#include "attempt/records.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"

#define FILE_MAX ((size_t)4 << 20) /* bytes */

static int find_directory(const struct config *config, char out[PATH_MAX], struct error *e)
{
    if (snprintf(out, PATH_MAX, "%s/leftovers", config->state_dir) < PATH_MAX - 128)
        return 0;
    return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", config->state_dir);
}

static int find_file(const struct config *config, const char *source, char out[PATH_MAX], struct error *e)
{
    char directory[PATH_MAX];
    if (find_directory(config, directory, e) < 0)
        return -1;
    snprintf(out, PATH_MAX, "%.*s/%.64s", PATH_MAX - 80, directory, source);
    return 0;
}

static json_t *find(const json_t *list, const char *what)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (records_is(json_array_get(list, i), "what", what))
            return json_array_get(list, i);
    return NULL;
}

/* ---- what is remembered ---- */

static bool is_list(const json_t *list)
{
    if (!json_is_array(list) || json_array_size(list) > LEFTOVER_MAX)
        return false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i);
        if (!records_text(one, "what") || !records_text(one, "removal") || records_time(one, "since") == INT64_MIN)
            return false;
    }
    return true;
}

int leftover_read(const struct config *config, const char *source, json_t **list, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = FILE_MAX};
    char path[PATH_MAX];
    *list = NULL;
    if (find_file(config, source, path, e) < 0)
        return -1;
    int read = file_read_own(path, FILE_MAX, &text, e);
    if (read < 0 && e->os_errno == ENOENT)
        return (*list = json_array()) ? 0 : error_memory(e);
    if (read < 0 && e->class != ERROR_RANGE)
        return -1;
    *list = read < 0 ? NULL : json_loadb((const char *)text.data, text.length, 0, NULL);
    if (is_list(*list))
        return 0;
    json_decref(*list);
    *list = NULL;
    error_set(e, ERROR_INTEGRITY, "'%s' is damaged, or of another version", path);
    return error_hint(e, "'cofre check %s' makes it anew", source);
}

static int save(const struct config *config, const char *source, const json_t *list, struct error *e)
{
    char path[PATH_MAX];
    AUTO_FREE char *text = json_dumps(list, JSON_INDENT(1));
    if (!text)
        return error_memory(e);
    return find_file(config, source, path, e) < 0 ? -1 : file_write(path, text, strlen(text), FILE_REPLACE, e);
}

/* Nobody else writes in between of reading and writing. Held for moments only. */
static int lock(const struct config *config, struct error *e)
{
    char directory[PATH_MAX];
    if (find_directory(config, directory, e) < 0 || file_make_trusted(directory, e) < 0)
        return -1;
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_system(e, errno, "open directory '%s'", directory);
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR) {
            error_system(e, errno, "lock directory '%s'", directory);
            close(fd);
            return -1;
        }
    return fd;
}

/* ---- what is named ---- */

struct note {
    const struct config *config;
    const char *source;
    const struct worker *worker;
    bool all;      /* nothing else was there */
    int64_t begun; /* when they began to look */
};

static int list_named(const struct note *note, json_t **list, struct error *e)
{
    size_t count;
    char now[CLOCK_TEXT_MAX];
    const struct worker_leftover *named = worker_leftovers(note->worker, &count);
    *list = json_array();
    for (size_t i = 0; i < count && *list; i++) {
        json_t *one = json_pack("{s:o, s:o, s:s}", "what", attempt_json(named[i].what), "removal",
                                attempt_json(named[i].removal), "since", clock_format_exact(clock_now(), now));
        if (json_array_append_new(*list, one) == 0)
            continue;
        json_decref(*list);
        *list = NULL;
    }
    return *list ? 0 : error_memory(e);
}

/* What was not named is there still where not all were named, or when it has come since they began to look: another
 * process left it. A time that is to come tells nothing. */
static bool stays(const struct note *note, const json_t *one)
{
    int64_t since = records_time(one, "since");
    return !note->all || (since >= note->begun && since <= clock_now());
}

/* What has no room is not remembered: the list is full, which status says. */
static int append(json_t *list, json_t *one, struct error *e)
{
    if (json_array_size(list) == LEFTOVER_MAX)
        return 0;
    return json_array_append(list, one) < 0 ? error_memory(e) : 0;
}

static int merge(const struct note *note, const json_t *before, const json_t *named, json_t *list, struct error *e)
{
    int result = 0;
    for (size_t i = 0; i < json_array_size(before) && result == 0; i++) {
        json_t *one = json_array_get(before, i), *again = find(named, records_text(one, "what"));
        if (again && json_object_set(again, "since", json_object_get(one, "since")) < 0)
            result = error_memory(e);
        else if (again || stays(note, one))
            result = append(list, again ? again : one, e);
    }
    for (size_t i = 0; i < json_array_size(named) && result == 0; i++) {
        json_t *one = json_array_get(named, i);
        if (!find(list, records_text(one, "what")))
            result = append(list, one, e);
    }
    return result;
}

/* What is damaged is made anew when all are named, and else left alone: what else there was is not known. */
static int write_list(const struct note *note, const json_t *named, struct error *e)
{
    json_t *before, *list = NULL;
    if (leftover_read(note->config, note->source, &before, e) < 0 && (!note->all || e->class != ERROR_INTEGRITY))
        return -1;
    int result = (list = json_array()) ? merge(note, before, named, list, e) : error_memory(e);
    if (result == 0 && !json_equal(list, before))
        result = save(note->config, note->source, list, e);
    json_decref(list);
    json_decref(before);
    return result;
}

static int write_locked(const struct note *note, const json_t *named, struct error *e)
{
    AUTO_CLOSE int fd = lock(note->config, e);
    return fd < 0 ? -1 : write_list(note, named, e);
}

/* Is there nothing to remember, and nothing to forget? */
static bool is_idle(const struct note *note)
{
    size_t count;
    char path[PATH_MAX];
    struct stat st;
    struct error ignored;
    worker_leftovers(note->worker, &count);
    if (count > 0)
        return false;
    return !note->all ||
           (find_file(note->config, note->source, path, &ignored) == 0 && lstat(path, &st) < 0 && errno == ENOENT);
}

static void take(const struct note *note)
{
    struct error e;
    json_t *named;
    if (!note->config || !note->config->state_dir || is_idle(note))
        return;
    int result = list_named(note, &named, &e);
    if (result == 0)
        result = write_locked(note, named, &e);
    json_decref(named);
    if (result == 0)
        return;
    error_consequence(&e, "status will not know what restores of source '%s' have left: ", note->source);
    log_error(LOG_WARNING, &e);
}

void leftover_add(const struct config *config, const char *source, const struct worker *worker)
{
    take(&(struct note){.config = config, .source = source, .worker = worker});
}

void leftover_replace(const struct config *config, const char *source, const struct worker *worker, int64_t begun)
{
    take(&(struct note){.config = config, .source = source, .worker = worker, .all = true, .begun = begun});
}
