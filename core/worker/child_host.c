#include <stdatomic.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "worker/child.h"

#define MAX_DEFERRED 65536 /* bytes of log lines between reserve and commit */

/* ---- errors ---- */

static void copy_text(char *to, size_t size, const char *from, size_t from_size)
{
    size_t n = strnlen(from, from_size);
    if (n > size - 1)
        n = size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

void child_host_error(int32_t class, const struct cofre_error *from, struct error *to)
{
    memset(to, 0, sizeof *to);
    if (class == COFRE_OK)
        return;
    to->class = class >= COFRE_E_RETRY && class <= COFRE_E_BUG ? (enum error_class) class : ERROR_PERMANENT;
    if (from) {
        to->os_errno = from->os_errno;
        to->retry_after = from->retry_after;
        copy_text(to->message, sizeof to->message, from->message, sizeof from->message);
        copy_text(to->hint, sizeof to->hint, from->hint, sizeof from->hint);
    }
    if (!to->message[0])
        snprintf(to->message, sizeof to->message, "failed without saying why (class '%s')",
                 error_class_name(to->class));
    if (from && from->code[0] && memchr(from->code, '\0', sizeof from->code) && !strstr(to->message, from->code)) {
        size_t used = strlen(to->message);
        snprintf(to->message + used, sizeof to->message - used, " (%s)", from->code);
    }
}

int32_t child_host_fail(struct cofre_error *error, const struct error *why)
{
    copy_text(error->message, sizeof error->message, why->message, sizeof why->message);
    copy_text(error->hint, sizeof error->hint, why->hint, sizeof why->hint);
    error->os_errno = why->os_errno;
    /* A fault is known to the plugin as the bug that it is. */
    return why->class == ERROR_PLUGIN ? COFRE_E_BUG : (int32_t)why->class;
}

int32_t child_host_fault(struct cofre_call *call, const struct error *why, struct cofre_error *error)
{
    if (call->fault.class == ERROR_NONE) {
        call->fault = *why;
        call->fault.class = ERROR_PLUGIN;
    }
    return child_host_fail(error, &call->fault);
}

/* ---- services of every call ---- */

static int32_t host_cancelled(struct cofre_call *call, struct cofre_error *error)
{
    if (call->fault.class != ERROR_NONE)
        return child_host_fail(error, &call->fault);
    if (atomic_load_explicit(&call->child->channel.shared->cancel, memory_order_relaxed) == call->number)
        return cofre_fail(error, COFRE_E_CANCELLED, "%s was cancelled", wire_call_name(call->kind));
    if (call->deadline && clock_monotonic() >= call->deadline)
        return cofre_fail(error, COFRE_E_TIMEOUT, "%s took longer than it may", wire_call_name(call->kind));
    return COFRE_OK;
}

static int host_cancel_fd(struct cofre_call *call)
{
    return call->child->channel.socket;
}

static int64_t host_time_left(struct cofre_call *call)
{
    if (!call->deadline)
        return -1;
    int64_t left = call->deadline - clock_monotonic();
    return left > 0 ? left : 0;
}

static void host_progress(struct cofre_call *call, uint64_t done, uint64_t total)
{
    struct channel_shared *shared = call->child->channel.shared;
    atomic_store_explicit(&shared->progress_done, done, memory_order_relaxed);
    atomic_store_explicit(&shared->progress_total, total, memory_order_relaxed);
    atomic_fetch_add_explicit(&shared->ticks, 1, memory_order_relaxed);
}

static const char *host_id(struct cofre_call *call)
{
    return call->id;
}

static int32_t host_directory(struct cofre_call *call, const char **path, struct cofre_error *error)
{
    struct error why;
    *path = call->child->directory;
    if (!*path)
        return cofre_fail(error, COFRE_E_UNSUPPORTED, "there is no directory of its own for this source");
    return file_make_directories(*path, &why) < 0 ? child_host_fail(error, &why) : COFRE_OK;
}

int32_t child_host_enter(struct cofre_call *call, uint32_t calls, const char *service, struct cofre_error *error)
{
    if (!(calls & CHILD_IN(call->kind))) {
        struct error why;
        error_set(&why, ERROR_PLUGIN, "used the host's '%s', which there is not in this call", service);
        return child_host_fault(call, &why, error);
    }
    return host_cancelled(call, error);
}

/* ---- frames ---- */

static int32_t gone(struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_CANCELLED, "the engine is gone");
}

struct bytes *child_host_frame(struct cofre_call *call)
{
    bytes_reset(&call->child->frame);
    return &call->child->frame;
}

/* final: a result is sent even when the call was cancelled. */
static int32_t send_bytes(struct cofre_call *call, uint32_t type, const struct bytes *frame, bool final,
                          struct cofre_error *error)
{
    struct channel *channel = &call->child->channel;
    uint8_t *to;
    size_t room;
    int lent;
    while ((lent = channel_lend(channel, frame->length, frame->length, &to, &room)) == 0) {
        int32_t class = final ? COFRE_OK : host_cancelled(call, error);
        if (class != COFRE_OK)
            return class;
        if (channel_gone(channel))
            return gone(error);
        channel_sleep(channel);
    }
    if (lent < 0)
        return gone(error);
    if (frame->length)
        memcpy(to, frame->data, frame->length);
    channel_commit(channel, type, frame->length);
    return COFRE_OK;
}

/* Lines that came between reserve and commit, now that nothing is lent. */
static void send_deferred(struct cofre_call *call)
{
    struct bytes *deferred = &call->child->deferred;
    struct cursor c = cursor_of(deferred->data, deferred->length);
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    while (c.left > 0 && !c.failed) {
        size_t n;
        const uint8_t *p = cursor_blob(&c, MAX_DEFERRED, &n);
        struct bytes *frame = child_host_frame(call);
        bytes_put(frame, p, n);
        send_bytes(call, WIRE_LOG, frame, false, &ignored);
    }
    bytes_reset(deferred);
}

int32_t child_host_send(struct cofre_call *call, enum wire_frame type, struct cofre_error *error)
{
    struct bytes *frame = &call->child->frame;
    if (frame->failed || frame->length > CHANNEL_LARGEST)
        return cofre_fail(error, COFRE_E_RANGE,
                          "%s: too large to be described: more than %u bytes of attributes and names",
                          wire_call_name(call->kind), CHANNEL_LARGEST);
    call->lent = 0;
    int32_t class = send_bytes(call, type, frame, type == WIRE_RESULT || type == WIRE_REPLY, error);
    if (type == WIRE_RESULT)
        channel_wake(&call->child->channel);
    return class;
}

int32_t child_host_receive(struct cofre_call *call, struct channel_frame *frame, struct cofre_error *error)
{
    struct channel *channel = &call->child->channel;
    int got;
    while ((got = channel_next(channel, frame)) == 0) {
        int32_t class = host_cancelled(call, error);
        if (class != COFRE_OK)
            return class;
        if (channel_gone(channel))
            return gone(error);
        channel_sleep(channel);
    }
    return got > 0 ? COFRE_OK : gone(error);
}

/* ---- log and findings ---- */

static uint32_t log_level(int32_t level)
{
    return level >= COFRE_LOG_ERROR && level <= COFRE_LOG_DEBUG ? (uint32_t)level : COFRE_LOG_INFO;
}

static void host_log(struct cofre_call *call, int32_t level, const char *text)
{
    if ((int)log_level(level) > call->child->log_level)
        return;
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    struct bytes *frame = child_host_frame(call);
    bytes_put_u32(frame, log_level(level));
    wire_put_text(frame, text, strnlen(text, WIRE_MAX_LOG));
    if (frame->failed)
        return;
    /* What reserve lent lies where the frame would go. */
    if (call->lent) {
        bytes_put_blob(&call->child->deferred, frame->data, frame->length);
        call->child->deferred.failed = false;
        return;
    }
    /* A log line that cannot be sent, because the call was cancelled, is not worth an error. */
    if (send_bytes(call, WIRE_LOG, frame, false, &ignored) == COFRE_OK)
        channel_wake(&call->child->channel);
}

static void host_finding(struct cofre_call *call, int32_t level, const char *text, const char *hint)
{
    struct cofre_error error = {.struct_size = sizeof error};
    if (child_host_enter(call, CHILD_IN(WIRE_CHECK), "finding", &error) != COFRE_OK)
        return;
    struct bytes *frame = child_host_frame(call);
    bytes_put_u32(frame, log_level(level));
    wire_put_text(frame, text, strnlen(text, WIRE_MAX_LOG));
    wire_put_text(frame, hint, hint ? strnlen(hint, WIRE_MAX_LOG) : 0);
    child_host_send(call, WIRE_FINDING, &error);
}

static int32_t host_commit(struct cofre_call *call, size_t length, struct cofre_error *error)
{
    int32_t class = child_content_commit(call, length, error);
    if (call->child->deferred.length > 0 && !call->lent)
        send_deferred(call);
    return class;
}

const struct cofre_host child_host_table = {
    .struct_size = sizeof(struct cofre_host),
    .abi_level = COFRE_ABI_LEVEL,
    .version = COFRE_VERSION,
    .log = host_log,
    .cancelled = host_cancelled,
    .cancel_fd = host_cancel_fd,
    .time_left = host_time_left,
    .progress = host_progress,
    .finding = host_finding,
    .reserve = child_content_reserve,
    .commit = host_commit,
    .hole = child_content_hole,
    .take = child_content_take,
    .unchanged = child_backup_unchanged,
    .entry = child_backup_entry,
    .end = child_backup_end,
    .restart = child_backup_restart,
    .missing = child_backup_missing,
    .fact = child_backup_fact,
    .next = child_restore_next,
    .done = child_restore_done,
    .object = child_list_object,
    .more = child_list_more,
    .late = child_restore_late,
    .id = host_id,
    .directory = host_directory,
    .snapshot = child_past_snapshot,
    .recorded = child_past_recorded,
    .left_out = child_backup_left_out,
};
