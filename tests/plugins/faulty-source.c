/* A source of a few files, with one bad habit in one call. */
#include <cofre/plugin.h>

struct conf {
    const char *habit, *at;
    struct cofre_secret password;
    const char *count;
    int64_t times;
    int32_t overwrite;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, habit, STRING, 0, "none", "what it does wrong"),
    COFRE_OPTION(struct conf, at, STRING, 0, "backup", "in which call"),
    COFRE_OPTION(struct conf, password, SECRET, 0, NULL, "a secret"),
    COFRE_OPTION(struct conf, count, PATH, 0, NULL, "file that grows by a byte with each call of `at`"),
    COFRE_OPTION(struct conf, times, INTEGER, 0, "1000000", "the habit shows in the first so many calls"),
    COFRE_OPTION(struct conf, overwrite, BOOLEAN, COFRE_O_RESTORE | COFRE_O_REPLACE, "no", "does not matter"),
};

static const struct cofre_source role;
static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "faulty-source",
    .version = "1",
    .summary = "a source with a bad habit",
    .license = "MIT",
    .example = "habit = none",
    .options = COFRE_OPTIONS(struct conf, rows),
    .source = &role,
};
COFRE_PLUGIN(descriptor)

#include "habits.h"
#include "try.h"

/* How often the call came before, in this process or in earlier ones. */
static int64_t count_calls(const struct conf *conf)
{
    FILE *file = conf->count ? fopen(conf->count, "ae") : NULL;
    if (!file)
        return 0;
    int64_t before = ftell(file);
    fputc('.', file);
    fclose(file);
    return before;
}

static int32_t perform(const struct conf *conf, const char *at, struct cofre_call *call, struct cofre_error *error)
{
    if (strcmp(conf->at, at) != 0 || count_calls(conf) >= conf->times)
        return COFRE_OK;
    return habits_perform(conf->habit, call, &conf->password, error);
}

static int32_t source_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    struct conf *copy = malloc(sizeof *copy);
    if (!copy)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    memcpy(copy, conf, sizeof *copy);
    int32_t result = perform(copy, "open", call, error);
    if (result == COFRE_OK)
        *instance = copy;
    else
        free(copy);
    return result;
}

static void source_close(void *instance)
{
    struct conf *conf = instance;
    struct cofre_error error = {.struct_size = sizeof error};
    if (strcmp(conf->at, "close") == 0)
        habits_perform(conf->habit, NULL, &conf->password, &error);
    free(conf);
}

static int32_t source_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    const struct conf *conf = instance;
    cofre->finding(call, COFRE_LOG_INFO, depth == COFRE_CHECK_CONNECT ? "connected" : "looked", NULL);
    if (strcmp(conf->habit, "odd_levels") == 0) {
        cofre->finding(call, 99, "level 99", NULL);
        cofre->finding(call, COFRE_LOG_DEBUG, "level debug", NULL);
    }
    if (strcmp(conf->habit, "null_finding") == 0)
        cofre->finding(call, COFRE_LOG_ERROR, NULL, NULL);
    if (strcmp(conf->habit, "late_finding") == 0) {
        habits_hang(call, error);
        cofre->finding(call, COFRE_LOG_ERROR, "this comes too late", NULL);
    }
    return perform(instance, "check", call, error);
}

static int32_t announce(struct cofre_call *call, uint32_t kind, const char *path, struct cofre_error *error)
{
    struct cofre_entry entry = {.struct_size = sizeof entry,
                                .kind = kind,
                                .path = path,
                                .path_length = (uint32_t)strlen(path),
                                .size = -1,
                                .mtime = COFRE_NO_TIME,
                                .mode = 0644};
    return cofre->entry(call, &entry, error);
}

static int32_t content(struct cofre_call *call, const char *text, struct cofre_error *error)
{
    void *buffer;
    size_t n = strlen(text);
    TRY(cofre->reserve(call, &buffer, &n, error));
    memcpy(buffer, text, n);
    return cofre->commit(call, n, error);
}

static int32_t file(struct cofre_call *call, const char *path, struct cofre_error *error)
{
    TRY(announce(call, COFRE_FILE, path, error));
    TRY(content(call, "content\n", error));
    return cofre->end(call, COFRE_OK, NULL, error);
}

/* Each does one thing that the header forbids, after a good entry "a" and before a good entry "z". */
static int32_t early(struct cofre_call *call, struct cofre_error *error)
{
    return announce(call, COFRE_FILE, "b", error);
}

static int32_t order(struct cofre_call *call, struct cofre_error *error)
{
    TRY(file(call, "c", error));
    return file(call, "b", error);
}

static int32_t twice(struct cofre_call *call, struct cofre_error *error)
{
    return file(call, "a", error);
}

static int32_t dotdot(struct cofre_call *call, struct cofre_error *error)
{
    return file(call, "b/../../etc/shadow", error);
}

static int32_t absolute(struct cofre_call *call, struct cofre_error *error)
{
    return file(call, "/etc/shadow", error);
}

static int32_t nested(struct cofre_call *call, struct cofre_error *error)
{
    TRY(announce(call, COFRE_FILE, "b", error));
    return announce(call, COFRE_FILE, "c", error);
}

static int32_t no_entry(struct cofre_call *call, struct cofre_error *error)
{
    return content(call, "content", error);
}

static int32_t directory_content(struct cofre_call *call, struct cofre_error *error)
{
    TRY(announce(call, COFRE_DIRECTORY, "b", error));
    return content(call, "content", error);
}

static int32_t bad_kind(struct cofre_call *call, struct cofre_error *error)
{
    return announce(call, 77, "b", error);
}

static int32_t no_target(struct cofre_call *call, struct cofre_error *error)
{
    return announce(call, COFRE_SYMLINK, "b", error);
}

static int32_t overcommit(struct cofre_call *call, struct cofre_error *error)
{
    void *buffer;
    size_t n = 10;
    TRY(announce(call, COFRE_FILE, "b", error));
    TRY(cofre->reserve(call, &buffer, &n, error));
    return cofre->commit(call, n + 1, error);
}

static int32_t no_end(struct cofre_call *call, struct cofre_error *error)
{
    return cofre->end(call, COFRE_OK, NULL, error);
}

static int32_t huge_hole(struct cofre_call *call, struct cofre_error *error)
{
    TRY(announce(call, COFRE_FILE, "b", error));
    TRY(cofre->hole(call, INT64_MAX, error));
    return cofre->hole(call, 1, error);
}

static int32_t below_file(struct cofre_call *call, struct cofre_error *error)
{
    TRY(file(call, "b", error));
    return file(call, "b/c", error);
}

/* The host has "b" from the last snapshot; of what kind it was then only the engine knows. */
static int32_t below_unchanged(struct cofre_call *call, struct cofre_error *error)
{
    if (cofre->unchanged(call, "b", 1, "fingerprint", 11) != COFRE_UNCHANGED) {
        struct cofre_entry entry = {.struct_size = sizeof entry,
                                    .kind = COFRE_STREAM,
                                    .path = "b",
                                    .path_length = 1,
                                    .size = -1,
                                    .mtime = COFRE_NO_TIME,
                                    .fingerprint = "fingerprint",
                                    .fingerprint_length = 11};
        TRY(cofre->entry(call, &entry, error));
        return cofre->end(call, COFRE_OK, NULL, error);
    }
    return file(call, "b/c", error);
}

static int32_t below_link(struct cofre_call *call, struct cofre_error *error)
{
    struct cofre_entry entry = {.struct_size = sizeof entry,
                                .kind = COFRE_SYMLINK,
                                .path = "b",
                                .path_length = 1,
                                .link = "z",
                                .link_length = 1};
    TRY(cofre->entry(call, &entry, error));
    TRY(cofre->end(call, COFRE_OK, NULL, error));
    return file(call, "b/c/d", error);
}

/* Not directly behind it: "b" is followed by "b-c" in the order of bytes, but not in that of paths. */
static int32_t below_directory(struct cofre_call *call, struct cofre_error *error)
{
    TRY(announce(call, COFRE_DIRECTORY, "b", error));
    TRY(cofre->end(call, COFRE_OK, NULL, error));
    TRY(file(call, "b/c", error));
    TRY(file(call, "b/d/e/f", error));
    return file(call, "b-c", error);
}

#include "faulty-source-nulls.h"

/* Goes on for ever although every call fails. */
static int32_t deaf(struct cofre_call *call, struct cofre_error *error)
{
    int32_t result = COFRE_OK;
    while (result != COFRE_END)
        result = announce(call, COFRE_FILE, "..", error);
    return result;
}

/* Writes over the ring, as a stray pointer would. */
static int32_t scribble(struct cofre_call *call, struct cofre_error *error)
{
    void *buffer;
    size_t n = 1;
    TRY(announce(call, COFRE_FILE, "b", error));
    TRY(cofre->reserve(call, &buffer, &n, error));
    memset((char *)buffer - 256, 0xee, 512);
    return cofre->commit(call, 1, error);
}

/* As every read loop ends: room is reserved, there is nothing to put into it. */
static int32_t log_before_end(struct cofre_call *call, struct cofre_error *error)
{
    void *buffer;
    size_t n = 1 << 20;
    TRY(announce(call, COFRE_FILE, "b", error));
    TRY(cofre->reserve(call, &buffer, &n, error));
    cofre->log(call, COFRE_LOG_WARNING, "before the end");
    return cofre->end(call, COFRE_OK, NULL, error);
}

/* And nothing follows but the return. More lines than are kept. */
static int32_t log_last(struct cofre_call *call, struct cofre_error *error)
{
    char line[300];
    void *buffer;
    size_t n = 1;
    TRY(cofre->reserve(call, &buffer, &n, error));
    for (int i = 0; i < 500; i++) {
        snprintf(line, sizeof line, "line %d %200s", i, "");
        cofre->log(call, COFRE_LOG_WARNING, line);
    }
    return COFRE_OK;
}

static int32_t log_between(struct cofre_call *call, struct cofre_error *error)
{
    void *buffer;
    size_t n = 5;
    TRY(announce(call, COFRE_FILE, "b", error));
    TRY(cofre->reserve(call, &buffer, &n, error));
    memcpy(buffer, "he", 2);
    cofre->log(call, COFRE_LOG_WARNING, "between reserve and commit");
    memcpy((char *)buffer + 2, "llo", 3);
    TRY(cofre->commit(call, 5, error));
    return cofre->end(call, COFRE_OK, NULL, error);
}

static int32_t many_facts(struct cofre_call *call, struct cofre_error *error)
{
    char key[16];
    for (int i = 0; i <= 50000; i++) {
        snprintf(key, sizeof key, "%d", i);
        TRY(cofre->fact(call, key, "", 0, error));
    }
    return COFRE_OK;
}

static int32_t large_facts(struct cofre_call *call, struct cofre_error *error)
{
    static char value[65537];
    char key[16];
    memset(value, 'x', sizeof value - 1);
    for (int i = 0; i < 64; i++) {
        snprintf(key, sizeof key, "%d", i);
        TRY(cofre->fact(call, key, value, 0, error));
    }
    return COFRE_OK;
}

/* Allowed: what cannot be read is said. */
static int32_t unreadable(struct cofre_call *call, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    struct cofre_error absent = {.struct_size = sizeof absent};
    cofre_fail(&why, COFRE_E_DENIED, "read 'b': permission denied");
    snprintf(why.hint, sizeof why.hint, "run it as root");
    TRY(announce(call, COFRE_FILE, "b", error));
    TRY(content(call, "half", error));
    TRY(cofre->restart(call, error));
    TRY(cofre->end(call, COFRE_E_DENIED, &why, error));
    TRY(cofre->fact(call, "files", "3", 0, error));
    cofre_fail(&absent, COFRE_E_DENIED, "connect to 'd': refused");
    cofre_hint(&absent, "grant it");
    TRY(cofre->missing(call, "d", 1, COFRE_E_DENIED, &absent, error));
    return cofre->missing(call, "c", 1, COFRE_E_NOT_FOUND, NULL, error);
}

static const struct {
    const char *name;
    int32_t (*run)(struct cofre_call *, struct cofre_error *);
} backups[] = {
    {"early", early},
    {"order", order},
    {"twice", twice},
    {"dotdot", dotdot},
    {"absolute", absolute},
    {"nested", nested},
    {"no_entry", no_entry},
    {"directory_content", directory_content},
    {"bad_kind", bad_kind},
    {"no_target", no_target},
    {"overcommit", overcommit},
    {"no_end", no_end},
    {"huge_hole", huge_hole},
    {"deaf", deaf},
    {"scribble", scribble},
    {"log_between", log_between},
    {"unreadable", unreadable},
    {"below_unchanged", below_unchanged},
    {"below_file", below_file},
    {"below_link", below_link},
    {"below_directory", below_directory},
    {"null_entry", null_entry},
    {"null_path", null_path},
    {"null_unchanged", null_unchanged},
    {"null_missing", null_missing},
    {"null_reserve", null_reserve},
    {"null_error", null_error},
    {"null_cancelled", null_cancelled},
    {"null_directory", null_directory},
    {"end_odd", end_odd},
    {"missing_odd", missing_odd},
    {"short_entry", short_entry},
    {"long_entry", long_entry},
    {"entry_flags", entry_flags},
    {"fact_flags", fact_flags},
    {"fact_both", fact_both},
    {"many_facts", many_facts},
    {"large_facts", large_facts},
    {"log_before_end", log_before_end},
    {"log_last", log_last},
};

static int32_t source_backup(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    const struct conf *conf = instance;
    TRY(perform(conf, "before", call, error));
    TRY(file(call, "a", error));
    TRY(perform(conf, "backup", call, error));
    for (size_t i = 0; i < sizeof backups / sizeof backups[0]; i++)
        if (strcmp(conf->habit, backups[i].name) == 0)
            backups[i].run(call, error); /* and does not look at the result */
    if (strcmp(conf->habit, "early") == 0)
        return COFRE_OK;
    if (strncmp(conf->habit, "log_last", 8) != 0)
        file(call, "z", error);
    return COFRE_OK;
}

/* It was a success, and then it was none. */
static int32_t say_late(struct cofre_call *call, const struct cofre_entry *entry, int times, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t class = cofre_fail(&why, COFRE_E_UNSUPPORTED, "put it back: the disk thought better of it");
    for (int i = 0; i < times; i++)
        TRY(cofre->late(call, entry->path, entry->path_length, class, &why, error));
    return COFRE_OK;
}

/* All but the first entry. */
static int32_t refuse(struct cofre_call *call, const struct cofre_entry *entry, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    if (strcmp(entry->path, "a") == 0)
        return cofre->done(call, COFRE_OK, NULL, error);
    cofre_fail(&why, COFRE_E_EXISTS, "there is a database");
    cofre_hint(&why, "say --set overwrite=yes");
    return cofre->done(call, COFRE_E_EXISTS, &why, error);
}

static int32_t source_restore(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    const struct conf *conf = instance;
    const struct cofre_entry *entry;
    int32_t result;
    TRY(perform(conf, "restore", call, error));
    if (strcmp(conf->habit, "restore_early") == 0)
        return COFRE_OK;
    while ((result = cofre->next(call, &entry, error)) == COFRE_OK) {
        if (strcmp(conf->habit, "refuse") == 0)
            TRY(refuse(call, entry, error));
        else if (strcmp(conf->habit, "done_odd") == 0)
            cofre->done(call, 4711, NULL, error);
        else if (strcmp(conf->habit, "no_done") != 0)
            TRY(cofre->done(call, COFRE_OK, NULL, error));
        if (strcmp(conf->habit, "done_twice") == 0)
            TRY(cofre->done(call, COFRE_OK, NULL, error));
        if (strcmp(conf->habit, "late_null") == 0)
            cofre->late(call, NULL, 1, COFRE_E_DENIED, NULL, error);
        if (strcmp(conf->habit, "next_null") == 0)
            cofre->next(call, NULL, error);
        if (strcmp(conf->habit, "recorded_null") == 0)
            cofre->recorded(call, 0, NULL, NULL, error);
        if (strcmp(conf->habit, "take_null") == 0)
            cofre->take(call, NULL, NULL, error);
        if (strcmp(conf->habit, "late") == 0 || strcmp(conf->habit, "late_twice") == 0)
            TRY(say_late(call, entry, strcmp(conf->habit, "late_twice") == 0 ? 2 : 1, error));
    }
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
