#include "docker-volume/halt_record.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/ownfile.h"

#define PAUSE 50 /* ms between two tries to get a lock */
#define ID_MIN 12
#define ID_MAX 128
#define RECORD_MAX 65536
#define TEMPORARY ".new-"

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define AUTO_CLOSE __attribute__((cleanup(close_fd)))

/* Names of files are made of it. */
static bool is_id(const char *text)
{
    size_t length = strspn(text, "0123456789abcdef");
    return length >= ID_MIN && length <= ID_MAX && text[length] == '\0';
}

static int32_t check_id(const char *container, struct cofre_error *error)
{
    if (is_id(container))
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_INTEGRITY, "'%.100s' is no id of a container", container);
}

/* ---- locks ---- */

/* One byte of one file for each container: two that share one wait for each other without need, and no more. */
static off_t place_of(const char *container)
{
    uint64_t hash = 14695981039346656037u;
    for (const char *p = container; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 1099511628211u;
    return (off_t)(hash >> 2);
}

static int32_t pause_a_moment(struct cofre_call *call, struct cofre_error *error)
{
    cofre->progress(call, 0, 0);
    return cofre->pause(call, PAUSE, error);
}

int32_t halt_record_lock(const char *directory, struct cofre_call *call, const char *container, int *lock,
                         struct cofre_error *error)
{
    char path[PATH_MAX];
    struct flock wanted = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = place_of(container), .l_len = 1};
    snprintf(path, sizeof path, "%s/.lock", directory);
    *lock = ownfile_open(path, O_RDWR | O_CREAT);
    if (*lock < 0)
        return cofre_fail_errno(error, errno, "open '%s'", path);
    int32_t status = COFRE_OK;
    while (status == COFRE_OK && fcntl(*lock, F_OFD_SETLK, &wanted) != 0) {
        if (errno == EAGAIN || errno == EACCES)
            status = pause_a_moment(call, error);
        else if (errno != EINTR)
            status = cofre_fail_errno(error, errno, "lock '%s'", path);
    }
    if (status != COFRE_OK) {
        close(*lock);
        *lock = -1;
    }
    return status;
}

/* ---- a record in memory ---- */

static const char *text_of(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));
    return text ? text : "";
}

/* json is taken over. false: it is no record of that container. */
static bool take(struct halt_record *record, json_t *json, const char *container)
{
    *record = (struct halt_record){.json = json,
                                   .container = text_of(json, "container"),
                                   .name = text_of(json, "name"),
                                   .project = text_of(json, "project"),
                                   .service = text_of(json, "service"),
                                   .waits = text_of(json, "waits"),
                                   .started_at = text_of(json, "started_at"),
                                   .how = strcmp(text_of(json, "how"), "stop") == 0 ? HALT_STOP : HALT_PAUSE,
                                   .healthy = json_is_true(json_object_get(json, "healthy")),
                                   .order = json_integer_value(json_object_get(json, "order"))};
    return strcmp(record->container, container) == 0 && json_is_array(json_object_get(json, "ids"));
}

void halt_record_free(struct halt_record *record)
{
    json_decref(record->json);
    *record = (struct halt_record){.json = NULL};
}

int32_t halt_record_make(const struct container *container, enum halt_how how, int64_t order,
                         struct halt_record *record, struct cofre_error *error)
{
    const json_t *labels = json_object_get(json_object_get(container->json, "Config"), "Labels");
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:s, s:I, s:[]}", "container", container->id, "name",
                  container->name, "how", how == HALT_STOP ? "stop" : "pause", "project", container->project, "service",
                  container->service, "waits", text_of(labels, "com.docker.compose.depends_on"), "healthy",
                  container->health == HEALTH_HEALTHY, "started_at", "", "order", (json_int_t)order, "ids");
    if (!json)
        return cofre_fail_errno(error, ENOMEM, "note that container '%s' is going to be halted", container->name);
    take(record, json, container->id);
    return COFRE_OK;
}

int32_t halt_record_stop(struct halt_record *record, struct cofre_error *error)
{
    if (json_object_set_new(record->json, "how", json_string("stop")) != 0)
        return cofre_fail_errno(error, ENOMEM, "note that container '%s' is going to be stopped", record->name);
    record->how = HALT_STOP;
    return COFRE_OK;
}

int32_t halt_record_started(struct halt_record *record, const char *started_at, struct cofre_error *error)
{
    if (json_object_set_new(record->json, "started_at", json_string(started_at)) != 0)
        return cofre_fail_errno(error, ENOMEM, "note when container '%s' was started", record->name);
    record->started_at = text_of(record->json, "started_at");
    return COFRE_OK;
}

static json_t *ids(const struct halt_record *record)
{
    return json_object_get(record->json, "ids");
}

size_t halt_record_count(const struct halt_record *record)
{
    return json_array_size(ids(record));
}

static size_t position(const struct halt_record *record, const char *id)
{
    size_t i = 0;
    while (i < halt_record_count(record)) {
        const char *other = json_string_value(json_array_get(ids(record), i));
        if (other && strcmp(other, id) == 0)
            break;
        i++;
    }
    return i;
}

bool halt_record_is_for(const struct halt_record *record, const char *id)
{
    return position(record, id) < halt_record_count(record);
}

int32_t halt_record_add(struct halt_record *record, const char *id, struct cofre_error *error)
{
    if (halt_record_is_for(record, id))
        return COFRE_OK;
    if (json_array_append_new(ids(record), json_string(id)) != 0)
        return cofre_fail_errno(error, ENOMEM, "note that container '%s' is going to be halted", record->name);
    return COFRE_OK;
}

void halt_record_drop(struct halt_record *record, const char *id)
{
    if (halt_record_is_for(record, id))
        json_array_remove(ids(record), position(record, id));
}

/* ---- a record in its file ---- */

int32_t halt_record_read(const char *directory, const char *container, struct halt_record *record,
                         struct cofre_error *error)
{
    char path[PATH_MAX], text[RECORD_MAX];
    *record = (struct halt_record){.json = NULL};
    int32_t status = check_id(container, error);
    if (status != COFRE_OK)
        return status;
    snprintf(path, sizeof path, "%s/%s", directory, container);
    AUTO_CLOSE int fd = ownfile_open(path, O_RDONLY);
    if (fd < 0 && errno == ENOENT)
        return COFRE_OK;
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text);
    if (n < 0)
        return cofre_fail_errno(error, errno, "read '%s'", path);
    json_t *json = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
    if (json && take(record, json, container))
        return COFRE_OK;
    json_decref(json);
    *record = (struct halt_record){.json = NULL};
    cofre_fail(error, COFRE_E_INTEGRITY, "read '%s': it does not say how a container was halted", path);
    cofre_hint(error, "look whether container %.64s runs as it should, then remove the file", container);
    return COFRE_E_INTEGRITY;
}

static int32_t sync_directory(const char *directory, struct cofre_error *error)
{
    AUTO_CLOSE int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? COFRE_OK : cofre_fail_errno(error, errno, "write '%s'", directory);
}

static int32_t write_text(const char *path, const char *text, struct cofre_error *error)
{
    size_t length = strlen(text);
    AUTO_CLOSE int fd = ownfile_make(path);
    ssize_t n = fd < 0 ? -1 : write(fd, text, length);
    if (n >= 0 && (size_t)n < length)
        return cofre_fail_errno(error, ENOSPC, "write '%s'", path);
    return n >= 0 && fsync(fd) == 0 ? COFRE_OK : cofre_fail_errno(error, errno, "write '%s'", path);
}

int32_t halt_record_write(const char *directory, const struct halt_record *record, struct cofre_error *error)
{
    char path[PATH_MAX], temporary[PATH_MAX];
    int32_t status = check_id(record->container, error);
    if (status != COFRE_OK)
        return status;
    char *text = json_dumps(record->json, JSON_SORT_KEYS | JSON_INDENT(1));
    if (!text)
        return cofre_fail_errno(error, ENOMEM, "note that container '%s' is going to be halted", record->name);
    snprintf(path, sizeof path, "%s/%s", directory, record->container);
    snprintf(temporary, sizeof temporary, "%s/" TEMPORARY "%s", directory, record->container);
    status = write_text(temporary, text, error);
    free(text);
    if (status == COFRE_OK && rename(temporary, path) != 0)
        status = cofre_fail_errno(error, errno, "write '%s'", path);
    return status == COFRE_OK ? sync_directory(directory, error) : status;
}

int32_t halt_record_remove(const char *directory, const char *container, struct cofre_error *error)
{
    char path[PATH_MAX];
    int32_t status = check_id(container, error);
    if (status != COFRE_OK)
        return status;
    snprintf(path, sizeof path, "%s/%s", directory, container);
    if (unlink(path) != 0)
        return errno == ENOENT ? COFRE_OK : cofre_fail_errno(error, errno, "remove '%s'", path);
    return sync_directory(directory, error);
}

/* ---- all of them ---- */

static int later_first(const void *a, const void *b)
{
    const struct halt_record *x = a, *y = b;
    return x->order != y->order ? (x->order < y->order ? 1 : -1) : strcmp(x->container, y->container);
}

/* record is taken over. */
static int32_t add(struct halt_records *records, struct halt_record *record, struct cofre_error *error)
{
    struct halt_record *items = reallocarray(records->items, records->count + 1, sizeof *items);
    if (!items) {
        halt_record_free(record);
        return cofre_fail_errno(error, ENOMEM, "list the containers that are halted");
    }
    records->items = items;
    items[records->count++] = *record;
    return COFRE_OK;
}

static int32_t list_one(const char *directory, const char *container, const char *id, struct halt_records *records,
                        struct cofre_error *error)
{
    struct halt_record record;
    int32_t status = halt_record_read(directory, container, &record, error);
    if (status != COFRE_OK || !record.json)
        return status;
    if (!id || halt_record_is_for(&record, id))
        return add(records, &record, error);
    halt_record_free(&record);
    return COFRE_OK;
}

int32_t halt_record_list(const char *directory, const char *id, struct halt_records *records, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t status = COFRE_OK;
    *records = (struct halt_records){.items = NULL};
    DIR *names = opendir(directory);
    if (!names)
        return cofre_fail_errno(error, errno, "list '%s'", directory);
    errno = 0;
    for (const struct dirent *d = readdir(names); d; errno = 0, d = readdir(names)) {
        int32_t one = is_id(d->d_name) ? list_one(directory, d->d_name, id, records, &why) : COFRE_OK;
        if (one != COFRE_OK && status == COFRE_OK) {
            *error = why;
            status = one;
        }
    }
    if (errno && status == COFRE_OK)
        status = cofre_fail_errno(error, errno, "list '%s'", directory);
    closedir(names);
    if (records->count > 0)
        qsort(records->items, records->count, sizeof *records->items, later_first);
    return status;
}

void halt_record_list_free(struct halt_records *records)
{
    for (size_t i = 0; i < records->count; i++)
        halt_record_free(&records->items[i]);
    free(records->items);
    *records = (struct halt_records){.items = NULL};
}
