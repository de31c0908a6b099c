#include <string.h>

#include "worker/child.h"

#define HERE CHILD_IN(WIRE_LIST)

int32_t child_list_object(struct cofre_call *call, const struct cofre_object *object, struct cofre_error *error)
{
    int32_t class = child_host_enter(call, HERE, "object", error);
    if (class != COFRE_OK)
        return class;
    struct error why;
    size_t n = object->key ? strnlen(object->key, COFRE_MAX_KEY + 1) : 0;
    if (object->struct_size < sizeof *object || n == 0 || object->size < 0) {
        error_set(&why, ERROR_PLUGIN, "listed an object without key or size");
        return child_host_fault(call, &why, error);
    }
    /* Too long to be one of ours. */
    if (n > COFRE_MAX_KEY)
        return COFRE_OK;
    struct bytes *frame = child_host_frame(call);
    bytes_put_u64(frame, (uint64_t)object->size);
    bytes_put_u64(frame, (uint64_t)object->mtime);
    wire_put_text(frame, object->key, n);
    return child_host_send(call, WIRE_OBJECT, error);
}

int32_t child_list_more(struct cofre_call *call, const void *cursor, size_t length, struct cofre_error *error)
{
    int32_t class = child_host_enter(call, HERE, "more", error);
    if (class != COFRE_OK)
        return class;
    if (length > sizeof call->cursor || (length && !cursor)) {
        struct error why;
        error_set(&why, ERROR_PLUGIN, "gave a cursor of %zu bytes, where at most %zu are allowed", length,
                  sizeof call->cursor);
        return child_host_fault(call, &why, error);
    }
    if (length)
        memcpy(call->cursor, cursor, length);
    call->cursor_length = length;
    call->more = true;
    return COFRE_OK;
}
