/* A buffer as the manifest of an archive; one that is accepted can be written again. */
#include <stddef.h>
#include <stdint.h>

#include "archive/inventory.h"
#include "base/bytes.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct inventory inventory;
    struct error e;
    if (inventory_parse(data, size, "fuzz", &inventory, &e) < 0)
        return 0;
    AUTO_BYTES struct bytes text = {.maximum = INVENTORY_MAX};
    ASSERT(inventory_write(&inventory, &text, &e) == 0);
    inventory_free(&inventory);
    return 0;
}
