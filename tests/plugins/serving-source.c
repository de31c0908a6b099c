/* A source with services around it, and with things to be discovered. Its application is a directory, PLACE:
 *
 *   PLACE/run/NAME   a service that runs
 *   PLACE/things     one line for each thing that could be a source
 *   PLACE/calls      each call: its name, the id that covers it, and the thing of the source
 *
 * What it stops is kept as COMMON/ID.NAME, so that a fresh process can start it again. Without a place in its section
 * it takes that of the environment. It has one bad habit in one call. */
#include <cofre/plugin.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

struct conf {
    const char *place, *thing, *habit, *at;
    int32_t overwrite;
    struct cofre_secret password;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, place, PATH, 0, NULL, "the application"),
    COFRE_OPTION(struct conf, thing, STRING, COFRE_O_RESTORE, "", "what is saved of it"),
    COFRE_OPTION(struct conf, habit, STRING, 0, "none", "what it does wrong"),
    COFRE_OPTION(struct conf, at, STRING, 0, "none", "in which call"),
    COFRE_OPTION(struct conf, overwrite, BOOLEAN, COFRE_O_RESTORE | COFRE_O_REPLACE, "no",
                 "may a restore replace what is there?"),
    COFRE_OPTION(struct conf, password, SECRET, 0, NULL, "a secret"),
};

static const struct cofre_source role;
static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "serving-source",
    .version = "1",
    .summary = "a source with services around it, for tests",
    .license = "MIT",
    .example = "place = /srv/app",
    .options = COFRE_OPTIONS(struct conf, rows),
    .source = &role,
    .environment = "SERVING_PLACE",
};
COFRE_PLUGIN(descriptor)

#include "habits.h"
#include "try.h"

#define PATH_SIZE 4200

static int32_t append(const char *path, const char *text, struct cofre_error *error)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));
    if (fd >= 0)
        close(fd);
    return n < 0 ? cofre_fail(error, COFRE_E_PERMANENT, "write '%s': %s", path, strerror(errno)) : COFRE_OK;
}

static const char *place_of(const struct conf *conf)
{
    const char *there = getenv("SERVING_PLACE");
    return conf->place ? conf->place : there ? there : "/nonexistent";
}

static int32_t enter(const struct conf *conf, const char *name, struct cofre_call *call, struct cofre_error *error)
{
    char path[PATH_SIZE], line[300];
    const char *id = cofre->id(call);
    if (access(place_of(conf), F_OK) != 0)
        return cofre_fail(error, COFRE_E_RETRY, "reach '%s': nobody is there", place_of(conf));
    snprintf(path, sizeof path, "%s/calls", place_of(conf));
    snprintf(line, sizeof line, "%s %s %s\n", name, id ? id : "-", conf->thing[0] ? conf->thing : "-");
    TRY(append(path, line, error));
    return strcmp(conf->at, name) == 0 ? habits_perform(conf->habit, call, &conf->password, error) : COFRE_OK;
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

/* ---- what it knows of the configuration ---- */

static int32_t source_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    const struct cofre_section *section;
    const char *common;
    char text[1000];
    int32_t result = COFRE_OK;
    (void)depth;
    TRY(enter(instance, "check", call, error));
    if (cofre->common_directory(call, &common, error) == COFRE_OK) {
        snprintf(text, sizeof text, "common directory %s", common);
        cofre->finding(call, COFRE_LOG_INFO, text, NULL);
    }
    for (uint64_t i = 0; (result = cofre->configured(call, i, &section, error)) == COFRE_OK; i++) {
        int n = snprintf(text, sizeof text, "configured %s (%s%s)", section->name, section->plugin,
                         section->flags & COFRE_SECTION_IN_JOB ? ", in a job" : "");
        for (uint32_t k = 0; k < section->setting_count; k++)
            n += snprintf(text + n, sizeof text - (size_t)n, " %s=%s", section->settings[k].name,
                          section->settings[k].value);
        cofre->finding(call, COFRE_LOG_INFO, text, NULL);
    }
    return result == COFRE_END ? COFRE_OK : result;
}

static const char *setting(const struct cofre_section *section, const char *name)
{
    for (uint32_t i = 0; i < section->setting_count; i++)
        if (strcmp(section->settings[i].name, name) == 0)
            return section->settings[i].value;
    return "";
}

/* The source that saves this thing. */
static int32_t find_cover(struct cofre_call *call, const char *thing, const char **source, struct cofre_error *error)
{
    const struct cofre_section *section;
    int32_t result;
    *source = NULL;
    for (uint64_t i = 0; (result = cofre->configured(call, i, &section, error)) == COFRE_OK; i++)
        if (strcmp(section->plugin, "serving-source") == 0 && strcmp(setting(section, "thing"), thing) == 0)
            *source = section->name;
    return result == COFRE_END ? COFRE_OK : result;
}

/* A thing that begins with "raw " is offered with what follows for its options. */
static int32_t offer_thing(struct cofre_call *call, const char *thing, struct cofre_error *error)
{
    char options[400], about[400];
    struct cofre_offer offer = {.struct_size = sizeof offer, .name = thing, .options = options, .about = about};
    TRY(find_cover(call, thing, &offer.covered_by, error));
    if (strncmp(thing, "raw ", 4) == 0)
        snprintf(options, sizeof options, "%s", thing + 4);
    else
        snprintf(options, sizeof options, "plugin = serving-source\nthing = %s\n", thing);
    snprintf(about, sizeof about, "the thing '%s'\t(tab)", thing);
    return cofre->offer(call, &offer, error);
}

static int32_t source_discover(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    char path[PATH_SIZE], line[300];
    int32_t result = COFRE_OK;
    TRY(enter(instance, "discover", call, error));
    snprintf(path, sizeof path, "%s/things", place_of(instance));
    FILE *file = fopen(path, "re");
    while (file && result == COFRE_OK && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        result = offer_thing(call, line, error);
    }
    if (file)
        fclose(file);
    return result;
}

/* ---- services ---- */

static int32_t common(struct cofre_call *call, const char *id, const char *name, char out[PATH_SIZE],
                      struct cofre_error *error)
{
    const char *directory;
    TRY(cofre->common_directory(call, &directory, error));
    snprintf(out, PATH_SIZE, "%s/%s.%s", directory, id, name);
    return COFRE_OK;
}

static void running(const struct conf *conf, const char *name, char out[PATH_SIZE])
{
    snprintf(out, PATH_SIZE, "%s/run/%s", place_of(conf), name);
}

static int32_t stop_one(const struct conf *conf, struct cofre_call *call, const char *id, const char *name,
                        struct cofre_error *error)
{
    char from[PATH_SIZE], record[PATH_SIZE];
    running(conf, name, from);
    TRY(common(call, id, name, record, error));
    if (access(from, F_OK) != 0)
        return COFRE_OK;
    TRY(append(record, name, error));
    return unlink(from) == 0 ? COFRE_OK : cofre_fail(error, COFRE_E_PERMANENT, "stop '%s': it does not", name);
}

static int32_t each_name(const struct conf *conf, struct cofre_call *call, int32_t what, const char *id,
                         const char *which, struct cofre_error *error)
{
    char copy[300], text[400], path[PATH_SIZE], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", which);
    for (char *name = strtok_r(copy, " ", &rest); name; name = strtok_r(NULL, " ", &rest)) {
        running(conf, name, path);
        snprintf(text, sizeof text, what == COFRE_SERVICES_SAY ? "stops %s" : "start %s by hand", name);
        if (what == COFRE_SERVICES_STOP)
            TRY(stop_one(conf, call, id, name, error));
        else if (what == COFRE_SERVICES_KEEP)
            cofre->log(call, COFRE_LOG_NOTICE, text);
        else
            cofre->finding(call, strcmp(name, "nobody") == 0 ? COFRE_LOG_ERROR : COFRE_LOG_INFO, text, NULL);
    }
    return COFRE_OK;
}

/* What id has stopped: started again, or only forgotten. */
static int32_t end_all(const struct conf *conf, struct cofre_call *call, const char *id, int start,
                       struct cofre_error *error)
{
    const char *directory;
    char path[PATH_SIZE];
    int32_t result = COFRE_OK;
    size_t n = strlen(id);
    TRY(cofre->common_directory(call, &directory, error));
    DIR *records = opendir(directory);
    for (struct dirent *row = records ? readdir(records) : NULL; row && result == COFRE_OK; row = readdir(records)) {
        if (strncmp(row->d_name, id, n) != 0 || row->d_name[n] != '.')
            continue;
        running(conf, row->d_name + n + 1, path);
        if (start)
            result = append(path, "", error);
        snprintf(path, sizeof path, "%s/%s", directory, row->d_name);
        if (result == COFRE_OK && unlink(path) != 0)
            result = cofre_fail(error, COFRE_E_PERMANENT, "remove '%s': %s", path, strerror(errno));
    }
    if (records)
        closedir(records);
    return result;
}

static int32_t source_services(void *instance, struct cofre_call *call, int32_t what, const char *id, const char *which,
                               struct cofre_error *error)
{
    static const char *const names[] = {"say", "stop", "keep"};
    /* The habit comes when something was done already. */
    TRY(each_name(instance, call, what, id, which, error));
    TRY(enter(instance, names[what], call, error));
    return what == COFRE_SERVICES_KEEP ? end_all(instance, call, id, 0, error) : COFRE_OK;
}

static int32_t source_freeze(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    (void)id;
    return enter(instance, "freeze", call, error);
}

static int32_t source_thaw(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    TRY(enter(instance, "thaw", call, error));
    return end_all(instance, call, id, 1, error);
}

/* ---- data ---- */

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
    const struct cofre_entry *entry;
    int32_t result;
    TRY(enter(instance, "restore", call, error));
    while ((result = cofre->next(call, &entry, error)) == COFRE_OK)
        TRY(cofre->done(call, COFRE_OK, NULL, error));
    return result == COFRE_END ? COFRE_OK : result;
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
    .discover = source_discover,
    .services = source_services,
};
