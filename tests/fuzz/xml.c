/* What a store that speaks S3 answers: a buffer as each of its documents. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "s3/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    const char *root;
    size_t elements;
};

/* The path begins at the root that was asked for; so many and then enough. */
static int32_t look(void *context, const char *path, const char *text, struct cofre_error *error)
{
    struct seen *seen = context;
    size_t n = strlen(seen->root);
    if (strncmp(path, seen->root, n) != 0 || (path[n] != '\0' && path[n] != '/') || strlen(text) > (size_t)1 << 30)
        abort();
    (void)error;
    return ++seen->elements < 1000 ? COFRE_OK : COFRE_E_RANGE;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const roots[] = {"ListBucketResult", "Error", "InitiateMultipartUploadResult"};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++) {
        struct seen seen = {.root = roots[i]};
        struct cofre_error error = {.struct_size = sizeof error};
        (void)xml_read((const char *)data, size, roots[i], look, &seen, &error);
    }
    return 0;
}
