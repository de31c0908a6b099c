#include <string.h>

#include "host/host.h"
#include "host/levels.h"

#define HERE HOST_IN(WIRE_LIST)

int32_t host_list_object(struct cofre_call *call, const struct cofre_object *object, struct cofre_error *error)
{
    int32_t class = host_enter(call, HERE, "object", error);
    if (class != COFRE_OK)
        return class;
    size_t n = object && object->key ? strnlen(object->key, COFRE_MAX_KEY + 1) : 0;
    if (n == 0 || object->struct_size < LEVELS_OBJECT || object->size < 0)
        return host_broke(call, error, "listed an object without key or size");
    /* Too long to be one of ours. */
    if (n > COFRE_MAX_KEY)
        return COFRE_OK;
    struct bytes *frame = host_frame(call);
    bytes_put_u64(frame, (uint64_t)object->size);
    bytes_put_u64(frame, (uint64_t)object->mtime);
    wire_put_text(frame, object->key, n);
    return host_send(call, WIRE_OBJECT, error);
}

int32_t host_list_more(struct cofre_call *call, const void *cursor, size_t length, struct cofre_error *error)
{
    int32_t class = host_enter(call, HERE, "more", error);
    if (class != COFRE_OK)
        return class;
    if (length > sizeof call->cursor || (length && !cursor))
        return host_broke(call, error, "gave a cursor of %zu bytes%s, where at most %zu are allowed", length,
                          cursor ? "" : " at no place", sizeof call->cursor);
    if (length)
        memcpy(call->cursor, cursor, length);
    call->cursor_length = length;
    call->more = true;
    return COFRE_OK;
}
