/* The calls by which a worker begins. In a process of its own it is confined first: a source or a notifier when it is
 * loaded, a sink, whose files depend on its options, when it is opened. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "host/apart.h"
#include "host/confine.h"
#include "host/host.h"
#include "host/load.h"
#include "host/monitor.h"
#include "snapshot/path.h"

#define VARIABLE_MAX 65536
#define DIRECTORIES 64
#define SECLUDED_MAX 4096

/* Lent from the call's arguments. */
static int read_paths(struct cursor *c, char **paths, size_t maximum, size_t *count)
{
    *count = cursor_u32(c);
    if (c->failed || *count > maximum)
        return -1;
    for (size_t i = 0; i < *count; i++) {
        const char *text = wire_text_required(c, PATH_LONGEST, NULL);
        memcpy(&paths[i], &text, sizeof text);
    }
    return c->failed ? -1 : 0;
}

/* ---- load ---- */

static int load(struct host *host, const char *name, char *const *directories, size_t count, struct error *e)
{
    const struct cofre_plugin *(*entry)(const struct cofre_host *) = NULL;
    if (load_described(name, directories, count, &entry, &host->plugin, e) < 0)
        return -1;
    if (host->own_process && (host->plugin.capabilities & COFRE_NO_NETWORK) && confine_network(e) < 0)
        return -1;
    load_bind(entry, &host_table);
    return 0;
}

/* Of a source or notifier, or of a plugin that only describes itself. */
static int confine_and_load(struct host *host, int role, const char *name, char *const *directories, size_t count,
                            struct error *e)
{
    const struct confine_places nothing = {.plugin_dirs = directories, .plugin_dir_count = count};
    if (host->own_process && role == PLUGIN_SOURCE && monitor_start(e) < 0)
        return -1;
    if (host->own_process && role != CONFINE_DESCRIBES && (confine_rights(role, e) < 0 || confine_calls(role, e) < 0))
        return -1;
    if (host->own_process && role == CONFINE_DESCRIBES && confine_sink(&nothing, e) < 0)
        return -1;
    if (host->own_process && confine_watch(e) < 0)
        return -1;
    return load(host, name, directories, count, e);
}

static int32_t describe_apart(struct cofre_call *call, const char *name, char *const *directories, size_t count,
                              struct cofre_error *error)
{
    struct error why;
    if (apart_describe(name, directories, count, &call->host->apart, &why) < 0)
        return host_fail(error, &why);
    call->host->loaded = true;
    wire_put_plugin(host_frame(call), &call->host->apart->info);
    return host_send(call, WIRE_REPLY, error);
}

int32_t host_open_load(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    char *directories[DIRECTORIES];
    size_t count;
    call->host->log_level = (int)cursor_u32(c);
    int role = (int)cursor_u32(c);
    const char *name = wire_text_required(c, PATH_LONGEST, NULL);
    if (!name || read_paths(c, directories, DIRECTORIES, &count) < 0 || call->host->loaded)
        return host_calls_malformed(error);
    if (call->host->own_process && role == PLUGIN_SINK)
        return describe_apart(call, name, directories, count, error);
    struct error why;
    if (confine_and_load(call->host, role, name, directories, count, &why) < 0)
        return host_fail(error, &why);
    call->host->loaded = true;
    struct plugin_info plugin;
    describe_lend(&call->host->plugin, &plugin);
    wire_put_plugin(host_frame(call), &plugin);
    return host_send(call, WIRE_REPLY, error);
}

/* ---- open ---- */

/* What the plugin asked to see of the engine's environment. In the engine's own process it is there already. */
static int take_environment(struct cursor *c, struct error *e)
{
    while (c->left > 0) {
        const char *variable = wire_text_required(c, VARIABLE_MAX, NULL);
        AUTO_FREE char *copy = variable ? strdup(variable) : NULL;
        if (!copy)
            return c->failed ? error_set(e, ERROR_BUG, "a variable of the environment is malformed") : error_memory(e);
        char *value = strchr(copy, '=');
        if (!value)
            continue;
        *value++ = '\0';
        const char *there = getenv(copy);
        if ((!there || strcmp(there, value) != 0) && setenv(copy, value, 1) < 0)
            return error_memory(e);
    }
    return 0;
}

/* In the place of that of an earlier try. */
static int32_t take_directory(struct cursor *c, char **directory, struct cofre_error *error)
{
    const char *path = wire_text(c, PATH_LONGEST, NULL);
    free(*directory);
    *directory = path ? text_copy(path) : NULL;
    return path && !*directory ? cofre_fail(error, COFRE_E_MEMORY, "out of memory") : COFRE_OK;
}

static void pass_values(struct cursor *c)
{
    for (uint32_t left = cursor_u32(c); left > 0 && !c->failed; left--) {
        uint32_t length = cursor_u32(c);
        if (length != WIRE_NONE)
            cursor_bytes(c, length);
    }
}

/* What it is now must be what its options were read with. */
static int load_as_described(struct host *host, const struct apart *apart, struct error *e)
{
    struct bytes now = {.maximum = apart->said.maximum};
    struct plugin_info info;
    if (load(host, apart->name, apart->directories, apart->directory_count, e) < 0)
        return -1;
    describe_lend(&host->plugin, &info);
    bytes_put(&now, apart->said.data, sizeof(uint32_t));
    wire_put_plugin(&now, &info);
    bool same = now.length == apart->said.length && memcmp(now.data, apart->said.data, now.length) == 0;
    bytes_free(&now);
    return same ? 0 : error_set(e, ERROR_PLUGIN, "plugin '%s' describes itself in another way each time", apart->name);
}

/* c: from the values of the options on. */
static int confine_and_open(struct host *host, const struct apart *apart, struct cursor c, char *const *secluded,
                            size_t count, struct error *e)
{
    const struct confine_places places = {.plugin = &apart->info,
                                          .values = c,
                                          .plugin_dirs = apart->directories,
                                          .plugin_dir_count = apart->directory_count,
                                          .secluded = secluded,
                                          .secluded_count = count};
    pass_values(&c);
    if (take_environment(&c, e) < 0 || confine_sink(&places, e) < 0 || confine_watch(e) < 0)
        return -1;
    return load_as_described(host, apart, e);
}

static int32_t settle(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    struct host *host = call->host;
    struct error why;
    char **secluded = calloc(SECLUDED_MAX, sizeof *secluded);
    size_t count = 0;
    if (!secluded)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    int32_t class = COFRE_OK;
    if (read_paths(c, secluded, SECLUDED_MAX, &count) < 0)
        class = host_calls_malformed(error);
    struct apart *apart = host->apart;
    host->apart = NULL;
    if (class == COFRE_OK && apart && confine_and_open(host, apart, *c, secluded, count, &why) < 0) {
        class = host_fail(error, &why);
        host->loaded = false; /* confined, and without a plugin: of no use any more */
    }
    apart_free(apart);
    free(secluded);
    return class;
}

int32_t host_open_instance(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    struct host *host = call->host;
    struct describe *d = &host->plugin;
    struct error why;
    if (!host->loaded || host->opened)
        return host_calls_malformed(error);
    if (take_directory(c, &host->directory, error) != COFRE_OK || take_directory(c, &host->common, error) != COFRE_OK)
        return COFRE_E_MEMORY;
    int32_t class = settle(call, c, error);
    if (class != COFRE_OK)
        return class;
    if (values_take(c, d, &host->values, &why) < 0)
        return host_fail(error, &why);
    if (take_environment(c, &why) < 0) {
        values_free(&host->values);
        return host_fail(error, &why);
    }
    class = d->life.open(call, host->values.conf, &host->instance, error);
    if (class == COFRE_OK)
        host->opened = true;
    else
        values_free(&host->values);
    return class;
}
