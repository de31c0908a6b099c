/* Listing: page after page. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "cofre/plugin.h"
#include "snapshot/path.h"
#include "worker/retry.h"
#include "worker/seen.h"
#include "worker/sink.h"
#include "worker/sink_connection.h"

/* A page is held back until it is complete, so that it can be fetched again; of one that is larger than this, what was
 * fetched is given on, and a failure in it is final. */
#define PAGE (256u * 1024)
/* A listing that never ends is an error. Objects that are none of ours may lie there, but a place is mostly ours; and
 * but for the first, pages are worth their request. */
#define STRANGERS_MAX 1000000u
#define FREE_PAGES 100u
#define LEAST_OF_PAGE 10u /* objects, on the average */

struct list {
    struct worker *w;
    const char *prefix;
    int (*object)(void *context, const struct sink_object *, struct error *e);
    void *context;
    struct bytes page;
    struct seen seen; /* what was given on, of all pages */
    bool given;       /* of this page */
    bool more;
    uint8_t cursor[WIRE_MAX_CURSOR], next[WIRE_MAX_CURSOR];
    size_t cursor_length, next_length;
    bool has_cursor;
    uint64_t strangers, keys, pages;
};

/* Not when a page comes in: it may come twice, being tried again. */
static int check_once(struct list *list, const char *key, size_t n, struct error *e)
{
    bool before;
    char shown[COFRE_MAX_KEY * 4];
    if (seen_add(&list->seen, key, n, &before, e) < 0)
        return -1;
    return before ? call_offence(list->w, e, "listed '%s' twice", log_escape(key, n, shown, sizeof shown)) : 0;
}

static int endless(const struct list *list, uint64_t most, const char *what, struct error *e)
{
    call_error(list->w, e, ERROR_RANGE, "list '%s': there are more than %llu %s", list->prefix,
               (unsigned long long)most, what);
    return error_hint(e, "is that the right place? a store whose listing does not end is not asked on");
}

static int give_page(struct list *list, struct error *e)
{
    struct cursor c = cursor_of(list->page.data, list->page.length);
    while (c.left > 0) {
        struct sink_object object;
        object.size = cursor_u64(&c);
        object.mtime = (int64_t)cursor_u64(&c);
        size_t n;
        object.key = wire_text_required(&c, COFRE_MAX_KEY, &n);
        ASSERT(!c.failed);
        list->given = true;
        if (++list->keys > SEEN_MAX)
            return endless(list, SEEN_MAX, "objects", e);
        if (check_once(list, object.key, n, e) < 0 || list->object(list->context, &object, e) < 0)
            return -1;
    }
    bytes_reset(&list->page);
    return 0;
}

static int take_object(struct list *list, const struct channel_frame *frame, struct error *e)
{
    struct cursor c = cursor_of(frame->payload, frame->length);
    uint64_t size = cursor_u64(&c);
    cursor_u64(&c);
    size_t n;
    const char *key = wire_text_required(&c, COFRE_MAX_KEY, &n);
    if (!cursor_done(&c) || size > INT64_MAX)
        return call_offence(list->w, e, "listed a malformed object");
    if (strncmp(key, list->prefix, strlen(list->prefix)) != 0) {
        char shown[COFRE_MAX_KEY * 4];
        return call_offence(list->w, e, "listed '%s', which does not begin with '%s'",
                            log_escape(key, n, shown, sizeof shown), list->prefix);
    }
    /* Not an object of ours: something else lives there too. */
    if (!path_is_key(key, n))
        return ++list->strangers > STRANGERS_MAX ? endless(list, STRANGERS_MAX, "objects that are none of cofre's", e)
                                                 : 0;
    bytes_put(&list->page, frame->payload, frame->length);
    if (list->page.failed)
        return error_memory(e);
    return list->page.length > PAGE - COFRE_MAX_KEY * 2 ? give_page(list, e) : 0;
}

static int take_more(struct list *list, const struct channel_frame *frame, struct error *e)
{
    struct cursor c = cursor_of(frame->payload, frame->length);
    list->more = cursor_u32(&c) != 0;
    const uint8_t *next = cursor_blob(&c, WIRE_MAX_CURSOR, &list->next_length);
    if (!cursor_done(&c))
        return call_offence(list->w, e, "gave a malformed cursor");
    memcpy(list->next, next, list->next_length);
    if (list->more && list->has_cursor && list->next_length == list->cursor_length &&
        memcmp(list->next, list->cursor, list->cursor_length) == 0)
        return call_offence(list->w, e, "gave the same cursor twice: it would list for ever");
    return 0;
}

static int try_page(void *context, struct error *e)
{
    struct list *list = context;
    struct channel_frame frame;
    struct bytes *b = call_arguments(list->w);
    bool answered = false;
    int got;
    wire_put_string(b, list->prefix);
    bytes_put_u32(b, list->has_cursor);
    bytes_put_blob(b, list->cursor, list->cursor_length);
    bytes_reset(&list->page);
    list->given = list->more = false;
    if (call_begin(list->w, WIRE_LIST, e) < 0)
        return -1;
    while ((got = call_next(list->w, &frame, e)) == 1) {
        if (answered || (frame.type != WIRE_OBJECT && frame.type != WIRE_REPLY))
            return call_offence(list->w, e, "sent what was not asked for during list");
        answered = frame.type == WIRE_REPLY;
        if ((answered ? take_more(list, &frame, e) : take_object(list, &frame, e)) < 0)
            return call_abort(list->w, e);
    }
    if (got == 0 && !answered)
        return call_offence(list->w, e, "ended its list early");
    if (got < 0 && e->class == ERROR_RETRY && list->given)
        e->class = ERROR_PERMANENT;
    return got;
}

static int run_pages(struct list *list, struct error *e)
{
    do {
        if (retry_run(list->w->patience, try_page, list, e) < 0 || give_page(list, e) < 0)
            return -1;
        memcpy(list->cursor, list->next, list->next_length);
        list->cursor_length = list->next_length;
        list->has_cursor = true;
        if (list->more && ++list->pages > FREE_PAGES + (list->keys + list->strangers) / LEAST_OF_PAGE)
            return endless(list, list->pages - 1, "pages, with hardly an object in them", e);
    } while (list->more);
    if (list->strangers > 0)
        log_line(LOG_DEBUG, "%s: %llu objects are none of cofre's and were passed over", list->w->instance,
                 (unsigned long long)list->strangers);
    return 0;
}

static int list_all(struct list *list, struct error *e)
{
    int result = run_pages(list, e);
    bytes_free(&list->page);
    seen_free(&list->seen);
    return result;
}

int sink_list(struct sink *sink, const char *prefix, int (*object)(void *, const struct sink_object *, struct error *),
              void *context, struct error *e)
{
    if (strlen(prefix) > COFRE_MAX_KEY) {
        error_set(e, ERROR_BUG, "'%s' is no prefix of a key", prefix);
        return error_subject(e, "sink", sink_name(sink));
    }
    struct worker *w;
    if (sink_connection_take(sink, &w, e) < 0)
        return -1;
    struct list *list = calloc(1, sizeof *list);
    int result = -1;
    if (list) {
        *list =
            (struct list){.w = w, .prefix = prefix, .object = object, .context = context, .page = {.maximum = PAGE}};
        result = list_all(list, e);
    } else {
        error_memory(e);
    }
    free(list);
    sink_connection_give(sink, w);
    return result;
}
