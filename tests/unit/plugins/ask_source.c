/* Calls of a source that no command of cofre makes yet, for tests in system/:
 *
 *   ask_source DIRECTORY PLUGIN 'KEY=VALUE;KEY=VALUE' facts | estimate | make ID | drop ID
 *
 * Prints what the call gives, and the error, if there is one, on stderr. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/config.h"
#include "config/option.h"
#include "worker/source.h"
#include "worker/worker.h"

static const char *value_of(const char *options, const char *name, size_t *length)
{
    for (const char *p = options; p; p = strchr(p, ';') ? strchr(p, ';') + 1 : NULL)
        if (strncmp(p, name, strlen(name)) == 0 && p[strlen(name)] == '=') {
            *length = strcspn(p, ";") - strlen(name) - 1;
            return p + strlen(name) + 1;
        }
    return NULL;
}

static int open_source(struct worker *w, const char *options, struct error *e)
{
    const struct plugin_info *plugin = worker_plugin(w);
    struct config_value *values = calloc(plugin->option_count + 1, sizeof *values);
    for (size_t i = 0; values && i < plugin->option_count; i++) {
        const struct option *option = &plugin->options[i];
        size_t length = option->fallback ? strlen(option->fallback) : 0;
        const char *text = value_of(options, option->name, &length);
        values[i].option = option;
        if (text || option->fallback) {
            values[i].text = strndup(text ? text : option->fallback, length);
            values[i].length = length;
        }
    }
    int result = values ? worker_open(w, values, e) : error_memory(e);
    for (size_t i = 0; values && i < plugin->option_count; i++)
        free(values[i].text);
    free(values);
    return result;
}

static void print_fact(void *context, const char *key, const char *value)
{
    (void)context;
    printf("%s = %s\n", key, value);
}

static int ask(struct worker *w, const char *call, const char *id, struct error *e)
{
    int64_t entries, bytes;
    char *overrides = NULL;
    if (strcmp(call, "facts") == 0)
        return source_facts(w, print_fact, NULL, e);
    if (strcmp(call, "drop") == 0)
        return source_scratch_drop(w, id, e);
    int result =
        strcmp(call, "make") == 0 ? source_scratch_make(w, id, &overrides, e) : source_estimate(w, &entries, &bytes, e);
    if (result == 0 && overrides)
        fputs(overrides, stdout);
    else if (result == 0)
        printf("%lld %lld\n", (long long)entries, (long long)bytes);
    free(overrides);
    return result;
}

int main(int argc, char **argv)
{
    if (argc < 5)
        return 2;
    char *directories[] = {argv[1]};
    const struct worker_spec spec = {.instance = "source 'asked'",
                                     .plugin = argv[2],
                                     .plugin_dirs = directories,
                                     .plugin_dir_count = 1,
                                     .role = PLUGIN_SOURCE};
    struct worker *w = NULL;
    struct error e;
    int result = worker_start(&spec, &w, &e);
    if (result == 0)
        result = open_source(w, argv[3], &e);
    if (result == 0)
        result = ask(w, argv[4], argc > 5 ? argv[5] : "", &e);
    worker_stop(w);
    if (result < 0)
        fprintf(stderr, "%s\n", e.message);
    return result < 0;
}
