#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"
#include "host/host.h"
#include "host/previous.h"
#include "snapshot/path.h"

#define MAX_OVERRIDES 16384

/* A call as a function: runs the plugin's, gives its class. */
typedef int32_t call_function(struct cofre_call *call, struct cursor *arguments, struct cofre_error *error);

int32_t host_calls_malformed(struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_BUG, "the engine sent malformed arguments");
}

static int32_t own(struct cofre_error *error, const struct error *why)
{
    return host_fail(error, why);
}

/* ---- life ---- */

static int32_t call_close(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    (void)c;
    (void)error;
    struct host *host = call->host;
    host->ended = true;
    if (host->opened)
        host->plugin.life.close(host->instance);
    host->opened = false;
    values_free(&host->values);
    return COFRE_OK;
}

static int32_t call_check(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    struct host *host = call->host;
    int32_t depth = cursor_u32(c) ? COFRE_CHECK_CONNECT : COFRE_CHECK_OFFLINE;
    int32_t class = host_discover_take(call, c, error);
    if (class == COFRE_OK)
        class = host->plugin.life.check(host->instance, call, depth, error);
    host_discover_forget(call);
    return class;
}

/* ---- sources ---- */

static const struct cofre_source *source(const struct cofre_call *call)
{
    return &call->host->plugin.source;
}

static int start_backup(struct cofre_call *call, struct cursor *c, struct error *e)
{
    struct host *host = call->host;
    call->id = wire_text_required(c, COFRE_MAX_ID, NULL);
    const uint8_t *key = cursor_bytes(c, sizeof call->fingerprint_key);
    bool expected = cursor_u32(c) != 0;
    AUTO_CLOSE int fd = host->previous_fd;
    host->previous_fd = -1;
    if (!key || c->failed || (expected && fd < 0))
        return error_set(e, ERROR_BUG, "the engine sent malformed arguments");
    memcpy(call->fingerprint_key, key, sizeof call->fingerprint_key);
    if (grammar_start(&host->grammar, e) < 0)
        return -1;
    if (!expected)
        return 0;
    int table = fd;
    fd = -1;
    return previous_open(table, &call->previous, e);
}

static int32_t call_backup(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    struct error why;
    int32_t class = start_backup(call, c, &why) < 0 ? own(error, &why) : host_past_take(call, c, error);
    if (class == COFRE_OK)
        class = source(call)->backup(call->host->instance, call, error);
    host_past_forget(call);
    previous_close(call->previous);
    call->previous = NULL;
    if (class != COFRE_OK || call->fault.class != ERROR_NONE)
        return class;
    if (grammar_finish(&call->host->grammar, &why) < 0)
        return host_fault(call, &why, error);
    host_frame(call);
    return host_send(call, WIRE_FINISHED, error);
}

static int32_t call_restore(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    call->id = wire_text_required(c, COFRE_MAX_ID, NULL);
    int32_t class = c->failed ? host_calls_malformed(error) : host_past_take(call, c, error);
    if (class == COFRE_OK)
        class = source(call)->restore(call->host->instance, call, error);
    host_past_forget(call);
    if (class == COFRE_OK && call->fault.class == ERROR_NONE && (call->input != HOST_ALL_ENDED || call->entry_open))
        return host_broke(call, error, "returned success before it had taken every entry");
    /* Counted also when the restore failed: the report says how far it came. */
    struct bytes *frame = host_frame(call);
    bytes_put_u64(frame, call->restored);
    bytes_put_u64(frame, call->partly);
    bytes_put_u64(frame, call->problems);
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    int32_t sent = host_send(call, WIRE_REPLY, &ignored);
    return class == COFRE_OK ? sent : class;
}

static int32_t with_id(struct cofre_call *call, struct cursor *c, struct cofre_error *error,
                       int32_t (*run)(void *, struct cofre_call *, const char *, struct cofre_error *))
{
    call->id = wire_text_required(c, COFRE_MAX_ID, NULL);
    return call->id && run ? run(call->host->instance, call, call->id, error) : host_calls_malformed(error);
}

static int32_t call_freeze(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    return with_id(call, c, error, source(call)->freeze);
}

static int32_t call_thaw(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    return with_id(call, c, error, source(call)->thaw);
}

static int32_t call_scratch_drop(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    return with_id(call, c, error, source(call)->scratch_drop);
}

static int32_t call_scratch_make(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    call->id = wire_text_required(c, COFRE_MAX_ID, NULL);
    if (!call->id || !source(call)->scratch_make)
        return host_calls_malformed(error);
    char *overrides = calloc(1, MAX_OVERRIDES);
    if (!overrides)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    int32_t class = source(call)->scratch_make(call->host->instance, call, call->id, overrides, MAX_OVERRIDES, error);
    if (class == COFRE_OK) {
        wire_put_text(host_frame(call), overrides, strnlen(overrides, MAX_OVERRIDES));
        class = host_send(call, WIRE_REPLY, error);
    }
    free(overrides);
    return class;
}

static int32_t send_two(struct cofre_call *call, int64_t a, int64_t b, struct cofre_error *error)
{
    struct bytes *frame = host_frame(call);
    bytes_put_u64(frame, (uint64_t)a);
    bytes_put_u64(frame, (uint64_t)b);
    return host_send(call, WIRE_REPLY, error);
}

static int32_t call_estimate(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    (void)c;
    int64_t entries = -1, bytes = -1;
    if (!source(call)->estimate)
        return host_calls_malformed(error);
    int32_t class = source(call)->estimate(call->host->instance, call, &entries, &bytes, error);
    return class == COFRE_OK ? send_two(call, entries, bytes, error) : class;
}

static int32_t call_facts(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    (void)c;
    return source(call)->facts ? source(call)->facts(call->host->instance, call, error) : host_calls_malformed(error);
}

static int32_t call_discover(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    int32_t class = source(call)->discover ? host_discover_take(call, c, error) : host_calls_malformed(error);
    if (class == COFRE_OK)
        class = source(call)->discover(call->host->instance, call, error);
    host_discover_forget(call);
    return class;
}

static int32_t call_services(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    int32_t what = (int32_t)cursor_u32(c);
    call->id = wire_text(c, COFRE_MAX_ID, NULL);
    const char *which = wire_text_required(c, CHANNEL_LARGEST, NULL);
    call->acts = what != COFRE_SERVICES_SAY;
    if (c->failed || !source(call)->services || call->acts != (call->id != NULL))
        return host_calls_malformed(error);
    return source(call)->services(call->host->instance, call, what, call->id, which, error);
}

/* ---- sinks ---- */

static const struct cofre_sink *sink(const struct cofre_call *call)
{
    return &call->host->plugin.sink;
}

static int32_t without_arguments(struct cofre_call *call, struct cofre_error *error,
                                 int32_t (*run)(void *, struct cofre_call *, struct cofre_error *))
{
    return run ? run(call->host->instance, call, error) : host_calls_malformed(error);
}

static int32_t call_create(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    (void)c;
    return without_arguments(call, error, sink(call)->create);
}

static int32_t call_sync(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    (void)c;
    return without_arguments(call, error, sink(call)->sync);
}

static const char *read_key(struct cursor *c)
{
    return wire_text_required(c, COFRE_MAX_KEY, NULL);
}

static int32_t call_put(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    struct cofre_put put = {.struct_size = sizeof put};
    const char *key = read_key(c);
    put.flags = cursor_u32(c);
    put.size = (int64_t)cursor_u64(c);
    if (c->failed)
        return host_calls_malformed(error);
    call->input = HOST_CONTENT;
    int32_t class = sink(call)->put(call->host->instance, call, key, &put, error);
    if (class == COFRE_OK && call->fault.class == ERROR_NONE && call->input != HOST_ALL_ENDED) {
        /* take's COFRE_END may not have been fetched yet by one who knows the size. */
        const void *bytes;
        uint64_t length;
        if (host_content_take(call, &bytes, &length, error) == COFRE_END)
            return COFRE_OK;
        return host_broke(call, error, "returned success from put '%s' before it had taken the whole object", key);
    }
    return class;
}

static int32_t call_get(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    const char *key = read_key(c);
    int64_t offset = (int64_t)cursor_u64(c), length = (int64_t)cursor_u64(c);
    return c->failed ? host_calls_malformed(error)
                     : sink(call)->get(call->host->instance, call, key, offset, length, error);
}

static int32_t call_stat(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    const char *key = read_key(c);
    if (c->failed)
        return host_calls_malformed(error);
    struct cofre_object object = {.struct_size = sizeof object, .size = -1, .mtime = COFRE_NO_TIME};
    int32_t class = sink(call)->stat(call->host->instance, call, key, &object, error);
    return class == COFRE_OK ? send_two(call, object.size, object.mtime, error) : class;
}

static int32_t call_list(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    const char *prefix = wire_text_required(c, COFRE_MAX_KEY, NULL);
    bool has_cursor = cursor_u32(c) != 0;
    size_t length;
    const uint8_t *cursor = cursor_blob(c, WIRE_MAX_CURSOR, &length);
    if (c->failed)
        return host_calls_malformed(error);
    int32_t class = sink(call)->list(call->host->instance, call, prefix, has_cursor ? cursor : NULL, length, error);
    if (class != COFRE_OK)
        return class;
    struct bytes *frame = host_frame(call);
    bytes_put_u32(frame, call->more);
    bytes_put_blob(frame, call->cursor, call->cursor_length);
    return host_send(call, WIRE_REPLY, error);
}

static int32_t call_remove(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    const char *key = read_key(c);
    return c->failed ? host_calls_malformed(error) : sink(call)->remove(call->host->instance, call, key, error);
}

static int32_t call_remove_many(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    const char *keys[WIRE_MAX_KEYS];
    size_t count = cursor_u32(c);
    if (c->failed || count < 1 || count > WIRE_MAX_KEYS || !sink(call)->remove_many)
        return host_calls_malformed(error);
    for (size_t i = 0; i < count; i++)
        keys[i] = read_key(c);
    return c->failed ? host_calls_malformed(error)
                     : sink(call)->remove_many(call->host->instance, call, keys, count, error);
}

static int32_t call_sweep(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    int64_t older_than = (int64_t)cursor_u64(c);
    return c->failed || !sink(call)->sweep ? host_calls_malformed(error)
                                           : sink(call)->sweep(call->host->instance, call, older_than, error);
}

static int32_t call_space(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    (void)c;
    struct cofre_space space = {.struct_size = sizeof space, .total = -1, .available = -1};
    if (!sink(call)->space)
        return host_calls_malformed(error);
    int32_t class = sink(call)->space(call->host->instance, call, &space, error);
    return class == COFRE_OK ? send_two(call, space.total, space.available, error) : class;
}

static int32_t call_retain(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    const char *key = read_key(c);
    int64_t until = (int64_t)cursor_u64(c);
    return c->failed || !sink(call)->retain ? host_calls_malformed(error)
                                            : sink(call)->retain(call->host->instance, call, key, until, error);
}

/* ---- notifiers ---- */

static int32_t call_notify(struct cofre_call *call, struct cursor *c, struct cofre_error *error)
{
    struct cofre_event event = {.struct_size = sizeof event};
    event.level = (int32_t)cursor_u32(c);
    event.time = (int64_t)cursor_u64(c);
    const char **const texts[] = {&event.id,   &event.event, &event.host, &event.job,
                                  &event.sink, &event.title, &event.text, &event.json};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = wire_text_required(c, WIRE_MAX_EVENT, NULL);
    return c->failed ? host_calls_malformed(error)
                     : call->host->plugin.notifier.notify(call->host->instance, call, &event, error);
}

/* ---- the table ---- */

#define ANY 0
static const struct {
    call_function *run;
    int role; /* enum plugin_role, or ANY: does not matter, and needs no open instance */
} calls[WIRE_CALLS] = {
    [WIRE_LOAD] = {host_open_load, ANY},
    [WIRE_OPEN] = {host_open_instance, ANY},
    [WIRE_CLOSE] = {call_close, ANY},
    [WIRE_CHECK] = {call_check, ANY},
    [WIRE_BACKUP] = {call_backup, PLUGIN_SOURCE},
    [WIRE_RESTORE] = {call_restore, PLUGIN_SOURCE},
    [WIRE_FREEZE] = {call_freeze, PLUGIN_SOURCE},
    [WIRE_THAW] = {call_thaw, PLUGIN_SOURCE},
    [WIRE_ESTIMATE] = {call_estimate, PLUGIN_SOURCE},
    [WIRE_SCRATCH_MAKE] = {call_scratch_make, PLUGIN_SOURCE},
    [WIRE_SCRATCH_DROP] = {call_scratch_drop, PLUGIN_SOURCE},
    [WIRE_FACTS] = {call_facts, PLUGIN_SOURCE},
    [WIRE_DISCOVER] = {call_discover, PLUGIN_SOURCE},
    [WIRE_SERVICES] = {call_services, PLUGIN_SOURCE},
    [WIRE_CREATE] = {call_create, PLUGIN_SINK},
    [WIRE_PUT] = {call_put, PLUGIN_SINK},
    [WIRE_GET] = {call_get, PLUGIN_SINK},
    [WIRE_STAT] = {call_stat, PLUGIN_SINK},
    [WIRE_LIST] = {call_list, PLUGIN_SINK},
    [WIRE_REMOVE] = {call_remove, PLUGIN_SINK},
    [WIRE_SYNC] = {call_sync, PLUGIN_SINK},
    [WIRE_SWEEP] = {call_sweep, PLUGIN_SINK},
    [WIRE_SPACE] = {call_space, PLUGIN_SINK},
    [WIRE_RETAIN] = {call_retain, PLUGIN_SINK},
    [WIRE_REMOVE_MANY] = {call_remove_many, PLUGIN_SINK},
    [WIRE_NOTIFY] = {call_notify, PLUGIN_NOTIFIER},
};

void host_calls_run(struct cofre_call *call, struct cursor *arguments, struct error *error)
{
    const struct host *host = call->host;
    struct cofre_error said = {.struct_size = sizeof said};
    int32_t class;
    if (call->kind >= WIRE_CALLS || !calls[call->kind].run)
        class = host_calls_malformed(&said);
    else if ((call->kind == WIRE_CHECK || calls[call->kind].role != ANY) &&
             (!host->opened || (calls[call->kind].role != ANY && calls[call->kind].role != (int)host->plugin.role)))
        class = cofre_fail(&said, COFRE_E_BUG, "there is no such call now");
    else
        class = calls[call->kind].run(call, arguments, &said);
    if (!host_is_result(class))
        host_broke(call, &said, "returned %d, which is neither COFRE_OK nor an error class", (int)class);
    if (call->fault.class != ERROR_NONE)
        *error = call->fault;
    else if (class == COFRE_OK && call->lost.class != ERROR_NONE)
        *error = call->lost;
    else
        host_error(class, &said, error);
}
