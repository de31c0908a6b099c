/* The body of a removal record, under the key of one. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/removal.h"
#include "repository/repository.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct repository repository = {.id = {0xab, 0xcd}};
    struct bytes body = {.maximum = size + 1};
    struct error e;
    bytes_put(&body, data, size);
    struct removal removal;
    if (removal_parse(&repository, "removed/web1/nightly/20261120T020000Z-ab12cd", &body, &removal, &e) == 0) {
        if (removal.count == 0 || removal.count > VAULT_REMOVALS_MAX)
            abort();
        for (size_t i = 0; i < removal.count; i++) {
            const struct removal_snapshot *s = &removal.snapshots[i];
            if (s->sequence == 0 || !manifest_is_id(s->id) || s->first_sequence >= s->sequence ||
                (s->first_sequence > 0) != manifest_is_id(s->first_id))
                abort();
        }
        removal_free(&removal);
    }
    bytes_free(&body);
    return 0;
}
