#include "repository/needs.h"
#include "repository/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"
#include "repository/placed.h"
#include "repository/repository.h"

#define OBJECT_KEY_SIZE 201

void plan_free(struct plan *plan)
{
    free(plan->packs);
    *plan = (struct plan){.created = 0};
}

/* ---- the body ---- */

static bool ascending(const struct plan *plan)
{
    for (size_t i = 1; i < plan->count; i++)
        if (memcmp(plan->packs[i - 1], plan->packs[i], SEAL_HASH_SIZE) >= 0)
            return false;
    return true;
}

static bool within_bounds(const struct plan *plan)
{
    return plan->count > 0 && plan->count <= PLAN_PACKS_MAX && plan->grace >= 0 && plan->grace <= PLAN_GRACE_MAX;
}

int plan_encode(const struct plan *plan, struct bytes *body, struct error *e)
{
    ASSERT(within_bounds(plan) && ascending(plan));
    bytes_put_u64(body, (uint64_t)plan->created);
    bytes_put_u64(body, (uint64_t)plan->grace);
    bytes_put_u32(body, (uint32_t)plan->count);
    bytes_put(body, plan->packs, plan->count * SEAL_HASH_SIZE);
    return bytes_check(body, "plan", e);
}

static int malformed(const char *name, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "read '%s': it is no plan, though it is signed", name);
}

int plan_decode(const void *body, size_t n, const char *name, struct plan *plan, struct error *e)
{
    struct cursor c = cursor_of(body, n);
    plan->created = (int64_t)cursor_u64(&c);
    plan->grace = (int64_t)cursor_u64(&c);
    plan->count = cursor_u32(&c);
    const uint8_t *packs = within_bounds(plan) ? cursor_bytes(&c, plan->count * SEAL_HASH_SIZE) : NULL;
    if (!packs || !cursor_done(&c))
        return malformed(name, e);
    plan->packs = malloc(plan->count * SEAL_HASH_SIZE);
    if (!plan->packs)
        return error_memory(e);
    memcpy(plan->packs, packs, plan->count * SEAL_HASH_SIZE);
    return ascending(plan) ? 0 : malformed(name, e);
}

/* ---- the object ---- */

int plan_seal(const struct repository *repository, const char *key, const struct plan *plan, struct bytes *object,
              struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = PLAN_BODY_MAX};
    if (plan_encode(plan, &body, e) < 0)
        return -1;
    return placed_seal(repository, SEAL_PLAN, key, NULL, 0, &body, object, e);
}

int plan_open(const struct repository *repository, const char *host, const char *key, const struct bytes *object,
              struct plan *plan, struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = PLAN_BODY_MAX};
    struct seal_opened opened;
    if (placed_open(repository, SEAL_PLAN, host, key, object, 0, &opened, &body, e) < 0)
        return -1;
    return plan_decode(body.data, body.length, key, plan, e);
}

/* ---- what it says ---- */

bool plan_has(const struct plan *plan, const uint8_t pack[SEAL_HASH_SIZE])
{
    return bsearch(pack, plan->packs, plan->count, SEAL_HASH_SIZE, seal_hash_compare) != NULL;
}

int plan_among(const struct plan *plan, const uint8_t *prefixes, size_t count, struct bytes *names, struct error *e)
{
    size_t at = 0;
    for (size_t i = 0; i < plan->count && at < count; i++) {
        const uint8_t *pack = plan->packs[i];
        while (at < count && memcmp(prefixes + at * NEEDS_NAME_SIZE, pack, NEEDS_NAME_SIZE) < 0)
            at++;
        if (at < count && memcmp(prefixes + at * NEEDS_NAME_SIZE, pack, NEEDS_NAME_SIZE) == 0)
            bytes_put(names, pack, SEAL_HASH_SIZE);
    }
    return bytes_check(names, "list of packs", e);
}

bool plan_spares(const struct plan *plan, int64_t age)
{
    return age >= 0 && age <= plan->grace / 2;
}

/* ---- its key ---- */

void plan_key(const char *host, const char *id, char *out)
{
    int n = snprintf(out, OBJECT_KEY_SIZE, "plans/%s/%s", host, id);
    ASSERT(n > 0 && n < OBJECT_KEY_SIZE);
}

bool plan_parse_key(const char *key, char host[64], char id[MANIFEST_ID_SIZE])
{
    int end = 0;
    if (sscanf(key, "plans/%63[^/]/%23[^/]%n", host, id, &end) != 2 || key[end] != '\0')
        return false;
    return text_is_name(host) && manifest_is_id(id);
}
