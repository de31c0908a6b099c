#include "host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void complain(struct cofre_call *call, const char *text, const char *path)
{
    if (call->broken++ == 0)
        snprintf(call->complaint, sizeof call->complaint, "%s: '%.200s'", text, path);
}

static void *copy(const void *p, size_t n)
{
    char *c = malloc(n + 1);
    if (!c)
        abort();
    if (n)
        memcpy(c, p, n);
    c[n] = '\0';
    return c;
}

static struct host_event *append(struct cofre_call *call)
{
    if (call->count == call->capacity) {
        call->capacity = call->capacity ? call->capacity * 2 : 64;
        call->events = realloc(call->events, call->capacity * sizeof *call->events);
        if (!call->events)
            abort();
    }
    struct host_event *event = &call->events[call->count++];
    memset(event, 0, sizeof *event);
    return event;
}

/* '/' counts as byte 0. */
static int compare_paths(const char *a, const char *b)
{
    for (;; a++, b++) {
        int x = *a == '/' ? 1 : *a ? (unsigned char)*a + 1 : 0, y = *b == '/' ? 1 : *b ? (unsigned char)*b + 1 : 0;
        if (x != y)
            return x < y ? -1 : 1;
        if (!x)
            return 0;
    }
}

static struct host_event *announce(struct cofre_call *call, enum host_event_type type, const char *path, size_t length)
{
    if (strlen(path) != length)
        complain(call, "path is not terminated at its length", path);
    if (call->is_open)
        complain(call, "announced before the end of the last entry", path);
    if (call->count > 0 && compare_paths(call->events[call->count - 1].entry.path, path) >= 0)
        complain(call, "not in the order of paths", path);
    struct host_event *event = append(call);
    event->type = type;
    event->entry.path = copy(path, length);
    event->entry.path_length = (uint32_t)length;
    return event;
}

/* What take lent is gone with the next call, whatever it is. */
static void take_away(struct cofre_call *call)
{
    free(call->lent);
    call->lent = NULL;
}

static void host_log(struct cofre_call *call, int32_t level, const char *text)
{
    (void)level;
    take_away(call);
    call->lines++;
    snprintf(call->last_line, sizeof call->last_line, "%s", text);
}

static int32_t host_cancelled(struct cofre_call *call, struct cofre_error *error)
{
    (void)call, (void)error;
    return COFRE_OK;
}

static int host_cancel_fd(struct cofre_call *call)
{
    (void)call;
    return -1;
}

static int64_t host_time_left(struct cofre_call *call)
{
    (void)call;
    return -1;
}

static void host_progress(struct cofre_call *call, uint64_t done, uint64_t total)
{
    (void)call, (void)done, (void)total;
}

static void host_finding(struct cofre_call *call, int32_t level, const char *text, const char *hint)
{
    (void)hint;
    call->findings[level & 7]++;
    snprintf(call->last_finding, sizeof call->last_finding, "%s", text);
}

static int32_t host_reserve(struct cofre_call *call, void **buffer, size_t *length, struct cofre_error *error)
{
    (void)error;
    if (!call->buffer && !(call->buffer = malloc(1u << 20)))
        abort();
    if (*length == 0 || *length > 1u << 20 || !call->is_open)
        complain(call, "reserve of no or too many bytes, or outside an entry", "");
    *buffer = call->buffer;
    return COFRE_OK;
}

static void add_piece(struct cofre_call *call, const void *bytes, uint64_t length)
{
    struct host_event *event = &call->events[call->count - 1];
    call->content_total += length;
    event->content_length += length;
    if (call->discard)
        return;
    event->pieces = realloc(event->pieces, (event->piece_count + 1) * sizeof *event->pieces);
    if (!event->pieces)
        abort();
    event->pieces[event->piece_count++] =
        (struct host_piece){.bytes = bytes ? copy(bytes, (size_t)length) : NULL, .length = length};
}

static int32_t host_commit(struct cofre_call *call, size_t length, struct cofre_error *error)
{
    (void)error;
    if (call->disturb)
        call->disturb(call);
    add_piece(call, call->buffer, length);
    return COFRE_OK;
}

static int32_t host_hole(struct cofre_call *call, uint64_t length, struct cofre_error *error)
{
    (void)error;
    add_piece(call, NULL, length);
    return COFRE_OK;
}

static int32_t host_take(struct cofre_call *call, const void **bytes, uint64_t *length, struct cofre_error *error)
{
    const struct host_event *event = &call->events[call->feed_at - 1];
    take_away(call);
    if (call->disturb)
        call->disturb(call);
    if (call->feed_piece == event->piece_count && call->take_fails)
        return cofre_fail(error, call->take_fails, "the rest is lost");
    if (call->feed_piece == event->piece_count)
        return COFRE_END;
    const struct host_piece *piece = &event->pieces[call->feed_piece++];
    *bytes = call->lent = piece->bytes ? copy(piece->bytes, (size_t)piece->length) : NULL;
    *length = piece->length;
    return COFRE_OK;
}

static int32_t host_unchanged(struct cofre_call *call, const char *path, size_t length, const void *fingerprint,
                              size_t fingerprint_length)
{
    const struct cofre_call *p = call->previous;
    if (!p)
        return COFRE_OK;
    while (call->previous_at < p->count && compare_paths(p->events[call->previous_at].entry.path, path) < 0)
        call->previous_at++;
    if (call->previous_at == p->count)
        return COFRE_OK;
    const struct host_event *e = &p->events[call->previous_at];
    if (strcmp(e->entry.path, path) != 0 || e->type == HOST_MISSING || e->result != COFRE_OK ||
        e->entry.fingerprint_length != fingerprint_length || fingerprint_length == 0 ||
        memcmp(e->entry.fingerprint, fingerprint, fingerprint_length) != 0)
        return COFRE_OK;
    announce(call, HOST_UNCHANGED, path, length);
    return COFRE_UNCHANGED;
}

static void copy_attributes(struct cofre_entry *to, const struct cofre_entry *from)
{
    to->attributes = NULL;
    if (!from->attribute_count)
        return;
    struct cofre_attribute *rows = calloc(from->attribute_count, sizeof *rows);
    const char *p = (const void *)from->attributes;
    if (!rows)
        abort();
    for (uint32_t i = 0; i < from->attribute_count; i++, p += from->attribute_stride) {
        const struct cofre_attribute *a = (const void *)p;
        rows[i] = (struct cofre_attribute){copy(a->name, strlen(a->name)), copy(a->value, a->length), a->length};
    }
    to->attributes = rows;
    to->attribute_stride = sizeof *rows;
}

static int32_t host_entry(struct cofre_call *call, const struct cofre_entry *entry, struct cofre_error *error)
{
    (void)error;
    struct host_event *event = announce(call, HOST_ENTRY, entry->path, entry->path_length);
    const char *path = event->entry.path;
    if (call->disturb)
        call->disturb(call);
    event->entry = *entry;
    event->entry.path = path;
    event->entry.user = entry->user ? copy(entry->user, strlen(entry->user)) : NULL;
    event->entry.group = entry->group ? copy(entry->group, strlen(entry->group)) : NULL;
    event->entry.link = entry->link ? copy(entry->link, entry->link_length) : NULL;
    event->entry.fingerprint = copy(entry->fingerprint, (size_t)entry->fingerprint_length);
    copy_attributes(&event->entry, entry);
    call->is_open = true;
    return COFRE_OK;
}

static int32_t host_end(struct cofre_call *call, int32_t result, const struct cofre_error *why,
                        struct cofre_error *error)
{
    (void)error;
    struct host_event *event = &call->events[call->count - 1];
    if (!call->is_open)
        complain(call, "end without entry", event->entry.path);
    call->is_open = false;
    event->result = result;
    if (result != COFRE_OK)
        snprintf(event->why, sizeof event->why, "%s", why->message);
    return COFRE_OK;
}

static void drop_content(struct host_event *event)
{
    for (size_t i = 0; i < event->piece_count; i++)
        free(event->pieces[i].bytes);
    free(event->pieces);
    event->pieces = NULL;
    event->piece_count = 0;
    event->content_length = 0;
}

static int32_t host_restart(struct cofre_call *call, struct cofre_error *error)
{
    (void)error;
    struct host_event *event = &call->events[call->count - 1];
    if (!call->is_open)
        complain(call, "restart outside an entry", event->entry.path);
    drop_content(event);
    event->restarts++;
    return COFRE_OK;
}

static int32_t host_missing(struct cofre_call *call, const char *path, size_t length, int32_t result,
                            const struct cofre_error *why, struct cofre_error *error)
{
    (void)error;
    struct host_event *event = announce(call, HOST_MISSING, path, length);
    event->result = result;
    snprintf(event->why, sizeof event->why, "%s", why->message);
    return COFRE_OK;
}

static int32_t host_fact(struct cofre_call *call, const char *key, const char *value, uint32_t flags,
                         struct cofre_error *error)
{
    (void)flags;
    (void)error;
    if (call->fact_count < sizeof call->facts / sizeof call->facts[0]) {
        snprintf(call->facts[call->fact_count][0], sizeof call->facts[0][0], "%s", key);
        snprintf(call->facts[call->fact_count++][1], sizeof call->facts[0][1], "%s", value);
    }
    return COFRE_OK;
}

static int32_t host_left_out(struct cofre_call *call, const char *name, size_t length, const char *why,
                             struct cofre_error *error)
{
    (void)error, (void)why;
    snprintf(call->left_out[call->left_out_count++ % 4], sizeof call->left_out[0], "%.*s", (int)length, name);
    return COFRE_OK;
}

static const char *host_snapshot(struct cofre_call *call)
{
    (void)call;
    return "20261120t020000z-ab12cd";
}

static int32_t host_next(struct cofre_call *call, const struct cofre_entry **entry, struct cofre_error *error)
{
    (void)error;
    take_away(call);
    while (call->feed_at < call->count && call->events[call->feed_at].type != HOST_ENTRY)
        call->feed_at++;
    if (call->feed_at == call->count)
        return COFRE_END;
    *entry = &call->events[call->feed_at++].entry;
    call->feed_piece = 0;
    return COFRE_OK;
}

static int32_t host_done(struct cofre_call *call, int32_t result, const struct cofre_error *why,
                         struct cofre_error *error)
{
    (void)error;
    struct host_event *event = &call->events[call->feed_at - 1];
    take_away(call);
    event->result = result;
    snprintf(event->why, sizeof event->why, "%s", result == COFRE_OK ? "" : why->message);
    return COFRE_OK;
}

static int32_t host_late(struct cofre_call *call, const char *path, size_t length, int32_t result,
                         const struct cofre_error *why, struct cofre_error *error)
{
    (void)error;
    struct host_event *event = host_find(call, path);
    take_away(call);
    if (!event || event->entry.path_length != length || event->result != COFRE_OK || result == COFRE_OK) {
        complain(call, "late for what was not done, or for nothing", path);
        return COFRE_OK;
    }
    event->result = result;
    call->late++;
    snprintf(event->why, sizeof event->why, "%s", why->message);
    return COFRE_OK;
}

const struct cofre_host host_table = {
    .struct_size = sizeof host_table,
    .abi_level = COFRE_ABI_LEVEL,
    .version = "test",
    .log = host_log,
    .cancelled = host_cancelled,
    .cancel_fd = host_cancel_fd,
    .time_left = host_time_left,
    .progress = host_progress,
    .finding = host_finding,
    .reserve = host_reserve,
    .commit = host_commit,
    .hole = host_hole,
    .take = host_take,
    .unchanged = host_unchanged,
    .entry = host_entry,
    .end = host_end,
    .restart = host_restart,
    .missing = host_missing,
    .fact = host_fact,
    .next = host_next,
    .done = host_done,
    .late = host_late,
    .left_out = host_left_out,
    .snapshot = host_snapshot,
};

static void release(const void *p)
{
    free((void *)(uintptr_t)p);
}

void host_clear(struct cofre_call *call)
{
    for (size_t i = 0; i < call->count; i++) {
        struct host_event *event = &call->events[i];
        drop_content(event);
        release(event->entry.path);
        release(event->entry.user);
        release(event->entry.group);
        release(event->entry.link);
        release(event->entry.fingerprint);
        for (uint32_t a = 0; a < event->entry.attribute_count; a++) {
            release(event->entry.attributes[a].name);
            release(event->entry.attributes[a].value);
        }
        release(event->entry.attributes);
    }
    take_away(call);
    free(call->events);
    free(call->buffer);
    memset(call, 0, sizeof *call);
}

struct host_event *host_find(const struct cofre_call *call, const char *path)
{
    for (size_t i = 0; i < call->count; i++)
        if (strcmp(call->events[i].entry.path, path) == 0)
            return &call->events[i];
    return NULL;
}

struct host_event *host_add(struct cofre_call *call, uint32_t kind, const char *path, uint32_t mode,
                            const char *content)
{
    struct host_event *event = append(call);
    event->entry = (struct cofre_entry){.struct_size = sizeof event->entry,
                                        .kind = kind,
                                        .path = copy(path, strlen(path)),
                                        .size = content ? (int64_t)strlen(content) : 0,
                                        .path_length = (uint32_t)strlen(path),
                                        .mtime = 1000000000000000123,
                                        .mode = mode,
                                        .attribute_stride = sizeof(struct cofre_attribute)};
    event->result = -1;
    if (content)
        add_piece(call, content, strlen(content));
    return event;
}
