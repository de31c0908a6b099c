#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "attempt/hook.h"
#include "attempt/records.h"

#define VARIABLES_MAX 32

/* Being made: the last is NULL. */
struct variables {
    char **list;
    size_t count;
    bool failed;
};

void hook_environment_free(char **environment)
{
    for (char **v = environment; v && *v; v++)
        free(*v);
    free(environment);
}

/* value NULL: it is not set. */
static void set(struct variables *v, const char *name, const char *value)
{
    char *text;
    if (!value || v->count == VARIABLES_MAX)
        return;
    if (asprintf(&text, "%s=%s", name, value) < 0)
        v->failed = true;
    else
        v->list[v->count++] = text;
}

static const char *home(void)
{
    const char *value = getenv("HOME");
    const struct passwd *user = value ? NULL : getpwuid(geteuid());
    return value ? value : user ? user->pw_dir : "/";
}

/* Those that have the snapshot; of a restore, the one that it was read from. */
static void set_sinks(struct variables *v, const json_t *record)
{
    char names[4096] = "";
    size_t used = 0;
    const json_t *rows = json_object_get(record, "sinks");
    for (size_t i = 0; i < json_array_size(rows); i++) {
        const json_t *row = json_array_get(rows, i);
        const char *name = records_text(row, "name");
        if (!name || json_is_false(json_object_get(row, "committed")) || strlen(name) + 2 > sizeof names - used)
            continue;
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", used ? "," : "", name);
    }
    set(v, "COFRE_SINKS", names);
}

static void set_exit(struct variables *v, const json_t *record)
{
    char number[32];
    const json_t *status = json_object_get(record, "exit");
    snprintf(number, sizeof number, "%lld", (long long)json_integer_value(status));
    set(v, "COFRE_EXIT", json_is_integer(status) ? number : NULL);
}

char **hook_environment(const struct hook *hook)
{
    static const struct {
        const char *variable, *member;
    } texts[] = {{"COFRE_COMMAND", "command"}, {"COFRE_HOST", "host"},   {"COFRE_RECORD_ID", "id"},
                 {"COFRE_STATUS", "status"},   {"COFRE_LABEL", "label"}, {"COFRE_SNAPSHOT", "snapshot"}};
    struct variables v = {.list = calloc(VARIABLES_MAX + 1, sizeof(char *))};
    if (!v.list)
        return NULL;
    set(&v, "PATH", CONFIG_HOOK_PATH);
    set(&v, "HOME", home());
    set(&v, "LANG", getenv("LANG"));
    set(&v, "TZ", getenv("TZ"));
    set(&v, "COFRE_JOB", hook->job);
    set(&v, "COFRE_HOOK", config_hook_names[hook->kind]);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        set(&v, texts[i].variable, records_text(hook->record, texts[i].member));
    set_sinks(&v, hook->record);
    set_exit(&v, hook->record);
    if (!v.failed)
        return v.list;
    hook_environment_free(v.list);
    return NULL;
}
