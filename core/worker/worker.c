#include "worker/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "flow/task.h"
#include "wire/greeting.h"
#include "worker/call.h"

#define GREETING_TIME 60000 /* ms; a loaded machine is slow to start programs */
#define GRACE 10000
#define PATIENCE 300000

/* In-process: the plugin's end, as a thread. */
struct thread_channel {
    worker_host *serve;
    int socket, memory;
};

static int run_thread(void *context, struct error *e)
{
    struct thread_channel channel = *(struct thread_channel *)context;
    free(context);
    int result = channel.serve(channel.socket, channel.memory, e);
    close(channel.memory);
    return result < 0 ? -1 : 0;
}

/* ---- starting ---- */

static int greet(struct worker *w, struct error *e)
{
    struct channel_message message;
    for (int64_t until = clock_monotonic() + GREETING_TIME;;) {
        int got = channel_receive(&w->channel, &message);
        if (got > 0 && message.fd >= 0)
            close(message.fd);
        if (got > 0 && message.type == WIRE_READY && message.number == greeting_build())
            return 0;
        if (got > 0 && message.type == WIRE_EXEC_FAILED) {
            error_system(e, (int)message.number, "start a worker");
            return error_subject(e, NULL, w->instance);
        }
        if (got > 0)
            return call_error(w, e, ERROR_PLUGIN, "its worker is of another build than this cofre");
        if (call_ended(w))
            return call_error(w, e, ERROR_PLUGIN, "its worker %s before it was ready", w->how);
        if (clock_monotonic() >= until)
            return call_error(w, e, ERROR_TIMEOUT, "its worker did not get ready in time");
        clock_sleep(1);
    }
}

static int start_thread(struct worker *w, int socket, int memory, struct error *e)
{
    struct thread_channel *channel = malloc(sizeof *channel);
    if (!channel)
        return error_memory(e);
    *channel = (struct thread_channel){.serve = w->in_process, .socket = socket, .memory = memory};
    if (task_start(&w->task, run_thread, channel, e) < 0) {
        free(channel);
        return -1;
    }
    return 0;
}

static int start(struct worker *w, const struct worker_spec *spec, struct error *e)
{
    AUTO_CLOSE int peer = -1;
    AUTO_CLOSE int memory = -1;
    if (channel_create(&w->channel, &peer, &memory, e) < 0)
        return -1;
    if (w->in_process) {
        if (start_thread(w, peer, memory, e) < 0)
            return -1;
        peer = memory = -1;
        return 0;
    }
    if (process_start(peer, memory, spec->user, &w->pid, &w->output, e) < 0)
        return -1;
    /* Our copy of its end must go, or its death would not show. */
    close(peer);
    peer = -1;
    return greet(w, e);
}

static int load(struct worker *w, const struct worker_spec *spec, struct error *e)
{
    struct bytes *b = call_arguments(w);
    bytes_put_u32(b, (uint32_t)log_get_level());
    bytes_put_u32(b, (uint32_t)spec->role);
    wire_put_string(b, spec->plugin);
    bytes_put_u32(b, (uint32_t)spec->plugin_dir_count);
    for (size_t i = 0; i < spec->plugin_dir_count; i++)
        wire_put_string(b, spec->plugin_dirs[i]);
    struct cursor reply;
    bool no_memory;
    if (call_reply(w, WIRE_LOAD, &reply, e) < 0)
        return -1;
    if (wire_plugin(&reply, &w->plugin, &no_memory))
        return 0;
    return no_memory ? error_memory(e) : call_offence(w, e, "described itself in a malformed way");
}

int worker_start(const struct worker_spec *spec, struct worker **worker, struct error *e)
{
    struct worker *w = calloc(1, sizeof *w);
    if (!w)
        return error_memory(e);
    w->pid = w->output = w->channel.socket = -1;
    w->arguments.maximum = w->frame.maximum = w->aside.maximum = CHANNEL_RING;
    w->in_process = spec->in_process;
    w->timeout = spec->timeout;
    w->stall_timeout = spec->stall_timeout;
    w->grace = spec->grace > 0 ? spec->grace : GRACE;
    w->undoes = spec->undoes;
    w->secluded_count = spec->secluded_count;
    w->secluded = calloc(spec->secluded_count + 1, sizeof *w->secluded);
    if (w->secluded && spec->secluded_count > 0)
        memcpy(w->secluded, spec->secluded, spec->secluded_count * sizeof *w->secluded);
    w->patience = spec->patience > 0 ? spec->patience : PATIENCE;
    w->instance = text_copy(spec->instance);
    w->name = text_copy(spec->plugin);
    w->directory = spec->directory ? text_copy(spec->directory) : NULL;
    w->common = spec->common ? text_copy(spec->common) : NULL;
    if (!w->secluded || !w->instance || !w->name || (spec->directory && !w->directory) ||
        (spec->common && !w->common)) {
        error_memory(e);
        goto fail;
    }
    if (start(w, spec, e) < 0 || load(w, spec, e) < 0)
        goto fail;
    *worker = w;
    return 0;
fail:
    worker_stop(w);
    return -1;
}

const struct plugin_info *worker_plugin(const struct worker *worker)
{
    return &worker->plugin;
}

bool worker_failed(const struct worker *worker)
{
    return worker->failure.class != ERROR_NONE;
}

/* ---- calls of both roles ---- */

static void put_variable(void *context, const char *variable)
{
    wire_put_string(context, variable);
}

static void count_variable(void *context, const char *variable)
{
    *(size_t *)context += 4 + strlen(variable) + 1;
}

void worker_configure(struct worker *worker, struct config_value *values)
{
    config_values_free(worker->values, worker->plugin.option_count);
    worker->values = values;
}

void worker_inherit(struct worker *worker, struct worker *from)
{
    struct config_value *values = from->values;
    from->values = NULL;
    for (size_t i = 0; values && i < worker->plugin.option_count; i++)
        values[i].option = &worker->plugin.options[i]; /* those of the other go with it */
    worker_configure(worker, values);
}

const struct config_value *worker_values(const struct worker *worker)
{
    return worker->values;
}

int worker_open(struct worker *w, const struct config_value *values, struct error *e)
{
    if (redact_learn(&w->redact, values, w->plugin.option_count, e) < 0)
        return -1;
    struct bytes *b = call_arguments(w);
    wire_put_string(b, w->directory);
    wire_put_string(b, w->common);
    bytes_put_u32(b, (uint32_t)w->secluded_count);
    for (size_t i = 0; i < w->secluded_count; i++)
        wire_put_string(b, w->secluded[i]);
    size_t size = 4;
    for (size_t i = 0; i < w->plugin.option_count; i++)
        size += 4 + (values[i].text ? values[i].length : 0);
    process_environment(w->plugin.environment, count_variable, &size);
    /* All room at once, so that growing leaves no copy of a secret behind. */
    bytes_reserve(b, size);
    wire_put_values(b, values, w->plugin.option_count);
    process_environment(w->plugin.environment, put_variable, b);
    int result = call_simple(w, WIRE_OPEN, e);
    explicit_bzero(b->data, b->capacity);
    w->opened = result == 0;
    return result;
}

void worker_tell(struct worker *worker, const struct configured *configured)
{
    worker->configured = configured;
}

int worker_check(struct worker *w, bool connect, void (*found)(void *context, const struct worker_finding *),
                 void *context, struct error *e)
{
    bytes_put_u32(call_arguments(w), connect);
    return configured_begin(w, WIRE_CHECK, e) < 0 ? -1 : call_findings(w, found, context, e);
}

void worker_progress(const struct worker *worker, uint64_t *done, uint64_t *total)
{
    *done = atomic_load_explicit(&worker->channel.shared->progress_done, memory_order_relaxed);
    *total = atomic_load_explicit(&worker->channel.shared->progress_total, memory_order_relaxed);
}

/* ---- ending ---- */

/* An orderly close; whatever goes wrong in it is said, since it hints at a broken plugin, and is of no consequence. */
static void close_instance(struct worker *w)
{
    struct error e;
    if (w->how[0])
        return;
    w->failure.class = ERROR_NONE;
    w->timeout = w->grace / 2;
    call_arguments(w);
    if (call_simple(w, WIRE_CLOSE, &e) < 0)
        log_error(LOG_WARNING, &e);
}

static void end_worker(struct worker *w)
{
    struct error e;
    if (w->active) {
        call_error(w, &e, ERROR_CANCELLED, "%s was given up", wire_call_name(w->kind));
        call_abort(w, &e);
    }
    if (w->channel.memory && (w->pid > 0 || w->task) && !w->abandoned)
        close_instance(w);
    if (w->pid > 0)
        call_bury(w, w->failure.class == ERROR_NONE ? w->grace / 2 : 0);
    if (w->task && !w->abandoned) {
        /* The thread ends when it has closed, or when it sees that we are gone. */
        shutdown(w->channel.socket, SHUT_RDWR);
        task_join(w->task, &e);
    }
}

const struct worker_leftover *worker_leftovers(const struct worker *w, size_t *count)
{
    *count = w->leftover_count;
    return w->leftovers;
}

void worker_stop(struct worker *w)
{
    if (!w)
        return;
    end_worker(w);
    if (w->output >= 0)
        close(w->output);
    channel_close(&w->channel);
    config_values_free(w->values, w->plugin.option_count);
    wire_plugin_free(&w->plugin);
    redact_free(&w->redact);
    bytes_free(&w->arguments);
    bytes_free(&w->frame);
    bytes_free(&w->aside);
    grammar_free(&w->grammar);
    for (uint64_t i = 0; i < w->kept; i++)
        free(w->problems[i].path);
    free(w->problems);
    for (size_t i = 0; i < w->leftover_count; i++) {
        free(w->leftovers[i].what);
        free(w->leftovers[i].removal);
    }
    free(w->leftovers);
    free(w->attributes);
    free(w->secluded);
    free(w->instance);
    free(w->name);
    free(w->directory);
    free(w->common);
    free(w);
}
