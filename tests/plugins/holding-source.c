/* A source that holds: its application is a directory, and what it freezes or makes there is a file named by the id. It
 * writes down each call with the id that covers it, and has one bad habit in one call. */
#include <cofre/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct conf {
    const char *place, *habit, *at;
    struct cofre_secret password;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, place, PATH, COFRE_O_REQUIRED | COFRE_O_RESTORE, NULL, "the application"),
    COFRE_OPTION(struct conf, habit, STRING, 0, "none", "what it does wrong"),
    COFRE_OPTION(struct conf, at, STRING, 0, "none", "in which call"),
    COFRE_OPTION(struct conf, password, SECRET, COFRE_O_RESTORE, NULL, "a secret"),
};

static const struct cofre_source role;
static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "holding-source",
    .version = "1",
    .summary = "a source that freezes, for tests",
    .license = "MIT",
    .example = "place = /srv/app",
    .options = COFRE_OPTIONS(struct conf, rows),
    .source = &role,
};
COFRE_PLUGIN(descriptor)

#include "habits.h"
#include "try.h"

static int32_t append(const char *directory, const char *name, const char *text, struct cofre_error *error)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
    if (fd >= 0)
        close(fd);
    return n < 0 ? cofre_fail(error, COFRE_E_PERMANENT, "write '%s': %s", path, strerror(errno)) : COFRE_OK;
}

/* The line in the file of calls, then the habit. */
static int32_t enter(const struct conf *conf, const char *name, struct cofre_call *call, struct cofre_error *error)
{
    char line[200];
    const char *id = cofre->id(call);
    snprintf(line, sizeof line, "%s %s\n", name, id ? id : "-");
    TRY(append(conf->place, "calls", line, error));
    return strcmp(conf->at, name) == 0 ? habits_perform(conf->habit, call, &conf->password, error) : COFRE_OK;
}

static void path_of(const struct conf *conf, const char *what, const char *id, char out[4200])
{
    snprintf(out, 4200, "%s/%s-%s", conf->place, what, id);
}

static int32_t source_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    (void)error;
    memcpy(instance, &conf, sizeof conf);
    return COFRE_OK;
}

static void source_close(void *instance)
{
    (void)instance;
}

static int32_t source_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    (void)instance;
    (void)call;
    (void)depth;
    (void)error;
    return COFRE_OK;
}

static int32_t source_freeze(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    const struct conf *conf = instance;
    char path[4200];
    path_of(conf, "frozen", id, path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return cofre_fail(error, COFRE_E_PERMANENT, "freeze '%s': %s", path, strerror(errno));
    close(fd);
    return enter(conf, "freeze", call, error);
}

static int32_t source_thaw(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    const struct conf *conf = instance;
    char path[4200];
    TRY(enter(conf, "thaw", call, error));
    path_of(conf, "frozen", id, path);
    unlink(path);
    path_of(conf, "restoring", id, path);
    unlink(path);
    return COFRE_OK;
}

static int32_t source_backup(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct cofre_entry entry = {.struct_size = sizeof entry,
                                .kind = COFRE_STREAM,
                                .path = "state",
                                .path_length = 5,
                                .size = -1,
                                .mtime = COFRE_NO_TIME};
    TRY(enter(instance, "backup", call, error));
    TRY(cofre->entry(call, &entry, error));
    return cofre->end(call, COFRE_OK, NULL, error);
}

static int32_t source_restore(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    const struct conf *conf = instance;
    const struct cofre_entry *entry;
    const char *directory, *id = cofre->id(call);
    char path[4200];
    int32_t result;
    path_of(conf, "restoring", id ? id : "-", path);
    close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    TRY(cofre->directory(call, &directory, error));
    TRY(append(directory, "rescue", "what was there\n", error));
    TRY(enter(conf, "restore", call, error));
    while ((result = cofre->next(call, &entry, error)) == COFRE_OK)
        TRY(cofre->done(call, COFRE_OK, NULL, error));
    return result == COFRE_END ? COFRE_OK : result;
}

static int32_t source_scratch_make(void *instance, struct cofre_call *call, const char *id, char *overrides,
                                   size_t length, struct cofre_error *error)
{
    const struct conf *conf = instance;
    char path[4200];
    TRY(enter(conf, "scratch_make", call, error));
    path_of(conf, "scratch", id, path);
    if (mkdir(path, 0700) != 0)
        return cofre_fail(error, COFRE_E_PERMANENT, "make '%s': %s", path, strerror(errno));
    snprintf(overrides, length, "place=%s\n", path);
    return COFRE_OK;
}

static int32_t source_scratch_drop(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    const struct conf *conf = instance;
    char path[4200];
    TRY(enter(conf, "scratch_drop", call, error));
    path_of(conf, "scratch", id, path);
    rmdir(path);
    return COFRE_OK;
}

static const struct cofre_source role = {
    .struct_size = sizeof role,
    .open = source_open,
    .close = source_close,
    .check = source_check,
    .backup = source_backup,
    .restore = source_restore,
    .freeze = source_freeze,
    .thaw = source_thaw,
    .scratch_make = source_scratch_make,
    .scratch_drop = source_scratch_drop,
};
