#include "base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void bytes_free(struct bytes *b)
{
    free(b->data);
    *b = (struct bytes){.maximum = b->maximum};
}

void bytes_reset(struct bytes *b)
{
    b->length = 0;
    b->failed = b->too_large = false;
}

int bytes_check(const struct bytes *b, const char *what, struct error *e)
{
    if (!b->failed)
        return 0;
    if (b->too_large)
        return error_set(e, ERROR_RANGE, "%s is larger than %zu bytes", what, b->maximum);
    return error_memory(e);
}

uint8_t *bytes_reserve(struct bytes *b, size_t n)
{
    if (b->failed)
        return NULL;
    if (b->data && n <= b->capacity - b->length)
        return b->data + b->length;
    if (n > b->maximum - b->length) {
        b->failed = b->too_large = true;
        return NULL;
    }
    size_t capacity = b->capacity ? b->capacity : 256;
    while (capacity - b->length < n)
        capacity *= 2;
    if (capacity > b->maximum)
        capacity = b->maximum;
    uint8_t *data = realloc(b->data, capacity);
    if (!data) {
        b->failed = true;
        return NULL;
    }
    b->data = data;
    b->capacity = capacity;
    return data + b->length;
}

void bytes_put(struct bytes *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    uint8_t *to = bytes_reserve(b, n);
    if (!to)
        return;
    memcpy(to, p, n);
    b->length += n;
}

static void put_integer(struct bytes *b, uint64_t v, size_t width)
{
    uint8_t *to = bytes_reserve(b, width);
    if (!to)
        return;
    for (size_t i = 0; i < width; i++)
        to[i] = (uint8_t)(v >> (8 * i));
    b->length += width;
}

void bytes_put_u8(struct bytes *b, uint8_t v)
{
    put_integer(b, v, 1);
}

void bytes_put_u16(struct bytes *b, uint16_t v)
{
    put_integer(b, v, 2);
}

void bytes_put_u32(struct bytes *b, uint32_t v)
{
    put_integer(b, v, 4);
}

void bytes_put_u64(struct bytes *b, uint64_t v)
{
    put_integer(b, v, 8);
}

void bytes_put_blob(struct bytes *b, const void *p, size_t n)
{
    if (n > UINT32_MAX) {
        b->failed = b->too_large = true;
        return;
    }
    bytes_put_u32(b, (uint32_t)n);
    bytes_put(b, p, n);
}

void bytes_put_text(struct bytes *b, const char *text)
{
    bytes_put_blob(b, text, text ? strlen(text) : 0);
}

void bytes_print(struct bytes *b, const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int n = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    uint8_t *to = n < 0 ? NULL : bytes_reserve(b, (size_t)n + 1);
    if (to) {
        vsnprintf((char *)to, (size_t)n + 1, format, again);
        b->length += (size_t)n;
    } else {
        b->failed = true;
    }
    va_end(again);
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int bytes_sort_texts(struct bytes *b, struct error *e)
{
    size_t count = 0, length = 0;
    for (size_t i = 0; i < b->length; i++)
        count += b->data[i] == '\0';
    const char **texts = malloc((count + 1) * sizeof *texts);
    uint8_t *sorted = malloc(b->length + 1);
    if (!texts || !sorted) {
        free(texts);
        free(sorted);
        return error_memory(e);
    }
    const char *text = (const char *)b->data;
    for (size_t i = 0; i < count; i++, text += strlen(text) + 1)
        texts[i] = text;
    qsort(texts, count, sizeof *texts, compare_texts);
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(texts[i]) + 1;
        memcpy(sorted + length, texts[i], n);
        length += n;
    }
    if (length > 0)
        memcpy(b->data, sorted, length);
    free(texts);
    free(sorted);
    return 0;
}
