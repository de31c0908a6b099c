/* A sink that keeps objects in memory, and in files when it has a path, and has one bad habit in one call. */
#include <cofre/plugin.h>
#include <dirent.h>
#include <sys/stat.h>

struct conf {
    const char *habit, *at;
    int64_t times; /* the habit shows in the first so many calls; 0 = in all */
    struct cofre_secret password;
    int64_t page; /* objects per page of list */
    const char *path;
    const char *match;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, habit, STRING, 0, "none", "what it does wrong"),
    COFRE_OPTION(struct conf, at, STRING, 0, "put", "in which call"),
    COFRE_OPTION(struct conf, times, INTEGER, 0, "0", "how often, 0 = always"),
    COFRE_OPTION(struct conf, password, SECRET, 0, NULL, "a secret"),
    COFRE_OPTION_RANGE(struct conf, page, INTEGER, 0, "3", 1, 1000000, "objects per page"),
    COFRE_OPTION(struct conf, path, PATH, 0, NULL, "directory that keeps the objects; none: they end with the process"),
    COFRE_OPTION(struct conf, match, STRING, 0, "", "only keys with this in them are stored or listed badly"),
};

static const struct cofre_sink role;
static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "faulty-sink",
    .version = "1",
    .summary = "a sink with a bad habit",
    .license = "MIT",
    .example = "habit = none",
    .options = COFRE_OPTIONS(struct conf, rows),
    .sink = &role,
};
COFRE_PLUGIN(descriptor)

#include "habits.h"

struct object {
    char key[COFRE_MAX_KEY + 1];
    char *bytes;
    size_t length;
};

struct instance {
    const struct conf *conf;
    int64_t shown;
    struct object *objects;
    size_t count;
};

/* Does the habit show now? */
static int shows(struct instance *in, const char *at, const char *habit)
{
    if (strcmp(in->conf->at, at) != 0 || (habit && strcmp(in->conf->habit, habit) != 0))
        return 0;
    return in->conf->times == 0 || in->shown++ < in->conf->times;
}

static int32_t perform(struct instance *in, const char *at, struct cofre_call *call, struct cofre_error *error)
{
    return shows(in, at, NULL) ? habits_perform(in->conf->habit, call, &in->conf->password, error) : COFRE_OK;
}

static int32_t store(struct instance *in, const char *key, char *bytes, size_t length, struct cofre_error *error);

/* The file of an object: its key, with ~ for each slash. */
static void file_of(const struct instance *in, const char *key, char *out, size_t n)
{
    int at = snprintf(out, n, "%s/", in->conf->path);
    snprintf(out + at, n - (size_t)at, "%s", key);
    for (char *p = out + at; (p = strchr(p, '/'));)
        *p = '~';
}

static int32_t load_file(struct instance *in, const char *name, struct cofre_error *error)
{
    char key[256], path[4400];
    struct stat st;
    snprintf(key, sizeof key, "%s", name);
    for (char *p = key; (p = strchr(p, '~'));)
        *p = '/';
    file_of(in, key, path, sizeof path);
    FILE *file = fopen(path, "re");
    if (!file || fstat(fileno(file), &st) != 0)
        return cofre_fail(error, COFRE_E_PERMANENT, "open '%s'", path);
    char *bytes = malloc((size_t)st.st_size + 1);
    size_t n = bytes ? fread(bytes, 1, (size_t)st.st_size, file) : 0;
    fclose(file);
    return bytes ? store(in, key, bytes, n, error) : cofre_fail(error, COFRE_E_MEMORY, "out of memory");
}

static int32_t load_files(struct instance *in, struct cofre_error *error)
{
    int32_t result = COFRE_OK;
    DIR *directory = in->conf->path ? opendir(in->conf->path) : NULL;
    if (!directory)
        return COFRE_OK;
    for (struct dirent *file; result == COFRE_OK && (file = readdir(directory));)
        if (file->d_name[0] != '.')
            result = load_file(in, file->d_name, error);
    closedir(directory);
    return result;
}

static int32_t keep_file(const struct instance *in, const char *key, const char *bytes, size_t length,
                         struct cofre_error *error)
{
    char path[4400];
    if (!in->conf->path)
        return COFRE_OK;
    file_of(in, key, path, sizeof path);
    FILE *file = fopen(path, "we");
    if (!file || fwrite(bytes, 1, length, file) != length || fclose(file) != 0)
        return cofre_fail(error, COFRE_E_PERMANENT, "write '%s'", path);
    return COFRE_OK;
}

static int32_t sink_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    struct instance *in = calloc(1, sizeof *in);
    if (!in)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    in->conf = conf;
    int32_t result = perform(in, "open", call, error);
    if (result == COFRE_OK)
        result = load_files(in, error);
    if (result == COFRE_OK)
        *instance = in;
    else
        free(in);
    return result;
}

static void sink_close(void *instance)
{
    struct instance *in = instance;
    struct cofre_error error = {.struct_size = sizeof error};
    if (shows(in, "close", NULL) && strcmp(in->conf->habit, "hang") != 0)
        habits_perform(in->conf->habit, NULL, &in->conf->password, &error);
    for (size_t i = 0; i < in->count; i++)
        free(in->objects[i].bytes);
    free(in->objects);
    free(in);
}

static int32_t sink_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    struct instance *in = instance;
    char text[300];
    snprintf(text, sizeof text, "password '%.*s' was tried", (int)in->conf->password.length,
             (const char *)in->conf->password.bytes);
    cofre->finding(call, COFRE_LOG_INFO, depth == COFRE_CHECK_CONNECT ? "connected" : "looked", NULL);
    cofre->finding(call, COFRE_LOG_WARNING, text, "take another one");
    return perform(in, "check", call, error);
}

static struct object *find(struct instance *in, const char *key)
{
    for (size_t i = 0; i < in->count; i++)
        if (strcmp(in->objects[i].key, key) == 0)
            return &in->objects[i];
    return NULL;
}

static int32_t store(struct instance *in, const char *key, char *bytes, size_t length, struct cofre_error *error)
{
    struct object *object = find(in, key);
    if (!object) {
        struct object *more = realloc(in->objects, (in->count + 1) * sizeof *more);
        if (!more)
            return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
        in->objects = more;
        object = &more[in->count++];
        snprintf(object->key, sizeof object->key, "%s", key);
        object->bytes = NULL;
    }
    free(object->bytes);
    object->bytes = bytes;
    object->length = length;
    return COFRE_OK;
}

/* Says that it has stored the object, and has not, or only a part of it, or something else. */
static int is_kept(struct instance *in, const char *key, char *bytes, size_t *length)
{
    if (!strstr(key, in->conf->match))
        return 1;
    if (shows(in, "put", "half"))
        *length /= 2;
    if (*length > 0 && shows(in, "put", "other"))
        bytes[*length / 2] ^= 1;
    return !shows(in, "put", "nothing");
}

/* All that take gives. */
static int32_t collect(struct cofre_call *call, char **bytes, size_t *length, struct cofre_error *error)
{
    const void *piece;
    uint64_t n;
    int32_t result;
    *bytes = NULL;
    *length = 0;
    while ((result = cofre->take(call, &piece, &n, error)) == COFRE_OK) {
        char *more = realloc(*bytes, *length + n);
        if (!more) {
            result = cofre_fail(error, COFRE_E_MEMORY, "out of memory");
            break;
        }
        memcpy(more + *length, piece, n);
        *bytes = more;
        *length += n;
    }
    if (result == COFRE_END)
        return COFRE_OK;
    free(*bytes);
    return result;
}

static int32_t sink_put(void *instance, struct cofre_call *call, const char *key, const struct cofre_put *put,
                        struct cofre_error *error)
{
    struct instance *in = instance;
    char *bytes;
    size_t length;
    if (strcmp(in->conf->habit, "late_retry") != 0) {
        if (shows(in, "put", "early"))
            return COFRE_OK;
        int32_t result = perform(in, "put", call, error);
        if (result != COFRE_OK)
            return result;
    }
    if ((put->flags & COFRE_PUT_IF_ABSENT) && find(in, key))
        return cofre_fail(error, COFRE_E_EXISTS, "put '%s': the key is taken", key);
    int32_t result = collect(call, &bytes, &length, error);
    if (result == COFRE_OK && put->size >= 0 && (size_t)put->size != length)
        result = cofre_fail(error, COFRE_E_INTEGRITY, "put '%s': %zu bytes instead of %lld", key, length,
                            (long long)put->size);
    if (result == COFRE_OK && !is_kept(in, key, bytes, &length)) {
        free(bytes);
        return COFRE_OK;
    }
    if (result == COFRE_OK)
        result = keep_file(in, key, bytes, length, error);
    if (result == COFRE_OK)
        result = store(in, key, bytes, length, error);
    /* Stored, but the answer got lost. */
    if (result == COFRE_OK && shows(in, "put", "late_retry"))
        return cofre_fail(error, COFRE_E_RETRY, "connection reset");
    return result;
}

static int32_t send(struct cofre_call *call, const char *bytes, size_t length, struct cofre_error *error)
{
    while (length > 0) {
        void *buffer;
        size_t n = length;
        int32_t result = cofre->reserve(call, &buffer, &n, error);
        if (result != COFRE_OK)
            return result;
        memcpy(buffer, bytes, n);
        result = cofre->commit(call, n, error);
        if (result != COFRE_OK)
            return result;
        bytes += n;
        length -= n;
    }
    return COFRE_OK;
}

static int32_t sink_get(void *instance, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                        struct cofre_error *error)
{
    struct instance *in = instance;
    const struct object *object = find(in, key);
    if (!object)
        return cofre_fail(error, COFRE_E_NOT_FOUND, "get '%s': there is no such object", key);
    if ((size_t)offset > object->length || (length >= 0 && (size_t)length > object->length - (size_t)offset))
        return cofre_fail(error, COFRE_E_RANGE, "get '%s': it has only %zu bytes", key, object->length);
    size_t n = length < 0 ? object->length - (size_t)offset : (size_t)length;
    if (shows(in, "get", "short"))
        n /= 2;
    int32_t result = send(call, object->bytes + offset, n, error);
    if (result == COFRE_OK && shows(in, "get", "more"))
        result = send(call, "more", 4, error);
    return result == COFRE_OK ? perform(in, "get", call, error) : result;
}

static int32_t sink_stat(void *instance, struct cofre_call *call, const char *key, struct cofre_object *out,
                         struct cofre_error *error)
{
    struct instance *in = instance;
    int32_t result = perform(in, "stat", call, error);
    if (result != COFRE_OK)
        return result;
    const struct object *object = find(in, key);
    if (!object)
        return cofre_fail(error, COFRE_E_NOT_FOUND, "stat '%s': there is no such object", key);
    out->size = shows(in, "stat", "lie") ? -5 : (int64_t)object->length;
    return COFRE_OK;
}

/* A million and one of what is no key of cofre's. */
static int32_t list_strangers(struct cofre_call *call, const char *prefix, struct cofre_error *error)
{
    char key[32];
    struct cofre_object object = {.struct_size = sizeof object, .key = key, .mtime = COFRE_NO_TIME};
    for (int i = 0; i <= 1000000; i++) {
        snprintf(key, sizeof key, "%.8s~%d", prefix, i);
        int32_t result = cofre->object(call, &object, error);
        if (result != COFRE_OK)
            return result;
    }
    return COFRE_OK;
}

static int32_t sink_list(void *instance, struct cofre_call *call, const char *prefix, const void *cursor, size_t length,
                         struct cofre_error *error)
{
    struct instance *in = instance;
    size_t at = 0;
    if (cursor && length == sizeof at)
        memcpy(&at, cursor, sizeof at);
    if (cursor && shows(in, "list", "repeat"))
        return cofre->more(call, cursor, length, error);
    if (shows(in, "list", "endless")) {
        at++;
        return cofre->more(call, &at, sizeof at, error);
    }
    if (shows(in, "list", "strangers"))
        return list_strangers(call, prefix, error);
    if (shows(in, "list", "foreign")) {
        struct cofre_object object = {.struct_size = sizeof object, .key = "elsewhere", .size = 1};
        cofre->object(call, &object, error);
    }
    if (shows(in, "list", "null_object"))
        cofre->object(call, NULL, error);
    if (shows(in, "list", "null_cursor"))
        cofre->more(call, NULL, 9, error);
    /* As if somebody else were storing them now. */
    int late = strncmp(in->conf->match, prefix, strlen(prefix)) == 0 && shows(in, "list", "late");
    int64_t listed = 0;
    for (; at < in->count && listed < in->conf->page; at++) {
        const struct object *object = &in->objects[at];
        if (strncmp(object->key, prefix, strlen(prefix)) != 0 || (late && strstr(object->key, in->conf->match)))
            continue;
        struct cofre_object out = {
            .struct_size = sizeof out, .key = object->key, .size = (int64_t)object->length, .mtime = COFRE_NO_TIME};
        int32_t result = cofre->object(call, &out, error);
        if (result == COFRE_OK && shows(in, "list", "twice"))
            result = cofre->object(call, &out, error);
        if (result != COFRE_OK)
            return result;
        listed++;
    }
    int32_t result = perform(in, "list", call, error);
    /* The next page begins with the last object of this one. */
    if (result == COFRE_OK && at < in->count && shows(in, "list", "overlap"))
        at--;
    if (result == COFRE_OK && at < in->count)
        result = cofre->more(call, &at, sizeof at, error);
    return result;
}

static int32_t sink_remove(void *instance, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    struct instance *in = instance;
    int32_t result = perform(in, "remove", call, error);
    struct object *object = find(in, key);
    if (result == COFRE_OK && object) {
        char path[4400];
        if (in->conf->path) {
            file_of(in, key, path, sizeof path);
            unlink(path);
        }
        free(object->bytes);
        *object = in->objects[--in->count];
    }
    return result;
}

static int32_t sink_remove_many(void *instance, struct cofre_call *call, const char *const *keys, size_t count,
                                struct cofre_error *error)
{
    char line[40];
    int32_t result = perform(instance, "remove_many", call, error);
    for (size_t i = 0; i < count && result == COFRE_OK; i++)
        result = sink_remove(instance, call, keys[i], error);
    snprintf(line, sizeof line, "removed %zu at once", count);
    cofre->log(call, COFRE_LOG_WARNING, line);
    return result;
}

static int32_t sink_space(void *instance, struct cofre_call *call, struct cofre_space *space, struct cofre_error *error)
{
    space->total = 1000;
    space->available = 400;
    return perform(instance, "space", call, error);
}

static const struct cofre_sink role = {
    .struct_size = sizeof role,
    .capabilities = COFRE_SINK_IF_ABSENT | COFRE_SINK_RANGES,
    .open = sink_open,
    .close = sink_close,
    .check = sink_check,
    .put = sink_put,
    .get = sink_get,
    .stat = sink_stat,
    .list = sink_list,
    .remove = sink_remove,
    .remove_many = sink_remove_many,
    .space = sink_space,
};
