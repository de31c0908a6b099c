/* The body of an index object. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "repository/chunker.h"
#include "repository/index.h"
#include "repository/index_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A chunk that a reader will make room for, on the word of whoever wrote the index. */
static int take_pack(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size, const struct pack_chunk *chunks,
                     uint32_t count, struct error *e)
{
    (void)context, (void)name, (void)e;
    for (uint32_t i = 0; i < count; i++)
        if (chunks[i].plain > CHUNKER_MAXIMUM || (uint64_t)chunks[i].offset + chunks[i].stored > size)
            abort();
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct error e;
    char host[64];
    index_body_host(data, size, host, &e);
    index_body_each(data, size, take_pack, NULL, &e);
    return 0;
}
