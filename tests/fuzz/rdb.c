/* An RDB file as a server sends it: in one piece, and byte by byte, with the same result. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "redis/rdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int32_t feed(const uint8_t *data, size_t size, size_t piece, struct rdb_summary *summary)
{
    struct cofre_error error = {.struct_size = sizeof error};
    struct rdb *rdb = rdb_new();
    int32_t class = COFRE_OK;
    if (!rdb)
        abort();
    for (size_t at = 0; at < size && class == COFRE_OK; at += piece)
        class = rdb_feed(rdb, data + at, piece < size - at ? piece : size - at, &error);
    if (class == COFRE_OK)
        class = rdb_end(rdb, summary, &error);
    summary->databases = NULL;
    rdb_free(rdb);
    return class;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rdb_summary whole = {0}, pieces = {0};
    if (feed(data, size, size ? size : 1, &whole) != feed(data, size, 1, &pieces))
        abort();
    if (whole.counted != pieces.counted || whole.module_values != pieces.module_values ||
        whole.database_count != pieces.database_count)
        abort();
    return 0;
}
