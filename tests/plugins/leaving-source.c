/* A source whose restores leave something beside. What is there stands in the file `there` of its place, a name in each
 * line: restore adds one, and each call names them, in the way of its habit. It waits while there is a file `wait`. */
#include <cofre/plugin.h>

struct conf {
    const char *place, *habit, *at, *leaves;
    struct cofre_secret password;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, place, PATH, COFRE_O_REQUIRED | COFRE_O_RESTORE, NULL, "where its files are"),
    COFRE_OPTION(struct conf, habit, STRING, COFRE_O_RESTORE, "none", "what it does wrong"),
    COFRE_OPTION(struct conf, at, STRING, COFRE_O_RESTORE, "none", "in which call"),
    COFRE_OPTION(struct conf, leaves, STRING, COFRE_O_RESTORE, "thing", "what a restore leaves"),
    COFRE_OPTION(struct conf, password, SECRET, COFRE_O_RESTORE, NULL, "a secret"),
};

static const struct cofre_source role;
static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "leaving-source",
    .version = "1",
    .summary = "a source that leaves something beside, for tests",
    .license = "MIT",
    .example = "place = /srv/app",
    .options = COFRE_OPTIONS(struct conf, rows),
    .source = &role,
};
COFRE_PLUGIN(descriptor)

#include "habits.h"
#include "try.h"

static FILE *open_file(const struct conf *conf, const char *name, const char *mode)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", conf->place, name);
    return fopen(path, mode);
}

static void name(struct cofre_call *call, const char *what)
{
    char removal[300];
    snprintf(removal, sizeof removal, "drop %.200s", what);
    cofre->leftover(call, what, removal);
}

/* ---- habits ---- */

static void name_many(struct cofre_call *call)
{
    char what[64];
    for (int i = 0; i < 1000000; i++) {
        snprintf(what, sizeof what, "thing %d", i);
        name(call, what);
    }
}

static void name_the_same(struct cofre_call *call)
{
    for (int i = 0; i < 1000; i++)
        name(call, "the same");
    name(call, "another");
}

static void name_long(struct cofre_call *call)
{
    size_t n = 1 << 20;
    char *text = malloc(n + 1);
    if (!text)
        return;
    memset(text, 'x', n);
    text[n] = '\0';
    cofre->leftover(call, text, text);
    text[1000] = '\0';
    cofre->leftover(call, "one whose command has 1000 bytes", text);
    free(text);
}

static void name_odd(struct cofre_call *call)
{
    name(call, "\033[31mred\033[0m\a\nlast run: fine");
    name(call, "bytes \xff\xfe and \xe2\x80\xae turned");
    name(call, "100% of %s%n");
}

static void name_secret(struct cofre_call *call)
{
    name(call, "database of hunter2-and-more");
}

static void name_nothing(struct cofre_call *call)
{
    cofre->leftover(call, "", "drop it");
}

static void name_null(struct cofre_call *call)
{
    cofre->leftover(call, "thing", NULL);
}

/* It does not look whether it is still wanted. */
static void name_endlessly(struct cofre_call *call)
{
    for (;;)
        name(call, "endless");
}

static const struct {
    const char *name;
    void (*run)(struct cofre_call *call);
} namings[] = {
    {"many", name_many},     {"same", name_the_same}, {"long", name_long}, {"odd", name_odd},
    {"secret", name_secret}, {"empty", name_nothing}, {"null", name_null}, {"endless", name_endlessly},
};

/* ---- calls ---- */

static int32_t wait_for_leave(const struct conf *conf, struct cofre_call *call, struct cofre_error *error)
{
    FILE *file;
    while ((file = open_file(conf, "wait", "re"))) {
        fclose(file);
        TRY(cofre->pause(call, 10, error));
    }
    return COFRE_OK;
}

static void say_arrived(const struct conf *conf)
{
    FILE *file = open_file(conf, "arrived", "we");
    if (file)
        fclose(file);
}

/* All that is there, and then the habit. */
static int32_t name_all(const struct conf *conf, const char *at, struct cofre_call *call, struct cofre_error *error)
{
    char line[200];
    FILE *file = open_file(conf, "there", "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        name(call, line);
    }
    if (file)
        fclose(file);
    say_arrived(conf);
    TRY(wait_for_leave(conf, call, error));
    if (strcmp(conf->at, at) != 0)
        return COFRE_OK;
    for (size_t i = 0; i < sizeof namings / sizeof namings[0]; i++)
        if (strcmp(conf->habit, namings[i].name) == 0)
            namings[i].run(call);
    return habits_perform(conf->habit, call, &conf->password, error);
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
    const struct conf *conf = instance;
    if (depth != COFRE_CHECK_CONNECT)
        return COFRE_OK;
    if (strcmp(conf->habit, "away") == 0) {
        cofre->finding(call, COFRE_LOG_ERROR, "the server is away", "start it");
        return COFRE_OK;
    }
    return name_all(conf, "check", call, error);
}

static int32_t source_backup(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct cofre_entry entry = {.struct_size = sizeof entry,
                                .kind = COFRE_STREAM,
                                .path = "state",
                                .path_length = 5,
                                .size = -1,
                                .mtime = COFRE_NO_TIME};
    TRY(cofre->entry(call, &entry, error));
    TRY(cofre->end(call, COFRE_OK, NULL, error));
    return name_all(instance, "backup", call, error);
}

static int32_t source_restore(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    const struct conf *conf = instance;
    const struct cofre_entry *entry;
    int32_t result;
    while ((result = cofre->next(call, &entry, error)) == COFRE_OK)
        TRY(cofre->done(call, COFRE_OK, NULL, error));
    FILE *file = open_file(conf, "there", "ae");
    if (!file || fprintf(file, "%s\n", conf->leaves) < 0 || fclose(file) != 0)
        return cofre_fail(error, COFRE_E_PERMANENT, "leave '%s'", conf->leaves);
    if (strcmp(conf->habit, "late") == 0) {
        say_arrived(conf);
        TRY(wait_for_leave(conf, call, error));
    }
    name(call, conf->leaves);
    if (strcmp(conf->at, "restore") == 0)
        TRY(name_all(conf, "restore", call, error));
    return result == COFRE_END ? COFRE_OK : result;
}

static const struct cofre_source role = {
    .struct_size = sizeof role,
    .open = source_open,
    .close = source_close,
    .check = source_check,
    .backup = source_backup,
    .restore = source_restore,
};
