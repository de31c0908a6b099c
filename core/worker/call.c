#include "worker/call.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/worker_output.h"

#define HEADER 16

/* Calls that undo something: they run although everything else is being cancelled. */
#define UNDOES (1u << WIRE_CLOSE | 1u << WIRE_THAW | 1u << WIRE_SCRATCH_DROP)

static bool is_cancelled(const struct worker *w, uint32_t kind)
{
    return cancel_requested() && !w->undoes && !(UNDOES & 1u << kind);
}

/* ---- failing ---- */

int call_fail(struct worker *w, const struct error *e)
{
    w->failure = *e;
    w->active = false;
    worker_output_settle(w);
    return -1;
}

int call_error(const struct worker *w, struct error *e, enum error_class class, const char *format, ...)
{
    char what[sizeof e->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    error_set(e, class, "%s", what);
    return error_subject(e, NULL, w->instance);
}

int call_offence(struct worker *w, struct error *e, const char *format, ...)
{
    char what[800];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    redact_text(&w->redact, what);
    call_error(w, e, ERROR_PLUGIN, "plugin '%s' broke its contract in %s: it %s", w->name, wire_call_name(w->kind),
               what);
    call_fail(w, e);
    call_kill(w);
    return -1;
}

bool call_ended(struct worker *w)
{
    if (w->how[0])
        return true;
    worker_output_drain(w);
    if (w->pid > 0 && process_ended(w->pid, w->how, sizeof w->how)) {
        w->pid = -1;
        worker_output_drain(w);
    } else if (w->pid <= 0 && channel_gone(&w->channel)) {
        snprintf(w->how, sizeof w->how, "ended");
    }
    return w->how[0] != '\0';
}

static bool wait_end(struct worker *w, int64_t patience)
{
    for (int64_t until = clock_monotonic() + patience; !call_ended(w);) {
        if (clock_monotonic() >= until)
            return false;
        clock_sleep(1);
    }
    return true;
}

void call_kill(struct worker *w)
{
    if (call_ended(w))
        return;
    if (w->pid <= 0) {
        w->abandoned = true;
        log_line(LOG_WARNING, "%s: plugin '%s' runs in this process and cannot be killed: it is left behind",
                 w->instance, w->name);
        return;
    }
    process_signal(w->pid, SIGKILL);
    while (!call_ended(w))
        clock_sleep(1);
}

void call_bury(struct worker *w, int64_t patience)
{
    if (wait_end(w, patience))
        return;
    /* What the plugin has started, such as pg_dump, may have something to put away. */
    if (w->pid > 0) {
        process_signal(w->pid, SIGTERM);
        if (wait_end(w, w->grace / 10))
            return;
    }
    call_kill(w);
}

static int died(struct worker *w, struct error *e)
{
    call_error(w, e, ERROR_PLUGIN, "plugin '%s' %s in the middle of %s", w->name, w->how, wire_call_name(w->kind));
    if (strstr(w->how, "signal 9 "))
        error_hint(
            e,
            "if nobody killed it, the system did for want of memory (see its log), or it closed what is not its own");
    return call_fail(w, e);
}

/* ---- frames ---- */

static int malformed(struct worker *w, struct error *e)
{
    return call_offence(w, e, "sent a malformed frame");
}

/* A private copy, since the worker could still change the shared one. */
static int copy(struct worker *w, struct bytes *to, const struct channel_frame *frame, struct error *e)
{
    bytes_reset(to);
    bytes_put(to, frame->payload, frame->length);
    if (!to->failed)
        return 0;
    error_memory(e);
    /* A result that cannot be kept ends the call all the same: no other will come. */
    return frame->type == WIRE_RESULT ? call_fail(w, e) : call_abort(w, e);
}

static int take_log(struct worker *w, struct cursor *c, struct error *e)
{
    char text[WIRE_MAX_LOG + 1];
    uint32_t level = cursor_u32(c);
    const char *said = wire_text_required(c, WIRE_MAX_LOG, NULL);
    if (!said || !cursor_done(c) || level > LOG_DEBUG || level < LOG_ERROR)
        return malformed(w, e);
    memcpy(text, said, strlen(said) + 1);
    worker_output_line(w, (int)level, "", text);
    return 0;
}

static bool is_named(const struct worker *w, const char *what)
{
    for (size_t i = 0; i < w->leftover_count; i++)
        if (strcmp(w->leftovers[i].what, what) == 0)
            return true;
    return false;
}

static int keep_leftover(struct worker *w, const char *what, const char *removal, struct error *e)
{
    struct worker_leftover *grown = reallocarray(w->leftovers, w->leftover_count + 1, sizeof *grown);
    w->leftovers = grown ? grown : w->leftovers;
    struct worker_leftover one = {.what = text_copy(what), .removal = text_copy(removal)};
    if (grown && one.what && one.removal) {
        w->leftovers[w->leftover_count++] = one;
        return 0;
    }
    free(one.what);
    free(one.removal);
    error_memory(e);
    return call_abort(w, e);
}

static int take_leftover(struct worker *w, struct cursor *c, struct error *e)
{
    char what[WIRE_MAX_LEFTOVER + 1], removal[WIRE_MAX_LEFTOVER + 1];
    const char *texts[] = {wire_text_required(c, WIRE_MAX_LEFTOVER, NULL),
                           wire_text_required(c, WIRE_MAX_LEFTOVER, NULL)};
    if (!texts[0] || !texts[1] || !cursor_done(c))
        return malformed(w, e);
    snprintf(what, sizeof what, "%s", texts[0]);
    snprintf(removal, sizeof removal, "%s", texts[1]);
    redact_text(&w->redact, what);
    redact_text(&w->redact, removal);
    if (w->leftover_count == WORKER_LEFTOVERS_MAX || is_named(w, what))
        return 0;
    return keep_leftover(w, what, removal, e);
}

/* What a class is in a plugin and what it is in the engine, whose exit status it becomes: "busy" is there another run
 * of the same job, "integrity" damage in what is stored. */
static enum error_class class_here(uint32_t kind, enum error_class class)
{
    if (class == ERROR_BUSY)
        return ERROR_RETRY;
    return class == ERROR_INTEGRITY && kind != WIRE_GET && kind != WIRE_RESTORE ? ERROR_PERMANENT : class;
}

static int take_result(struct worker *w, struct cursor *c, struct error *e)
{
    struct error result;
    uint32_t number = cursor_u32(c);
    if (!wire_error(c, &result) || !cursor_done(c) || number != w->number)
        return malformed(w, e);
    w->active = false;
    worker_output_drain(w);
    worker_output_settle(w);
    if (result.class == ERROR_NONE)
        return 0;
    redact_error(&w->redact, &result);
    *e = result;
    e->class = class_here(w->kind, result.class);
    if (result.class != ERROR_PLUGIN)
        return error_subject(e, NULL, w->instance);
    error_context(e, "plugin '%s' broke its contract in %s: it ", w->name, wire_call_name(w->kind));
    error_subject(e, NULL, w->instance);
    return call_fail(w, e);
}

int call_poll(struct worker *w, struct channel_frame *frame, struct error *e)
{
    for (;;) {
        int got = channel_next(&w->channel, frame);
        if (got < 0)
            return call_offence(w, e, "overwrote the ring to the engine");
        if (got == 0)
            return 2;
        bool aside = frame->type == WIRE_LOG || frame->type == WIRE_RESULT || frame->type == WIRE_LEFTOVER;
        /* What can be said without end is no sign of life. */
        if (frame->type != WIRE_LOG && frame->type != WIRE_LEFTOVER)
            w->since = 0;
        if (frame->type == WIRE_DATA)
            return 1;
        struct bytes *to = aside ? &w->aside : &w->frame;
        if (copy(w, to, frame, e) < 0)
            return -1;
        frame->payload = to->data;
        if (!aside)
            return 1;
        struct cursor c = cursor_of(to->data, to->length);
        if (frame->type == WIRE_RESULT)
            return take_result(w, &c, e);
        if (frame->type == WIRE_LEFTOVER ? take_leftover(w, &c, e) < 0 : take_log(w, &c, e) < 0)
            return -1;
    }
}

/* ---- waiting ---- */

static bool stalled(struct worker *w, int64_t now)
{
    uint32_t ticks = atomic_load_explicit(&w->channel.shared->ticks, memory_order_relaxed);
    uint64_t consumed = atomic_load_explicit(&w->channel.shared->to_worker.consumed, memory_order_relaxed);
    if (w->since == 0 || ticks != w->ticks || consumed != w->consumed) {
        w->since = now;
        w->ticks = ticks;
        w->consumed = consumed;
    }
    return w->stall_timeout > 0 && now - w->since >= w->stall_timeout;
}

/* Sleep until something may have happened. -1 = the call is over. */
static int wait_step(struct worker *w, struct error *e)
{
    char elapsed[TEXT_ELAPSED_MAX];
    if (w->how[0])
        return died(w, e);
    /* What it sent before its end is still to be read. */
    if (call_ended(w))
        return 0;
    int64_t now = clock_monotonic();
    if (is_cancelled(w, w->kind))
        call_error(w, e, ERROR_CANCELLED, "%s was cancelled", wire_call_name(w->kind));
    else if (w->deadline && now >= w->deadline)
        call_error(w, e, ERROR_TIMEOUT, "plugin '%s': %s took longer than it may", w->name, wire_call_name(w->kind));
    else if (stalled(w, now))
        call_error(w, e, ERROR_TIMEOUT, "plugin '%s' hung in %s: it moved no byte for %s", w->name,
                   wire_call_name(w->kind), text_elapsed(w->stall_timeout, elapsed));
    else {
        channel_sleep(&w->channel);
        return 0;
    }
    return call_abort(w, e);
}

int call_next(struct worker *w, struct channel_frame *frame, struct error *e)
{
    for (;;) {
        int got = call_poll(w, frame, e);
        if (got != 2)
            return got;
        if (wait_step(w, e) < 0)
            return -1;
    }
}

int call_room(struct worker *w, size_t least, size_t most, uint8_t **p, size_t *n, struct channel_frame *frame,
              struct error *e)
{
    for (;;) {
        int got = call_poll(w, frame, e);
        if (got != 2)
            return got == 1 ? 2 : got;
        int lent = channel_lend(&w->channel, least, most, p, n);
        if (lent < 0)
            return call_offence(w, e, "overwrote the ring to the worker");
        if (lent > 0) {
            w->since = 0;
            return 1;
        }
        if (wait_step(w, e) < 0)
            return -1;
    }
}

/* Drop everything until the result comes. */
static bool wait_result(struct worker *w, int64_t patience)
{
    struct channel_frame frame;
    struct error ignored;
    for (int64_t until = clock_monotonic() + patience; w->active;) {
        int got = call_poll(w, &frame, &ignored);
        if (got == 0 || got == -1)
            return true;
        if (got == 2 && call_ended(w))
            return false;
        if (clock_monotonic() >= until)
            return false;
        if (got == 2)
            channel_sleep(&w->channel);
    }
    return true;
}

int call_abort(struct worker *w, struct error *e)
{
    struct error ignored;
    if (!w->active)
        return -1;
    atomic_store(&w->channel.shared->cancel, w->number);
    /* When it cannot be sent the worker is gone, which shows below. */
    channel_send(&w->channel, WIRE_CANCEL, w->number, -1, &ignored);
    channel_wake(&w->channel);
    bool closing = w->kind == WIRE_CLOSE;
    if (wait_result(w, closing ? 0 : w->grace))
        return -1;
    bool was_dead = w->how[0] != '\0';
    if (!was_dead)
        call_bury(w, 0);
    size_t used = strlen(e->message);
    snprintf(e->message + used, sizeof e->message - used, "; it %s%s%s", was_dead ? w->how : "",
             was_dead || closing ? "" : "ignored its cancellation",
             was_dead || w->abandoned ? ""
             : closing                ? "was killed"
                                      : " and was killed");
    if (e->class != ERROR_CANCELLED)
        e->class = ERROR_PLUGIN;
    return call_fail(w, e);
}

/* ---- calls ---- */

struct bytes *call_arguments(struct worker *w)
{
    static const uint8_t header[HEADER];
    bytes_reset(&w->arguments);
    bytes_put(&w->arguments, header, sizeof header);
    return &w->arguments;
}

static int send_call(struct worker *w, struct error *e)
{
    struct bytes *b = &w->arguments;
    struct channel_frame frame;
    uint8_t *to;
    size_t room;
    int got = call_room(w, b->length, b->length, &to, &room, &frame, e);
    if (got == 1) {
        memcpy(to, b->data, b->length);
        channel_commit(&w->channel, WIRE_CALL, b->length);
        channel_wake(&w->channel);
        return 0;
    }
    return got < 0 ? -1 : call_offence(w, e, "spoke before it was asked");
}

int call_begin(struct worker *w, enum wire_call kind, struct error *e)
{
    ASSERT(!w->active);
    if (w->failure.class != ERROR_NONE) {
        *e = w->failure;
        return -1;
    }
    if (is_cancelled(w, (uint32_t)kind))
        return call_error(w, e, ERROR_CANCELLED, "%s was cancelled", wire_call_name(kind));
    struct bytes *b = &w->arguments;
    if (bytes_check(b, "a call", e) < 0)
        return -1;
    if (b->length > CHANNEL_LARGEST)
        return call_error(w, e, ERROR_RANGE, "%s: its arguments are too large", wire_call_name(kind));
    w->kind = kind;
    w->number++;
    w->active = true;
    w->since = 0;
    w->deadline = w->timeout > 0 ? clock_monotonic() + w->timeout : 0;
    bytes_set_u32(b->data, kind);
    bytes_set_u32(b->data + 4, w->number);
    bytes_set_u64(b->data + 8, w->timeout > 0 ? (uint64_t)w->timeout : 0);
    return send_call(w, e);
}

int call_finish(struct worker *w, struct error *e)
{
    struct channel_frame frame;
    int got = call_next(w, &frame, e);
    return got == 1 ? call_offence(w, e, "sent what was not asked for (frame %u)", frame.type) : got;
}

int call_simple(struct worker *w, enum wire_call kind, struct error *e)
{
    return call_begin(w, kind, e) < 0 ? -1 : call_finish(w, e);
}

int call_reply(struct worker *w, enum wire_call kind, struct cursor *reply, struct error *e)
{
    struct channel_frame frame;
    if (call_begin(w, kind, e) < 0)
        return -1;
    int got = call_next(w, &frame, e);
    if (got < 0)
        return -1;
    if (got == 0 || frame.type != WIRE_REPLY)
        return call_offence(w, e, "did not answer");
    if (call_finish(w, e) < 0)
        return -1;
    *reply = cursor_of(w->frame.data, w->frame.length);
    return 0;
}

/* ---- what several calls have ---- */

static int take_finding(struct worker *w, struct channel_frame *frame, struct worker_finding *finding)
{
    struct cursor c = cursor_of(frame->payload, frame->length);
    finding->level = (int)cursor_u32(&c);
    size_t text_length, hint_length;
    const char *text = wire_text_required(&c, WIRE_MAX_LOG, &text_length);
    const char *hint = wire_text_required(&c, WIRE_MAX_LOG, &hint_length);
    if (!cursor_done(&c) || finding->level < LOG_ERROR || finding->level > LOG_DEBUG)
        return -1;
    /* The frame is our own copy: scrubbed where it lies. */
    uint8_t *base = w->frame.data;
    char *own_text = (char *)base + ((const uint8_t *)text - base),
         *own_hint = (char *)base + ((const uint8_t *)hint - base);
    redact_text(&w->redact, own_text);
    redact_text(&w->redact, own_hint);
    finding->text = own_text;
    finding->hint = own_hint;
    return 0;
}

int call_offered(const struct worker *w, uint32_t what, enum wire_call call, struct error *e)
{
    if (w->plugin.offers & what)
        return 0;
    return call_error(w, e, ERROR_UNSUPPORTED, "plugin '%s' does not offer %s", w->name, wire_call_name(call));
}

int call_findings(struct worker *w, void (*found)(void *context, const struct worker_finding *), void *context,
                  struct error *e)
{
    struct channel_frame frame;
    int got;
    for (uint64_t count = 0; (got = call_next(w, &frame, e)) == 1; count++) {
        struct worker_finding finding;
        if (frame.type != WIRE_FINDING || take_finding(w, &frame, &finding) < 0)
            return call_offence(w, e, "sent a malformed finding");
        if (count < CALL_LINES)
            found(context, &finding);
    }
    return got;
}
