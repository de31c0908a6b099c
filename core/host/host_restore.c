#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "host/host.h"
#include "snapshot/path.h"

#define HERE HOST_IN(WIRE_RESTORE)

/* Go to the next entry: what is left of this one's content is skipped. */
static int32_t skip_content(struct cofre_call *call, struct cofre_error *error)
{
    const void *bytes;
    uint64_t length;
    int32_t class = COFRE_OK;
    while (call->input == HOST_CONTENT && class == COFRE_OK)
        class = host_content_take(call, &bytes, &length, error);
    return class == COFRE_END ? COFRE_OK : class;
}

static int lend_attributes(struct host *host, const struct snapshot_entry *from, struct cofre_entry *to)
{
    size_t count = from->attribute_count;
    if (count == 0)
        return 0;
    struct cofre_attribute *array = realloc(host->lent_attributes, count * sizeof *array);
    if (!array)
        return -1;
    host->lent_attributes = array;
    for (size_t i = 0; i < count; i++)
        array[i] = (struct cofre_attribute){
            .name = from->attributes[i].name, .value = from->attributes[i].value, .length = from->attributes[i].length};
    to->attributes = array;
    to->attribute_count = (uint32_t)count;
    to->attribute_stride = sizeof *array;
    return 0;
}

/* The frame is copied: the ring's memory is given back while the entry is still lent to the plugin. */
static int32_t lend_entry(struct cofre_call *call, const struct channel_frame *frame, struct cofre_error *error)
{
    struct host *host = call->host;
    bytes_reset(&host->entry);
    bytes_put(&host->entry, frame->payload, frame->length);
    struct cursor c = cursor_of(host->entry.data, host->entry.length);
    struct snapshot_entry from;
    if (host->entry.failed || !wire_entry(&c, &from, &host->attributes))
        return cofre_fail(error, COFRE_E_BUG, "next: the engine sent a malformed entry");
    call->entry = (struct cofre_entry){.struct_size = sizeof call->entry,
                                       .kind = from.kind,
                                       .flags = from.flags,
                                       .path = from.path,
                                       .path_length = (uint32_t)from.path_length,
                                       .size = from.size,
                                       .mtime = from.mtime,
                                       .mode = from.mode,
                                       .uid = from.uid,
                                       .gid = from.gid,
                                       .device_major = from.device_major,
                                       .device_minor = from.device_minor,
                                       .link = from.link,
                                       .link_length = (uint32_t)from.link_length,
                                       .user = from.user,
                                       .group = from.group};
    if (lend_attributes(host, &from, &call->entry) < 0)
        return cofre_fail(error, COFRE_E_MEMORY, "next: out of memory");
    call->input = HOST_CONTENT;
    call->entry_open = true;
    return COFRE_OK;
}

/* The engine gives nothing before this: until then the restore can be begun again. */
static int32_t ask(struct cofre_call *call, struct cofre_error *error)
{
    if (call->asked)
        return COFRE_OK;
    call->asked = true;
    host_frame(call);
    return host_send(call, WIRE_ASKED, error);
}

int32_t host_restore_next(struct cofre_call *call, const struct cofre_entry **entry, struct cofre_error *error)
{
    int32_t class = host_enter(call, HERE, "next", error);
    if (class != COFRE_OK)
        return class;
    if (!entry)
        return host_broke(call, error, "asked for the next entry without a place for it");
    *entry = NULL;
    if (call->entry_open) {
        char shown[200];
        return host_broke(call, error, "asked for the next entry before it had called done for '%s'",
                          log_escape(call->entry.path, call->entry.path_length, shown, sizeof shown));
    }
    class = ask(call, error);
    if (class == COFRE_OK)
        class = skip_content(call, error);
    if (class != COFRE_OK)
        return class;
    if (call->input == HOST_ALL_ENDED)
        return COFRE_END;
    struct channel_frame frame;
    class = host_receive(call, &frame, error);
    if (class != COFRE_OK)
        return class;
    if (frame.type == WIRE_ENTRY)
        class = lend_entry(call, &frame, error);
    else if (frame.type == WIRE_LAST)
        call->input = HOST_ALL_ENDED;
    else
        return cofre_fail(error, COFRE_E_BUG, "next: the engine sent something else");
    if (call->entry_open)
        *entry = &call->entry;
    return class == COFRE_OK && !call->entry_open ? COFRE_END : class;
}

static int32_t send_problem(struct cofre_call *call, const char *path, size_t length, int32_t result,
                            const struct cofre_error *why, struct cofre_error *error)
{
    struct error because;
    if (!host_is_result(result))
        return host_broke(call, error, "said of an entry that it came to %d, which is no result", (int)result);
    call->problems++;
    host_error(result, why, &because);
    struct bytes *frame = host_frame(call);
    wire_put_text(frame, path, length);
    wire_put_error(frame, &because);
    return host_send(call, WIRE_MISSING, error);
}

int32_t host_restore_done(struct cofre_call *call, int32_t result, const struct cofre_error *why,
                          struct cofre_error *error)
{
    int32_t class = host_enter(call, HERE, "done", error);
    if (class != COFRE_OK)
        return class;
    if (!call->entry_open)
        return host_broke(call, error, "called done without an entry");
    call->entry_open = false;
    if (result == COFRE_OK || result == COFRE_PARTLY) {
        call->restored += result == COFRE_OK;
        call->partly += result == COFRE_PARTLY;
        return COFRE_OK;
    }
    return send_problem(call, call->entry.path, call->entry.path_length, result, why, error);
}

int32_t host_restore_late(struct cofre_call *call, const char *path, size_t length, int32_t result,
                          const struct cofre_error *why, struct cofre_error *error)
{
    int32_t class = host_enter(call, HERE, "late", error);
    if (class != COFRE_OK || result == COFRE_OK)
        return class;
    if (!path || length > PATH_LONGEST || memchr(path, '\0', length))
        return host_broke(call, error, "called late for what is no path");
    if (call->restored == 0)
        return host_broke(call, error, "called late for more entries than it had called a success");
    call->restored--;
    if (result == COFRE_PARTLY) {
        call->partly++;
        return COFRE_OK;
    }
    return send_problem(call, path, length, result, why, error);
}
