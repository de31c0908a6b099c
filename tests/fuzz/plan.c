/* The body of a plan. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct plan plan = {.count = 0};
    struct bytes body = {.maximum = PLAN_BODY_MAX};
    struct error e;
    /* What was accepted is what is written: one body for one plan. */
    if (plan_decode(data, size, "fuzz", &plan, &e) == 0 &&
        (plan_encode(&plan, &body, &e) < 0 || body.length != size || memcmp(body.data, data, size) != 0 ||
         !plan_has(&plan, plan.packs[plan.count - 1])))
        abort();
    bytes_free(&body);
    plan_free(&plan);
    return 0;
}
