#include "base/json_limit.h"

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

static bool is_word(uint8_t c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '+' || c == '-' || c == '.';
}

/* The end of the string that begins here. */
static const uint8_t *skip_string(const uint8_t *at, const uint8_t *end)
{
    for (at++; at < end && *at != '"'; at++)
        at += *at == '\\';
    return at < end ? at + 1 : end;
}

static const uint8_t *skip_word(const uint8_t *at, const uint8_t *end)
{
    while (at < end && is_word(*at))
        at++;
    return at;
}

static const uint8_t *count_next(struct json_limit_count *count, size_t *depth, const uint8_t *at, const uint8_t *end)
{
    if (*at == '[' || *at == '{') {
        count->tokens += JSON_LIMIT_NESTED;
        if (++*depth > count->depth)
            count->depth = *depth;
    } else if (*at == ']' || *at == '}') {
        *depth -= *depth > 0;
    } else if (*at == '"' || is_word(*at)) {
        count->tokens++;
        return *at == '"' ? skip_string(at, end) : skip_word(at, end);
    }
    return at + 1;
}

void json_limit_count(const void *p, size_t n, struct json_limit_count *count)
{
    *count = (struct json_limit_count){0};
    if (n == 0) /* then p may be NULL */
        return;
    const uint8_t *at = p, *end = at + n;
    size_t depth = 0;
    while (at < end)
        at = count_next(count, &depth, at, end);
}

int json_limit_check(const void *p, size_t n, const char *name, struct error *e)
{
    struct json_limit_count count;
    json_limit_count(p, n, &count);
    if (count.tokens > JSON_LIMIT_TOKENS)
        return error_set(e, ERROR_INTEGRITY, "read '%s': it has more than %u values", name, JSON_LIMIT_TOKENS);
    if (count.depth > JSON_LIMIT_DEPTH)
        return error_set(e, ERROR_INTEGRITY, "read '%s': it is nested more than %u deep", name, JSON_LIMIT_DEPTH);
    return 0;
}
