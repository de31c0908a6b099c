/* The JSON body of a manifest. What parses must be the same after it was written and parsed again. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "snapshot/manifest.h"
#include "snapshot/manifest_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Parses and writes; empty when it does not parse. */
static void rewrite(const void *p, size_t n, struct bytes *out)
{
    struct error e;
    struct manifest *manifest = calloc(1, sizeof *manifest);
    if (!manifest)
        abort();
    if (manifest_json_parse(p, n, "fuzz", manifest, &e) == 0 && manifest_json_write(manifest, out, &e) < 0)
        abort();
    manifest_free(manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes once = {.maximum = MANIFEST_MAX}, twice = {.maximum = MANIFEST_MAX};
    rewrite(data, size, &once);
    if (once.length > 0)
        rewrite(once.data, once.length, &twice);
    if (once.length != twice.length || (once.length > 0 && memcmp(once.data, twice.data, once.length) != 0))
        abort();
    bytes_free(&once);
    bytes_free(&twice);
    return 0;
}
