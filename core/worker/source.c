#include "worker/source.h"

#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/log.h"
#include "base/text.h"
#include "cofre/plugin.h"
#include "snapshot/path.h"
#include "worker/source_part.h"

/* ---- backup ---- */

void source_cover(struct worker *source, const char *id)
{
    source->hold = id;
}

void source_recall(struct worker *source, const struct source_past *past)
{
    source->past = past;
}

void source_part_put_id(struct worker *w, struct bytes *b)
{
    if (!w->hold)
        id_make(w->own_id);
    wire_put_string(b, w->hold ? w->hold : w->own_id);
}

int source_backup_begin(struct worker *source, const struct source_previous *previous, struct error *e)
{
    if (grammar_start(&source->grammar, e) < 0) {
        source->past = NULL;
        return -1;
    }
    source->finished = false;
    struct bytes *b = call_arguments(source);
    source_part_put_id(source, b);
    bytes_put(b, previous->fingerprint_key, sizeof previous->fingerprint_key);
    bytes_put_u32(b, previous->fd >= 0);
    /* A worker that is gone is told of by call_begin, in words. */
    struct error unsent;
    if (previous->fd >= 0 && source->failure.class == ERROR_NONE &&
        channel_send(&source->channel, WIRE_PREVIOUS, 0, previous->fd, &unsent) < 0 && !call_ended(source)) {
        *e = unsent;
        source->past = NULL;
        return -1;
    }
    return source_part_begin(source, WIRE_BACKUP, e);
}

/* One function for each type of frame: decodes, checks the grammar. -1 = malformed, with *e as grammar_* set it. */
typedef int event_function(struct worker *w, struct cursor *c, struct source_event *event, struct error *e);

static int malformed(struct error *e)
{
    return error_set(e, ERROR_PLUGIN, "sent a malformed event");
}

static int event_entry(struct worker *w, struct cursor *c, struct source_event *event, struct error *e)
{
    event->type = SOURCE_ENTRY;
    return wire_entry(c, &event->entry, &w->attributes) ? grammar_entry(&w->grammar, &event->entry, e) : malformed(e);
}

static int event_hole(struct worker *w, struct cursor *c, struct source_event *event, struct error *e)
{
    event->type = SOURCE_HOLE;
    event->length = cursor_u64(c);
    return cursor_done(c) ? grammar_content(&w->grammar, event->length, e) : malformed(e);
}

static int event_restart(struct worker *w, struct cursor *c, struct source_event *event, struct error *e)
{
    event->type = SOURCE_RESTART;
    return cursor_done(c) ? grammar_restart(&w->grammar, e) : malformed(e);
}

static int event_end(struct worker *w, struct cursor *c, struct source_event *event, struct error *e)
{
    event->type = SOURCE_END;
    event->content_length = cursor_u64(c);
    if (!wire_error(c, &event->result) || !cursor_done(c))
        return malformed(e);
    redact_error(&w->redact, &event->result);
    if (grammar_end(&w->grammar, e) < 0)
        return -1;
    if (event->content_length != w->grammar.content)
        return error_set(e, ERROR_PLUGIN, "counted %llu bytes of content where %llu arrived",
                         (unsigned long long)event->content_length, (unsigned long long)w->grammar.content);
    return 0;
}

static int event_unchanged(struct worker *w, struct cursor *c, struct source_event *event, struct error *e)
{
    event->type = SOURCE_UNCHANGED;
    event->ordinal = cursor_u64(c);
    return cursor_done(c) ? grammar_ordinal(&w->grammar, event->ordinal, e) : malformed(e);
}

static int event_missing(struct worker *w, struct cursor *c, struct source_event *event, struct error *e)
{
    event->type = SOURCE_MISSING;
    event->path = wire_text_required(c, PATH_LONGEST, &event->path_length);
    if (!wire_error(c, &event->result) || !cursor_done(c) || event->result.class == ERROR_NONE)
        return malformed(e);
    redact_error(&w->redact, &event->result);
    return 0;
}

/* In our own copy of the frame. */
static void scrub_value(struct worker *w, const struct source_event *event)
{
    redact_text(&w->redact, (char *)w->frame.data + ((const uint8_t *)event->value - w->frame.data));
}

static int event_fact(struct worker *w, struct cursor *c, struct source_event *event, struct error *e)
{
    event->type = SOURCE_FACT;
    event->key = wire_text_required(c, WIRE_MAX_NAME, NULL);
    event->value = wire_text_required(c, WIRE_MAX_VALUE, NULL);
    event->flags = cursor_u32(c);
    if (!cursor_done(c))
        return malformed(e);
    scrub_value(w, event);
    return 0;
}

static int event_left_out(struct worker *w, struct cursor *c, struct source_event *event, struct error *e)
{
    event->type = SOURCE_LEFT_OUT;
    event->path = wire_text_required(c, PATH_LONGEST, &event->path_length);
    event->value = wire_text_required(c, WIRE_MAX_VALUE, NULL);
    if (!cursor_done(c) || event->path_length == 0)
        return malformed(e);
    scrub_value(w, event);
    return 0;
}

static int event_finished(struct worker *w, struct cursor *c, struct source_event *event, struct error *e)
{
    event->type = SOURCE_FINISHED;
    w->finished = true;
    return cursor_done(c) ? grammar_finish(&w->grammar, e) : malformed(e);
}

static event_function *const events[] = {
    [WIRE_ENTRY] = event_entry, [WIRE_HOLE] = event_hole,           [WIRE_RESTART] = event_restart,
    [WIRE_END] = event_end,     [WIRE_UNCHANGED] = event_unchanged, [WIRE_MISSING] = event_missing,
    [WIRE_FACT] = event_fact,   [WIRE_FINISHED] = event_finished,   [WIRE_LEFT_OUT] = event_left_out,
};

static int decode(struct worker *w, const struct channel_frame *frame, struct source_event *event, struct error *e)
{
    if (frame->type == WIRE_DATA) {
        event->type = SOURCE_DATA;
        event->bytes = frame->payload;
        event->length = frame->length;
        return grammar_content(&w->grammar, frame->length, e);
    }
    if (frame->type >= sizeof events / sizeof events[0] || !events[frame->type])
        return malformed(e);
    struct cursor c = cursor_of(frame->payload, frame->length);
    return events[frame->type](w, &c, event, e);
}

int source_event(struct worker *source, struct source_event *event, struct error *e)
{
    struct channel_frame frame;
    struct error why;
    ASSERT(source->active);
    event->result.class = ERROR_NONE;
    int got = call_next(source, &frame, e);
    if (got < 0)
        return -1;
    if (got == 0)
        return call_offence(source, e, "ended its stream early");
    if (decode(source, &frame, event, &why) < 0)
        return call_offence(source, e, "%s", why.message);
    /* The stream is whole only when backup() has returned, too. */
    return event->type == SOURCE_FINISHED ? call_finish(source, e) : 0;
}

int source_taken_over(struct worker *source, const char *path, size_t path_length, uint32_t kind, struct error *e)
{
    struct error why;
    if (grammar_taken_over(&source->grammar, path, path_length, kind, &why) == 0)
        return 0;
    return call_offence(source, e, "%s", why.message);
}

/* ---- the rest ---- */

static int call_with_id(struct worker *w, uint32_t what, enum wire_call call, const char *id, struct error *e)
{
    if (call_offered(w, what, call, e) < 0)
        return -1;
    wire_put_string(call_arguments(w), id);
    return call_simple(w, call, e);
}

int source_freeze(struct worker *source, const char *id, struct error *e)
{
    return call_with_id(source, PLUGIN_OFFERS_FREEZE, WIRE_FREEZE, id, e);
}

/* What is to be undone may have been left in the middle, because a sink failed. */
static void give_up(struct worker *w)
{
    struct error e;
    call_error(w, &e, ERROR_CANCELLED, "%s was given up", wire_call_name(w->kind));
    if (w->active && call_abort(w, &e) < 0 && w->failure.class != ERROR_NONE)
        log_error(LOG_WARNING, &e);
}

void source_take_back(struct worker *source, const char *id, struct error *e)
{
    struct error undone;
    if (e->class == ERROR_RETRY && !cancel_requested() && source_thaw(source, id, &undone) < 0 &&
        undone.class != ERROR_RETRY)
        *e = undone;
}

int source_thaw(struct worker *source, const char *id, struct error *e)
{
    give_up(source);
    return call_with_id(source, PLUGIN_OFFERS_THAW, WIRE_THAW, id, e);
}

int source_scratch_drop(struct worker *source, const char *id, struct error *e)
{
    give_up(source);
    return call_with_id(source, PLUGIN_OFFERS_SCRATCH, WIRE_SCRATCH_DROP, id, e);
}

int source_scratch_make(struct worker *source, const char *id, char **overrides, struct error *e)
{
    struct cursor reply;
    if (call_offered(source, PLUGIN_OFFERS_SCRATCH, WIRE_SCRATCH_MAKE, e) < 0)
        return -1;
    wire_put_string(call_arguments(source), id);
    if (call_reply(source, WIRE_SCRATCH_MAKE, &reply, e) < 0)
        return -1;
    const char *text = wire_text_required(&reply, CHANNEL_LARGEST, NULL);
    if (!cursor_done(&reply))
        return call_offence(source, e, "gave malformed overrides");
    *overrides = text_copy(text);
    return *overrides ? 0 : error_memory(e);
}

int source_estimate(struct worker *source, int64_t *entries, int64_t *bytes, struct error *e)
{
    struct cursor reply;
    *entries = *bytes = -1;
    if (!(source->plugin.offers & PLUGIN_OFFERS_ESTIMATE))
        return 0;
    call_arguments(source);
    if (call_reply(source, WIRE_ESTIMATE, &reply, e) < 0)
        return -1;
    *entries = (int64_t)cursor_u64(&reply);
    *bytes = (int64_t)cursor_u64(&reply);
    if (!cursor_done(&reply) || *entries < -1 || *bytes < -1)
        return call_offence(source, e, "gave an impossible estimate");
    return 0;
}

int source_facts(struct worker *source, void (*fact)(void *, const char *, const char *), void *context,
                 struct error *e)
{
    struct channel_frame frame;
    struct source_event event;
    struct error why;
    int got;
    if (call_offered(source, PLUGIN_OFFERS_FACTS, WIRE_FACTS, e) < 0)
        return -1;
    call_arguments(source);
    if (call_begin(source, WIRE_FACTS, e) < 0)
        return -1;
    while ((got = call_next(source, &frame, e)) == 1) {
        struct cursor c = cursor_of(frame.payload, frame.length);
        if (frame.type != WIRE_FACT || event_fact(source, &c, &event, &why) < 0)
            return call_offence(source, e, "sent a malformed fact");
        fact(context, event.key, event.value);
    }
    return got;
}
