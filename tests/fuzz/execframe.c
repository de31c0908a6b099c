/* The stream of a program in a container: in one piece, and byte by byte, with the same bytes for the same stream. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/docker/exec_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    int class;
    bool whole;
    size_t count;
    uint64_t sum; /* of each byte, whose it is and where */
};

static void add(struct seen *seen, const struct exec_frame_piece *piece)
{
    for (size_t i = 0; i < piece->length; i++) {
        seen->sum = (seen->sum ^ (piece->bytes[i] | (uint64_t)piece->stream << 8)) * 1099511628211u;
        seen->count++;
    }
}

static struct seen feed(const uint8_t *data, size_t size, size_t most)
{
    struct exec_frame frame = {.have = 0};
    struct seen seen = {.class = 0};
    for (size_t at = 0, used = 0; at < size && seen.class == 0; at += used) {
        struct exec_frame_piece piece;
        size_t n = most < size - at ? most : size - at;
        seen.class = exec_frame_next(&frame, data + at, n, &used, &piece);
        if (used == 0 || used > n || (piece.length > 0 && piece.bytes != data + at) || piece.length > used)
            abort();
        add(&seen, &piece);
    }
    seen.whole = exec_frame_is_whole(&frame);
    return seen;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole = feed(data, size, size), pieces = feed(data, size, 1), some = feed(data, size, 7);
    if (whole.class != pieces.class || whole.count != pieces.count || whole.sum != pieces.sum)
        abort();
    if (whole.class == 0 && (whole.whole != pieces.whole || whole.whole != some.whole || whole.sum != some.sum))
        abort();
    return 0;
}
