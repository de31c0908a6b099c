/* What lies beside the snapshots of an archive: what makes it one, what is said of snapshots, what was removed. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "archive/archive.h"
#include "archive/archive_annotation.h"
#include "archive/archive_removal.h"
#include "archive/marker.h"
#include "base/bytes.h"
#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int look(void *context, const struct verify_link *removed, struct error *e)
{
    size_t *count = context;
    (void)e;
    if (!manifest_is_id(removed->id) || removed->previous_count > VERIFY_PREVIOUS_MAX || removed->sequence == 0 ||
        removed->first_sequence >= removed->sequence ||
        (removed->first_sequence > 0) != manifest_is_id(removed->first_id))
        abort();
    ++*count;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct archive archive = {.marker.id = "000102030405060708090a0b0c0d0e0f"};
    struct bytes text = {.maximum = size + 1};
    struct vault_annotation annotation = {.kind = VAULT_PIN, .name = {.job = "job", .id = "20261120T020000Z-ab12cd"}};
    struct marker marker;
    struct error why, e;
    size_t count = 0;
    bytes_put(&text, data, size);
    (void)marker_parse(text.data, text.length, &marker, &e);
    (void)archive_annotation_parse(&archive, "pins/job/20261120T020000Z-ab12cd.json", &text, &annotation, &e);
    annotation.kind = VAULT_ACCEPTED;
    (void)archive_annotation_parse(&archive, "accepted/job/20261120T020000Z-ab12cd.json", &text, &annotation, &e);
    if (archive_removal_parse(&archive, "job", &text, look, &count, &why, &e) < 0 ||
        (why.class != ERROR_NONE && count > 0))
        abort();
    bytes_free(&text);
    return 0;
}
