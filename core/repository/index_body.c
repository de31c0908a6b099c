#include "repository/index_body.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/file.h"

/* The number of packs stands after the host and the time; its place is found again by index_body_end. */
void index_body_begin(struct bytes *body, const char *host, int64_t created)
{
    size_t n = strlen(host);
    bytes_put_u16(body, (uint16_t)n);
    bytes_put(body, host, n);
    bytes_put_u64(body, (uint64_t)created);
    bytes_put_u32(body, 0);
}

void index_body_add_pack(struct bytes *body, const uint8_t name[SEAL_HASH_SIZE], uint64_t size,
                         const struct pack_chunk *chunks, uint32_t count)
{
    bytes_put(body, name, SEAL_HASH_SIZE);
    bytes_put_u64(body, size);
    bytes_put_u32(body, count);
    for (uint32_t i = 0; i < count; i++) {
        bytes_put(body, chunks[i].id, SEAL_HASH_SIZE);
        bytes_put_u32(body, chunks[i].offset);
        bytes_put_u32(body, chunks[i].stored);
        bytes_put_u32(body, chunks[i].plain);
    }
}

void index_body_end(struct bytes *body, uint32_t count)
{
    if (body->failed)
        return;
    size_t host = (size_t)body->data[0] | (size_t)body->data[1] << 8;
    bytes_set_u32(body->data + 2 + host + 8, count);
}

int index_body_host(const void *body, size_t n, char *host, struct error *e)
{
    struct cursor c = cursor_of(body, n);
    size_t length = cursor_u16(&c);
    const uint8_t *p = cursor_bytes(&c, length);
    if (!p || length > 63 || memchr(p, '\0', length))
        return error_set(e, ERROR_INTEGRITY, "index object has no valid host name");
    memcpy(host, p, length);
    host[length] = '\0';
    return 0;
}

static bool read_chunks(struct cursor *c, struct pack_chunk *chunks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *id = cursor_bytes(c, SEAL_HASH_SIZE);
        struct pack_chunk *chunk = &chunks[i];
        chunk->offset = cursor_u32(c);
        chunk->stored = cursor_u32(c);
        chunk->plain = cursor_u32(c);
        if (!id)
            return false;
        memcpy(chunk->id, id, SEAL_HASH_SIZE);
    }
    return true;
}

int index_body_each(const void *body, size_t n,
                    int (*pack)(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size,
                                const struct pack_chunk *chunks, uint32_t count, struct error *e),
                    void *context, struct error *e)
{
    char host[64];
    if (index_body_host(body, n, host, e) < 0)
        return -1;
    struct cursor c = cursor_of(body, n);
    cursor_bytes(&c, 2 + strlen(host));
    cursor_u64(&c);
    uint32_t packs = cursor_u32(&c);
    for (uint32_t i = 0; i < packs && !c.failed; i++) {
        const uint8_t *name = cursor_bytes(&c, SEAL_HASH_SIZE);
        uint64_t size = cursor_u64(&c);
        uint32_t count = cursor_u32(&c);
        if (!name || count == 0 || count > c.left / PACK_ENTRY_SIZE || size > PACK_SIZE_MAX || size < PACK_END(count))
            return error_set(e, ERROR_INTEGRITY, "index object is malformed at pack %u", i);
        AUTO_FREE struct pack_chunk *chunks = malloc(count * sizeof *chunks);
        if (!chunks)
            return error_memory(e);
        if (!read_chunks(&c, chunks, count) || !pack_chunks_fit(chunks, count, size - PACK_END(count)))
            return error_set(e, ERROR_INTEGRITY, "index object says of pack %u what no pack of its size can hold", i);
        if (pack && pack(context, name, size, chunks, count, e) < 0)
            return -1;
    }
    return cursor_done(&c) ? 0 : error_set(e, ERROR_INTEGRITY, "index object is malformed at its end");
}
