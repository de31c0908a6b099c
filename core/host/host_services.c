#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "host/host.h"
#include "host/monitor.h"

/* ---- errors ---- */

static void copy_text(char *to, size_t size, const char *from, size_t from_size)
{
    size_t n = strnlen(from, from_size);
    if (n > size - 1)
        n = size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
}

bool host_is_result(int32_t result)
{
    return result == COFRE_OK || (result >= COFRE_E_RETRY && result <= COFRE_E_BUG);
}

void host_error(int32_t class, const struct cofre_error *from, struct error *to)
{
    memset(to, 0, sizeof *to);
    if (class == COFRE_OK)
        return;
    to->class = (enum error_class) class;
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

int32_t host_fail(struct cofre_error *error, const struct error *why)
{
    if (error) {
        copy_text(error->message, sizeof error->message, why->message, sizeof why->message);
        copy_text(error->hint, sizeof error->hint, why->hint, sizeof why->hint);
        error->os_errno = why->os_errno;
    }
    /* A fault is known to the plugin as the bug that it is. */
    return why->class == ERROR_PLUGIN ? COFRE_E_BUG : (int32_t)why->class;
}

int32_t host_fault(struct cofre_call *call, const struct error *why, struct cofre_error *error)
{
    if (call->fault.class == ERROR_NONE) {
        call->fault = *why;
        call->fault.class = ERROR_PLUGIN;
        atomic_store_explicit(&call->faulted, true, memory_order_release);
    }
    return host_fail(error, &call->fault);
}

int32_t host_broke(struct cofre_call *call, struct cofre_error *error, const char *format, ...)
{
    struct error why;
    char text[sizeof why.message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(&why, ERROR_PLUGIN, "%s", text);
    return host_fault(call, &why, error);
}

/* ---- services of every call ---- */

static int32_t gone(struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_CANCELLED, "the engine is gone");
}

static int32_t host_cancelled(struct cofre_call *call, struct cofre_error *error)
{
    if (!error)
        return host_broke(call, error, "used the host's 'cancelled' without an error to fill");
    if (atomic_load_explicit(&call->faulted, memory_order_acquire))
        return host_fail(error, &call->fault);
    if (atomic_load_explicit(&call->host->channel.shared->cancel, memory_order_relaxed) == call->number)
        return cofre_fail(error, COFRE_E_CANCELLED, "%s was cancelled", wire_call_name(call->kind));
    if (call->deadline && clock_monotonic() >= call->deadline)
        return cofre_fail(error, COFRE_E_TIMEOUT, "%s took longer than it may", wire_call_name(call->kind));
    return COFRE_OK;
}

static int host_cancel_fd(struct cofre_call *call)
{
    return call->host->channel.socket;
}

static int64_t host_time_left(struct cofre_call *call)
{
    if (!call->deadline)
        return -1;
    int64_t left = call->deadline - clock_monotonic();
    return left > 0 ? left : 0;
}

/* The socket is not read: what is in it stays for whoever serves the next call. */
static int32_t host_pause(struct cofre_call *call, int64_t milliseconds, struct cofre_error *error)
{
    int64_t now = clock_monotonic(), end = milliseconds > INT64_MAX - now ? INT64_MAX : now + milliseconds;
    struct pollfd engine = {.fd = call->host->channel.socket, .events = POLLIN};
    int32_t class = host_cancelled(call, error);
    for (; class == COFRE_OK && (now = clock_monotonic()) < end; class = host_cancelled(call, error)) {
        int64_t most = call->deadline && call->deadline < end ? call->deadline - now : end - now;
        int got = poll(&engine, 1, most > 1000 ? 1000 : most < 1 ? 1 : (int)most);
        if (got > 0 && (engine.revents & (POLLHUP | POLLERR)))
            return gone(error);
        /* Something else than a cancellation: no reason to wake again and again. */
        if (got > 0 && host_cancelled(call, error) == COFRE_OK)
            engine.fd = -1;
    }
    return class;
}

static void host_progress(struct cofre_call *call, uint64_t done, uint64_t total)
{
    struct channel_shared *shared = call->host->channel.shared;
    atomic_store_explicit(&shared->progress_done, done, memory_order_relaxed);
    atomic_store_explicit(&shared->progress_total, total, memory_order_relaxed);
    atomic_fetch_add_explicit(&shared->ticks, 1, memory_order_relaxed);
}

static const char *host_id(struct cofre_call *call)
{
    return call->id;
}

static int32_t make_directory(struct cofre_call *call, const char *directory, const char *whose, const char **path,
                              struct cofre_error *error)
{
    struct error why;
    if (!path || !error)
        return host_broke(call, error, "asked for %s directory without a place for the answer", whose);
    *path = directory;
    if (!directory)
        return cofre_fail(error, COFRE_E_UNSUPPORTED, "there is no place for %s directory", whose);
    return file_make_trusted(directory, &why) < 0 ? host_fail(error, &why) : COFRE_OK;
}

static int32_t host_directory(struct cofre_call *call, const char **path, struct cofre_error *error)
{
    return make_directory(call, call->host->directory, "its", path, error);
}

static int32_t host_common_directory(struct cofre_call *call, const char **path, struct cofre_error *error)
{
    return make_directory(call, call->host->common, "its plugin's", path, error);
}

int32_t host_enter(struct cofre_call *call, uint32_t calls, const char *service, struct cofre_error *error)
{
    if (!(calls & HOST_IN(call->kind)))
        return host_broke(call, error, "used the host's '%s', which there is not in this call", service);
    if (!error)
        return host_broke(call, error, "used the host's '%s' without an error to fill", service);
    return host_cancelled(call, error);
}

/* ---- frames ---- */

struct bytes *host_frame(struct cofre_call *call)
{
    bytes_reset(&call->host->frame);
    return &call->host->frame;
}

/* final: a result is sent even when the call was cancelled. */
static int32_t send_bytes(struct cofre_call *call, uint32_t type, const void *p, size_t n, bool final,
                          struct cofre_error *error)
{
    struct channel *channel = &call->host->channel;
    uint8_t *to;
    size_t room;
    int lent;
    while ((lent = channel_lend(channel, n, n, &to, &room)) == 0) {
        int32_t class = final ? COFRE_OK : host_cancelled(call, error);
        if (class != COFRE_OK)
            return class;
        if (channel_gone(channel))
            return gone(error);
        channel_sleep(channel);
    }
    if (lent < 0)
        return gone(error);
    if (n > 0)
        memcpy(to, p, n);
    channel_commit(channel, type, n);
    return COFRE_OK;
}

static void put_line(struct bytes *frame, uint32_t level, const char *text, size_t length)
{
    bytes_put_u32(frame, level);
    wire_put_text(frame, text, length);
}

/* A log line that cannot be sent, because the call was cancelled, is not worth an error. */
static void send_line(struct cofre_call *call, const void *p, size_t n)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    if (send_bytes(call, WIRE_LOG, p, n, false, &ignored) == COFRE_OK)
        channel_wake(&call->host->channel);
}

/* Nothing is lent any more: the lines that came meanwhile. */
static void send_deferred(struct cofre_call *call)
{
    struct bytes *deferred = &call->host->deferred;
    struct cursor c = cursor_of(deferred->data, deferred->length);
    while (c.left > 0 && !c.failed) {
        size_t n;
        const uint8_t *p = cursor_blob(&c, HOST_DEFERRED, &n);
        send_line(call, p, n);
    }
    bytes_reset(deferred);
    if (call->host->deferred_lost == 0)
        return;
    char text[80];
    snprintf(text, sizeof text, "%u lines between reserve and commit were dropped", call->host->deferred_lost);
    call->host->deferred_lost = 0;
    put_line(deferred, LOG_WARNING, text, strlen(text));
    send_line(call, deferred->data, deferred->length);
    bytes_reset(deferred);
}

int32_t host_send(struct cofre_call *call, enum wire_frame type, struct cofre_error *error)
{
    struct bytes *frame = &call->host->frame;
    if (frame->failed || frame->length > CHANNEL_LARGEST)
        return cofre_fail(error, COFRE_E_RANGE,
                          "%s: too large to be described: more than %u bytes of attributes and names",
                          wire_call_name(call->kind), CHANNEL_LARGEST);
    call->lent = 0;
    send_deferred(call);
    bool final = type == WIRE_RESULT || type == WIRE_REPLY;
    int32_t class = send_bytes(call, type, frame->data, frame->length, final, error);
    if (type == WIRE_RESULT)
        channel_wake(&call->host->channel);
    return class;
}

int32_t host_receive(struct cofre_call *call, struct channel_frame *frame, struct cofre_error *error)
{
    struct channel *channel = &call->host->channel;
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

/* Keep a line for later: what reserve lent lies where its frame would go. */
static bool defer(struct bytes *deferred, const struct bytes *frame)
{
    size_t length = deferred->length;
    bytes_put_blob(deferred, frame->data, frame->length);
    if (!deferred->failed)
        return true;
    deferred->failed = false;
    deferred->length = length;
    return false;
}

static void host_log(struct cofre_call *call, int32_t level, const char *text)
{
    if (!text)
        host_broke(call, NULL, "wrote a line without text to the log");
    else if (level < COFRE_LOG_ERROR || level > COFRE_LOG_DEBUG)
        host_broke(call, NULL, "wrote to the log at level %d, which there is not", (int)level);
    if (!text || level > call->host->log_level)
        return;
    struct bytes *frame = host_frame(call);
    put_line(frame, (uint32_t)level, text, strnlen(text, WIRE_MAX_LOG));
    if (frame->failed)
        return;
    if (!call->lent)
        send_line(call, frame->data, frame->length);
    else if (!defer(&call->host->deferred, frame))
        call->host->deferred_lost++;
}

/* What is none of the three levels must not pass for fine. */
static uint32_t finding_level(int32_t level)
{
    return level == COFRE_LOG_INFO || level == COFRE_LOG_WARNING ? (uint32_t)level : COFRE_LOG_ERROR;
}

/* The plugin does not hear of it: it may return success, and the call fails all the same. */
static void finding_lost(struct cofre_call *call, int32_t class, const struct cofre_error *error)
{
    if (class != COFRE_OK && call->lost.class == ERROR_NONE)
        host_error(class, error, &call->lost);
}

static void host_finding(struct cofre_call *call, int32_t level, const char *text, const char *hint)
{
    struct cofre_error error = {.struct_size = sizeof error};
    int32_t class = host_enter(call, HOST_IN(WIRE_CHECK) | HOST_IN(WIRE_SERVICES), "finding", &error);
    if (class != COFRE_OK) {
        finding_lost(call, class, &error);
        return;
    }
    if (call->acts) {
        host_broke(call, &error, "had a finding where it was to act");
        return;
    }
    if (!text || !text[0]) {
        host_broke(call, &error, "had a finding without text");
        return;
    }
    struct bytes *frame = host_frame(call);
    put_line(frame, finding_level(level), text, strnlen(text, WIRE_MAX_LOG));
    wire_put_text(frame, hint ? hint : "", hint ? strnlen(hint, WIRE_MAX_LOG) : 0);
    finding_lost(call, host_send(call, WIRE_FINDING, &error), &error);
}

static void host_leftover(struct cofre_call *call, const char *what, const char *removal)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    if (!what || !what[0] || !removal || !removal[0]) {
        host_broke(call, NULL, "named what a restore has left without a text");
        return;
    }
    if (call->lent) {
        host_broke(call, NULL, "named what a restore has left between reserve and commit");
        return;
    }
    /* Half a command may be another one. */
    if (strnlen(removal, WIRE_MAX_LEFTOVER + 1) > WIRE_MAX_LEFTOVER)
        removal = "remove it (the command is too long to be told)";
    struct bytes *frame = host_frame(call);
    wire_put_text(frame, what, strnlen(what, WIRE_MAX_LEFTOVER));
    wire_put_text(frame, removal, strnlen(removal, WIRE_MAX_LEFTOVER));
    /* What cannot be sent, because the call was cancelled, is named by the next one. */
    if (!frame->failed)
        send_bytes(call, WIRE_LEFTOVER, frame->data, frame->length, false, &ignored);
}

static int32_t host_commit(struct cofre_call *call, size_t length, struct cofre_error *error)
{
    int32_t class = host_content_commit(call, length, error);
    if (!call->lent)
        send_deferred(call);
    return class;
}

static int host_open_process(int64_t pid, uint32_t what)
{
    return monitor_open(pid, what);
}

const struct cofre_host host_table = {
    .struct_size = sizeof(struct cofre_host),
    .abi_level = COFRE_ABI_LEVEL,
    .version = COFRE_VERSION,
    .log = host_log,
    .cancelled = host_cancelled,
    .cancel_fd = host_cancel_fd,
    .time_left = host_time_left,
    .pause = host_pause,
    .progress = host_progress,
    .finding = host_finding,
    .reserve = host_content_reserve,
    .commit = host_commit,
    .hole = host_content_hole,
    .take = host_content_take,
    .unchanged = host_backup_unchanged,
    .entry = host_backup_entry,
    .end = host_backup_end,
    .restart = host_backup_restart,
    .missing = host_backup_missing,
    .fact = host_backup_fact,
    .next = host_restore_next,
    .done = host_restore_done,
    .object = host_list_object,
    .more = host_list_more,
    .late = host_restore_late,
    .id = host_id,
    .directory = host_directory,
    .snapshot = host_past_snapshot,
    .recorded = host_past_recorded,
    .left_out = host_backup_left_out,
    .common_directory = host_common_directory,
    .configured = host_discover_configured,
    .offer = host_discover_offer,
    .open_process = host_open_process,
    .leftover = host_leftover,
};
