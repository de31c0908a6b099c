#include "docker-volume/sheet.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/docker/volume.h"
#include "docker-volume/layout.h"
#include "docker-volume/order.h"
#include "docker-volume/say.h"

#define LABEL "com.docker.compose.project.config_files"
#define OPEN_FLAGS (O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
#define SAME_NAMES 100 /* compose files of a project with the same name */

/* ---- gathering ---- */

/* All are taken over, also after an error. */
static int32_t add(struct sheets *sheets, char *path, char *text, char *file, struct cofre_error *error)
{
    struct sheet *items = path && (text || file) ? reallocarray(sheets->items, sheets->count + 1, sizeof *items) : NULL;
    if (!items) {
        free(path);
        free(text);
        free(file);
        return cofre_fail_errno(error, ENOMEM, "describe the volumes");
    }
    sheets->items = items;
    items[sheets->count++] = (struct sheet){.path = path, .text = text, .file = file};
    return COFRE_OK;
}

int32_t sheets_add_text(struct sheets *sheets, const char *path, char *text, struct cofre_error *error)
{
    return add(sheets, strdup(path), text, NULL, error);
}

static const struct sheet *find(const struct sheets *sheets, const char *path)
{
    for (size_t i = 0; i < sheets->count; i++)
        if (strcmp(sheets->items[i].path, path) == 0)
            return &sheets->items[i];
    return NULL;
}

static bool has_file(const struct sheets *sheets, const char *file)
{
    for (size_t i = 0; i < sheets->count; i++)
        if (sheets->items[i].file && strcmp(sheets->items[i].file, file) == 0)
            return true;
    return false;
}

/* Labels can come with an image, from anywhere: they do not make cofre read just any file of this machine. */
static bool is_compose_file(const char *file)
{
    const char *base = strrchr(file, '/'), *dot = base ? strrchr(base, '.') : NULL;
    return file[0] == '/' && dot && (strcmp(dot, ".yml") == 0 || strcmp(dot, ".yaml") == 0) && volume_is_name(base + 1);
}

/* Several of one name, in different directories, get numbers. */
static int32_t add_file(struct sheets *sheets, const char *project, const char *file, struct cofre_error *error)
{
    char *path = NULL;
    for (int number = 1; number <= SAME_NAMES; number++) {
        free(path);
        if (asprintf(&path, LAYOUT_PROJECTS "/%s/%s", project, strrchr(file, '/') + 1) < 0)
            return cofre_fail_errno(error, ENOMEM, "describe the volumes");
        char *numbered = NULL;
        if (number > 1 && asprintf(&numbered, "%s.%d", path, number) >= 0) {
            free(path);
            path = numbered;
        }
        if (!find(sheets, path))
            return add(sheets, path, NULL, strdup(file), error);
    }
    free(path);
    return COFRE_OK;
}

/* What compose reads beside the file by itself: without it the file means something else, or nothing. */
static int32_t add_environment(struct sheets *sheets, const char *project, const char *file, struct cofre_error *error)
{
    char *beside = NULL;
    int32_t status = COFRE_OK;
    if (asprintf(&beside, "%.*s/.env", (int)(strrchr(file, '/') - file), file) < 0)
        return cofre_fail_errno(error, ENOMEM, "describe the volumes");
    if (!has_file(sheets, beside) && access(beside, F_OK) == 0)
        status = add_file(sheets, project, beside, error);
    free(beside);
    return status;
}

static int32_t left_out(struct cofre_call *call, const char *file, const char *why, struct cofre_error *error)
{
    return cofre->left_out(call, file, strlen(file), why, error);
}

int32_t sheets_add_compose(struct sheets *sheets, struct cofre_call *call, const struct container *container,
                           struct cofre_error *error)
{
    const json_t *labels = json_object_get(json_object_get(container->json, "Config"), "Labels");
    const char *label = json_string_value(json_object_get(labels, LABEL));
    char *files = label && volume_is_name(container->project) ? strdup(label) : NULL, *rest = NULL;
    int32_t status = COFRE_OK;
    for (char *file = files ? strtok_r(files, ",", &rest) : NULL; file && status == COFRE_OK;
         file = strtok_r(NULL, ",", &rest)) {
        if (is_compose_file(file) && !has_file(sheets, file))
            status = add_file(sheets, container->project, file, error);
        else if (!is_compose_file(file))
            say_log(call, COFRE_LOG_INFO,
                    "container '%.100s': '%.200s' is not kept: compose files end with .yml or .yaml", container->name,
                    file);
        if (status == COFRE_OK && is_compose_file(file))
            status = add_environment(sheets, container->project, file, error);
    }
    free(files);
    return status;
}

/* ---- sending ---- */

static int by_path(const void *a, const void *b)
{
    return order_compare(((const struct sheet *)a)->path, ((const struct sheet *)b)->path);
}

static int32_t send_bytes(struct cofre_call *call, const char *bytes, size_t length, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    for (size_t sent = 0, room; status == COFRE_OK && sent < length; sent += room) {
        void *buffer;
        room = length - sent;
        status = cofre->reserve(call, &buffer, &room, error);
        if (status != COFRE_OK)
            break;
        memcpy(buffer, bytes + sent, room);
        status = cofre->commit(call, room, error);
    }
    return status;
}

static int32_t send_sheet(struct cofre_call *call, const char *path, const char *text, size_t length,
                          struct cofre_error *error)
{
    const struct cofre_entry entry = {.struct_size = sizeof entry,
                                      .kind = COFRE_FILE,
                                      .path = path,
                                      .path_length = (uint32_t)strlen(path),
                                      .size = (int64_t)length,
                                      .mtime = COFRE_NO_TIME,
                                      .mode = 0600,
                                      .attribute_stride = sizeof(struct cofre_attribute)};
    int32_t status = cofre->entry(call, &entry, error);
    if (status == COFRE_OK)
        status = send_bytes(call, text, length, error);
    return status == COFRE_OK ? cofre->end(call, COFRE_OK, NULL, error) : status;
}

/* Bytes read into bytes, of SHEET_FILE_MAX + 1; or -1 with errno. */
static ssize_t read_file(const char *file, char *bytes)
{
    struct stat st;
    size_t length = 0;
    ssize_t n = -1;
    int fd = open(file, OPEN_FLAGS);
    if (fd < 0)
        return -1;
    errno = EFBIG;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= SHEET_FILE_MAX)
        while ((n = read(fd, bytes + length, SHEET_FILE_MAX + 1 - length)) > 0)
            length += (size_t)n;
    int errnum = errno;
    close(fd);
    errno = errnum;
    return n < 0 ? -1 : (ssize_t)length;
}

static int32_t send_file(struct cofre_call *call, const struct sheet *sheet, char *bytes, struct cofre_error *error)
{
    char why[160];
    ssize_t length = read_file(sheet->file, bytes);
    if (length >= 0 && length <= SHEET_FILE_MAX)
        return send_sheet(call, sheet->path, bytes, (size_t)length, error);
    if (length < 0 && errno == ENOENT) {
        say_log(call, COFRE_LOG_NOTICE, "compose file '%.300s' is not there any more, and is not kept", sheet->file);
        return COFRE_OK;
    }
    snprintf(why, sizeof why, "the compose file cannot be read: %s", length < 0 ? strerror(errno) : "it is too large");
    if (length > SHEET_FILE_MAX || errno == EFBIG || errno == ELOOP)
        snprintf(why, sizeof why, "the compose file is no regular file of at most %u MiB", SHEET_FILE_MAX >> 20);
    return left_out(call, sheet->file, why, error);
}

int32_t sheets_send(struct sheets *sheets, struct cofre_call *call, struct cofre_error *error)
{
    char *bytes = malloc(SHEET_FILE_MAX + 1);
    if (!bytes)
        return cofre_fail_errno(error, ENOMEM, "describe the volumes");
    if (sheets->count > 0)
        qsort(sheets->items, sheets->count, sizeof *sheets->items, by_path);
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < sheets->count; i++) {
        const struct sheet *s = &sheets->items[i];
        status =
            s->text ? send_sheet(call, s->path, s->text, strlen(s->text), error) : send_file(call, s, bytes, error);
    }
    free(bytes);
    return status;
}

void sheets_free(struct sheets *sheets)
{
    for (size_t i = 0; i < sheets->count; i++) {
        free(sheets->items[i].path);
        free(sheets->items[i].text);
        free(sheets->items[i].file);
    }
    free(sheets->items);
    *sheets = (struct sheets){.items = NULL};
}
