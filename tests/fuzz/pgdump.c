/* A dump of PostgreSQL, as pg_dump writes it: in one piece and in pieces of any size it must come to the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "postgres/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int32_t read_in(const uint8_t *data, size_t size, size_t piece)
{
    struct cofre_error error = {.struct_size = sizeof error};
    struct archive *a = archive_new();
    int32_t status = a ? COFRE_OK : COFRE_E_MEMORY;
    for (size_t at = 0; status == COFRE_OK && at < size; at += piece)
        status = archive_feed(a, data + at, size - at < piece ? size - at : piece, &error);
    if (status == COFRE_OK)
        status = archive_finish(a, &error);
    size_t count = 0;
    const struct archive_item *items = a ? archive_items(a, &count) : NULL;
    for (size_t i = 0; status == COFRE_OK && i < count; i++)
        if (!items[i].ended || (i > 0 && items[i].id <= items[i - 1].id))
            abort();
    archive_free(a);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int32_t whole = read_in(data, size, size ? size : 1);
    if (read_in(data, size, 1) != whole || read_in(data, size, 7) != whole)
        abort();
    return 0;
}
