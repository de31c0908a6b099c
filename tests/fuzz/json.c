/* What JSON is counted as before it is parsed: the values of what parses, and no less than a parser has made of what
 * does not. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>

#include "base/json_limit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t blocks;

/* A parser that stops at a fault has built all that comes before. */
static void *count_block(size_t n)
{
    blocks++;
    return malloc(n);
}

static void count_value(const json_t *value, size_t depth, struct json_limit_count *count)
{
    const char *key;
    json_t *inner;
    size_t i;
    bool nested = json_is_object(value) || json_is_array(value);
    count->tokens += nested ? JSON_LIMIT_NESTED : 1;
    count->depth = nested && depth + 1 > count->depth ? depth + 1 : count->depth;
    json_array_foreach(value, i, inner) count_value(inner, depth + 1, count);
    json_object_foreach((json_t *)(uintptr_t)value, key, inner)
    {
        count->tokens++;
        count_value(inner, depth + 1, count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_limit_count said, found = {0};
    json_error_t where;
    json_limit_count(data, size, &said);
    blocks = 0;
    json_set_alloc_funcs(count_block, free);
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &where);
    if (blocks > 64 + 8 * said.tokens)
        abort();
    if (json)
        count_value(json, 0, &found);
    if (json && (found.tokens != said.tokens || found.depth != said.depth))
        abort();
    json_decref(json);
    return 0;
}
