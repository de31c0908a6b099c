/* Restoring: entries to the plugin. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cofre/plugin.h"
#include "snapshot/path.h"
#include "worker/source.h"
#include "worker/source_part.h"

static void forget_problems(struct worker *w)
{
    for (uint64_t i = 0; i < w->kept; i++)
        free(w->problems[i].path);
    free(w->problems);
    w->problems = NULL;
    w->kept = w->failed = w->partly = w->done = w->given = 0;
}

static int keep_problem(struct worker *w, const char *path, size_t length, const struct error *result)
{
    if (w->kept >= SOURCE_PROBLEMS)
        return 0;
    if (!w->problems)
        w->problems = calloc(SOURCE_PROBLEMS, sizeof *w->problems);
    char *copy = w->problems ? malloc(length + 1) : NULL;
    if (!copy)
        return -1;
    memcpy(copy, path, length + 1);
    w->problems[w->kept++] = (struct call_problem){.path = copy, .path_length = length, .result = *result};
    return 0;
}

/* A frame that comes while entries are given: a problem, or the counts at the end. */
static int take_report(struct worker *w, const struct channel_frame *frame, struct error *e)
{
    struct cursor c = cursor_of(frame->payload, frame->length);
    if (frame->type == WIRE_REPLY) {
        w->done = cursor_u64(&c);
        w->partly = cursor_u64(&c);
        uint64_t failed = cursor_u64(&c);
        if (!cursor_done(&c) || failed != w->failed || w->done > w->given || w->partly > w->given - w->done ||
            failed > w->given - w->done - w->partly)
            return call_offence(w, e, "put back more entries than there were");
        return 0;
    }
    size_t length;
    const char *path = wire_text_required(&c, PATH_LONGEST, &length);
    struct error result;
    if (frame->type != WIRE_MISSING || !wire_error(&c, &result) || !cursor_done(&c) || result.class == ERROR_NONE)
        return call_offence(w, e, "sent a malformed report");
    redact_error(&w->redact, &result);
    w->failed++;
    if (keep_problem(w, path, length, &result) == 0)
        return 0;
    error_memory(e);
    return call_abort(w, e);
}

/* Room for n bytes, taking reports meanwhile. */
static int room(struct worker *w, size_t n, uint8_t **to, struct error *e)
{
    for (;;) {
        struct channel_frame frame;
        size_t lent;
        int got = call_room(w, n, n, to, &lent, &frame, e);
        if (got == 1)
            return 0;
        if (got == 0)
            return call_offence(w, e, "said that everything was put back before it had all been given");
        if (got < 0 || take_report(w, &frame, e) < 0)
            return -1;
    }
}

static int give(struct worker *w, uint32_t type, const void *p, size_t n, struct error *e)
{
    uint8_t *to;
    if (room(w, n, &to, e) < 0)
        return -1;
    if (n > 0)
        memcpy(to, p, n);
    channel_commit(&w->channel, type, n);
    return 0;
}

static int give_fact(struct worker *w, const struct source_fact *fact, struct error *e)
{
    struct bytes *b = &w->arguments;
    bytes_reset(b);
    wire_put_string(b, fact->key);
    wire_put_string(b, fact->value);
    return bytes_check(b, "a fact", e) < 0 ? -1 : give(w, WIRE_FACT, b->data, b->length, e);
}

int source_part_begin(struct worker *w, enum wire_call kind, struct error *e)
{
    static const struct source_past nothing = {.snapshot = NULL};
    const struct source_past *past = w->past ? w->past : &nothing;
    wire_put_string(&w->arguments, past->snapshot);
    bytes_put_u64(&w->arguments, past->fact_count);
    int result = call_begin(w, kind, e);
    for (size_t i = 0; result == 0 && i < past->fact_count; i++)
        result = give_fact(w, &past->facts[i], e);
    w->past = NULL;
    if (result == 0 && past->fact_count > 0)
        channel_wake(&w->channel);
    return result;
}

static int wait_asked(struct worker *w, struct error *e)
{
    struct channel_frame frame;
    int got;
    channel_wake(&w->channel);
    while ((got = call_next(w, &frame, e)) == 1 && frame.type != WIRE_ASKED)
        if (take_report(w, &frame, e) < 0)
            return -1;
    if (got == 0)
        return call_offence(w, e, "said that everything was put back before anything was given");
    return got == 1 ? 0 : -1;
}

int source_restore_begin(struct worker *source, struct error *e)
{
    forget_problems(source);
    source_part_put_id(source, call_arguments(source));
    return source_part_begin(source, WIRE_RESTORE, e) < 0 ? -1 : wait_asked(source, e);
}

int source_give_entry(struct worker *source, const struct snapshot_entry *entry, struct error *e)
{
    struct bytes *b = &source->arguments;
    bytes_reset(b);
    wire_put_entry(b, entry);
    if (bytes_check(b, "an entry", e) < 0)
        return -1;
    if (b->length > CHANNEL_LARGEST)
        return call_error(source, e, ERROR_RANGE, "an entry is larger than %u bytes", CHANNEL_LARGEST);
    source->given++;
    return give(source, WIRE_ENTRY, b->data, b->length, e);
}

int source_give_data(struct worker *source, const void *p, size_t n, struct error *e)
{
    const uint8_t *from = p;
    for (size_t piece; n > 0; from += piece, n -= piece) {
        piece = n < CHANNEL_RING / 4 ? n : CHANNEL_RING / 4;
        if (give(source, WIRE_DATA, from, piece, e) < 0)
            return -1;
    }
    return 0;
}

int source_give_hole(struct worker *source, uint64_t n, struct error *e)
{
    uint8_t length[8];
    bytes_set_u64(length, n);
    return n == 0 ? 0 : give(source, WIRE_HOLE, length, sizeof length, e);
}

int source_give_end(struct worker *source, struct error *e)
{
    return give(source, WIRE_END, NULL, 0, e);
}

int source_give_damaged(struct worker *source, const struct error *why, struct error *e)
{
    struct bytes *b = &source->arguments;
    bytes_reset(b);
    wire_put_error(b, why);
    if (bytes_check(b, "an error", e) < 0)
        return -1;
    return give(source, WIRE_END, b->data, b->length, e);
}

void source_restore_abort(struct worker *source)
{
    struct error e;
    call_error(source, &e, ERROR_CANCELLED, "restore was given up");
    if (call_abort(source, &e) < 0 && source->failure.class != ERROR_NONE)
        log_error(LOG_WARNING, &e);
}

static int wait_restored(struct worker *w, struct error *e)
{
    struct channel_frame frame;
    int got;
    if (give(w, WIRE_LAST, NULL, 0, e) < 0)
        return -1;
    channel_wake(&w->channel);
    while ((got = call_next(w, &frame, e)) == 1)
        if (take_report(w, &frame, e) < 0)
            return -1;
    if (got == 0 && w->done + w->partly + w->failed != w->given)
        return call_offence(w, e, "put back %llu of %llu entries and called that a success",
                            (unsigned long long)(w->done + w->partly + w->failed), (unsigned long long)w->given);
    return got;
}

int source_restore_finish(struct worker *source, struct source_restored *restored,
                          void (*problem)(void *context, const struct source_problem *), void *context, struct error *e)
{
    int result = wait_restored(source, e);
    *restored = (struct source_restored){.whole = source->done, .partly = source->partly, .failed = source->failed};
    for (uint64_t i = 0; i < source->kept; i++) {
        const struct call_problem *kept = &source->problems[i];
        problem(context,
                &(struct source_problem){.path = kept->path, .path_length = kept->path_length, .result = kept->result});
    }
    forget_problems(source);
    return result;
}
