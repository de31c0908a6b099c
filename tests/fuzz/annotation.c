/* The body of an annotation, under the key of each kind. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/annotation.h"
#include "repository/repository.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct repository repository = {.id = {0xab, 0xcd}};
    struct bytes body = {.maximum = size + 1};
    struct error e;
    bytes_put(&body, data, size);
    for (int kind = 0; kind < VAULT_ANNOTATION_KINDS; kind++) {
        struct vault_annotation annotation;
        char key[201] = "";
        strcat(key, annotation_prefix((enum vault_annotation_kind)kind));
        strcat(key, "/web1/nightly/20261120T020000Z-ab12cd");
        if (annotation_parse(&repository, key, &body, &annotation, &e) == 0 &&
            strcmp(annotation.name.id, "20261120T020000Z-ab12cd") != 0)
            abort();
    }
    bytes_free(&body);
    return 0;
}
