#include "fixture.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct cofre_plugin *directory(void)
{
    return cofre_plugin_v1(&host_table);
}

static void *member(struct fixture *f, const char *name, uint32_t type)
{
    const struct cofre_options *options = &directory()->options;
    for (uint32_t i = 0; i < options->count; i++)
        if (strcmp(options->rows[i].name, name) == 0 && options->rows[i].type == type)
            return (char *)f->conf + options->rows[i].offset;
    abort();
}

int fixture_begin(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    strcpy(f->place, "/tmp/cofre-test-XXXXXX");
    f->error.struct_size = sizeof f->error;
    f->conf = calloc(1, directory()->options.struct_bytes);
    if (!f->conf || !mkdtemp(f->place))
        return -1;
    fixture_set_flag(f, "one_file_system", 1);
    *state = f;
    return 0;
}

int fixture_end(void **state)
{
    struct fixture *f = *state;
    host_clear(&f->call);
    fixture_shell(f, "cd /; rm -rf --one-file-system %s", f->place);
    free(*(char **)member(f, "path", COFRE_PATH));
    free(f->conf);
    free(f);
    return 0;
}

void fixture_shell(const struct fixture *f, const char *format, ...)
{
    char command[4096];
    va_list arguments;
    size_t used = (size_t)snprintf(command, sizeof command, "set -e; cd %s; ", f->place);
    va_start(arguments, format);
    vsnprintf(command + used, sizeof command - used, format, arguments);
    va_end(arguments);
    if (system(command) != 0) {
        fprintf(stderr, "failed: %s\n", command);
        abort();
    }
}

void fixture_set_text(struct fixture *f, const char *option, const char *value)
{
    char **text = member(f, option, COFRE_PATH);
    free(*text);
    *text = strdup(value);
}

void fixture_set_flag(struct fixture *f, const char *option, int32_t value)
{
    *(int32_t *)member(f, option, COFRE_BOOLEAN) = value;
}

void fixture_set_list(struct fixture *f, const char *option, const char *const *items, size_t count)
{
    *(struct cofre_list *)member(f, option, COFRE_LIST) = (struct cofre_list){items, count};
}

const char *fixture_path(const struct fixture *f, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", f->place, name);
    return path;
}

void fixture_set_path(struct fixture *f, const char *name)
{
    fixture_set_text(f, "path", fixture_path(f, name));
}

typedef int32_t operation(void *instance, struct cofre_call *call, struct cofre_error *error);

static int32_t run(struct fixture *f, operation *what)
{
    const struct cofre_source *source = directory()->source;
    void *instance;
    int32_t status = source->open(&f->call, f->conf, &instance, &f->error);
    if (status != COFRE_OK)
        return status;
    status = what(instance, &f->call, &f->error);
    source->close(instance);
    return status;
}

int32_t fixture_backup(struct fixture *f, const struct cofre_call *previous)
{
    void (*disturb)(struct cofre_call *) = f->call.disturb;
    void *context = f->call.disturb_context;
    host_clear(&f->call);
    f->call.previous = previous;
    f->call.disturb = disturb;
    f->call.disturb_context = context;
    return run(f, directory()->source->backup);
}

int32_t fixture_restore(struct fixture *f)
{
    f->call.feed_at = 0;
    return run(f, directory()->source->restore);
}

int32_t fixture_facts(struct fixture *f)
{
    return run(f, directory()->source->facts);
}
