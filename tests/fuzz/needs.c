/* The body of a needs object. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/error.h"
#include "repository/index.h"
#include "repository/needs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Each that is in it is found, and they ascend. */
static void check(const struct needs *needs)
{
    for (size_t i = 0; i < needs->host_count; i++) {
        const struct needs_host *host = &needs->hosts[i];
        for (size_t at = 0; at < host->packs.length; at += NEEDS_NAME_SIZE) {
            struct pack_name name = {.host = host->number};
            for (size_t k = 0; k < NEEDS_NAME_SIZE; k++)
                name.hash[k] = host->packs.data[at + k];
            if (!needs_has(needs, &name))
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct needs needs = {0};
    struct error e;
    if (needs_parse(data, size, "fuzz", &needs, &e) == 0)
        check(&needs);
    else if (needs.host_count != 0)
        abort();
    needs_free(&needs);
    return 0;
}
