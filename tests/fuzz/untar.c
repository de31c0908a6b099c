/* A buffer as a tar archive, and its content up to a limit. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "archive/untar.h"
#include "base/error.h"
#include "snapshot/entry.h"
#include "snapshot/path.h"

#define LIMIT (1u << 20) /* bytes of an entry's content that are looked at */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p;
    size_t left;
};

static int read_input(void *context, void *p, size_t n, size_t *got, struct error *e)
{
    struct input *in = context;
    (void)e;
    *got = n < in->left ? n : in->left;
    if (*got > 0)
        memcpy(p, in->p, *got);
    in->p += *got;
    in->left -= *got;
    return 0;
}

static int take_data(void *context, const void *p, size_t n, struct error *e)
{
    (void)e;
    ASSERT(n == 0 || p);
    *(uint64_t *)context += n;
    return 0;
}

static int take_hole(void *context, uint64_t n, struct error *e)
{
    (void)e;
    *(uint64_t *)context += n;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, size};
    struct untar *untar;
    struct snapshot_entry entry;
    struct error e;
    bool end;
    if (untar_new(read_input, &in, &untar, &e) < 0)
        return 0;
    while (untar_next(untar, &entry, &end, &e) == 0 && !end) {
        uint64_t given = 0;
        const struct untar_audience audience = {.data = take_data, .hole = take_hole, .context = &given};
        ASSERT(path_valid(entry.path, entry.path_length));
        if (untar_content(untar, LIMIT, &audience, &e) < 0)
            break;
        ASSERT(given <= LIMIT);
    }
    untar_free(untar);
    return 0;
}
