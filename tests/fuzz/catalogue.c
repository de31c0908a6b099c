/* A stretch of a catalogue: records one after another. What decodes must survive being written and read again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/catalogue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_again(const struct record *record, const uint8_t *p, size_t n)
{
    struct bytes out = {.maximum = 2 * (size_t)CATALOGUE_RECORD_MAX};
    struct catalogue_decoder decoder = {0};
    struct record again;
    struct error e;
    if (catalogue_encode(record, &out, &e) < 0 || catalogue_decode(&decoder, out.data, out.length, &again, &e) < 0)
        abort();
    /* Two empty owners are the same as none, and then not written. */
    if (out.length == n ? memcmp(out.data, p, n) != 0 : out.length + 2 != n)
        abort();
    catalogue_decoder_free(&decoder);
    bytes_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct catalogue_decoder decoder = {0};
    struct record record;
    struct error e;
    size_t n;
    for (size_t at = 0; at < size; at += n) {
        if (catalogue_record_length(data + at, size - at, &n, &e) < 0 || n == 0 || n > size - at)
            break;
        /* A copy of the exact size, so that a sanitizer sees a read beyond the record. */
        uint8_t *copy = malloc(n);
        if (!copy)
            abort();
        memcpy(copy, data + at, n);
        if (catalogue_decode(&decoder, copy, n, &record, &e) == 0)
            write_again(&record, copy, n);
        free(copy);
    }
    catalogue_decoder_free(&decoder);
    return 0;
}
