/* A pack's directory: its opened bytes (u32 where the chunks end, then entries), and the frame around it as found in a
 * pack. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/chunker.h"
#include "repository/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was accepted must be what the rest of the program relies on. */
static void check_chunks(const struct pack_chunk *chunks, uint32_t count, uint64_t end)
{
    uint64_t offset = PACK_HEADER_SIZE;
    for (uint32_t i = 0; i < count; i++) {
        if (chunks[i].offset != offset || chunks[i].plain == 0 || chunks[i].plain > CHUNKER_MAXIMUM)
            abort();
        offset += chunks[i].stored;
    }
    if (offset != end)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct seal_box box = {{0}};
    struct pack_chunk *chunks;
    struct error e;
    uint32_t count;
    size_t need;
    if (size < 4)
        return 0;
    uint32_t end = bytes_get_u32(data);
    if (pack_parse_directory(data + 4, size - 4, end, "fuzz", &chunks, &count, &e) == 0)
        check_chunks(chunks, count, end);
    free(chunks);
    if (pack_read_directory(&box, data, size, size + end % 3, "fuzz", &chunks, &count, &need, &e) == 0 &&
        need > size + 2)
        abort();
    free(chunks);
    return 0;
}
