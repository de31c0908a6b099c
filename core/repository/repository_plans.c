/* Of a repository: the plans of collectors of garbage, as whoever stores a snapshot heeds them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "repository/index.h"
#include "repository/needs.h"
#include "repository/pack_name.h"
#include "repository/plan.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define KEYS_MAX ((size_t)64 << 20)
#define NAMES_MAX ((size_t)1 << 30)
#define NS_PER_MS 1000000
#define PATIENCE_MS (PLAN_GRACE / NS_PER_MS / 2)

/* ---- listing and reading ---- */

static int list_plan(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    char host[64], id[MANIFEST_ID_SIZE];
    if (plan_parse_key(object->key, host, id))
        bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing of plans", e);
}

static int list_plans(struct repository *r, struct bytes *keys, struct error *e)
{
    char prefix[80];
    snprintf(prefix, sizeof prefix, r->own_alone ? "plans/%s/" : "plans/", r->host);
    return sink_list(r->sink, prefix, list_plan, keys, e) < 0 ? error_subject(e, "sink", sink_name(r->sink)) : 0;
}

struct plans_reading {
    struct repository *repository;
    int (*found)(void *context, const char *key, const char *host, const struct plan *plan, struct error *e);
    void *context;
};

/* One that is gone has no packs any more. One that is wrong says nothing, to whoever collects as well. */
static int take_plan(void *context, const char *key, const struct bytes *object, const struct error *why,
                     struct error *e)
{
    const struct plans_reading *reading = context;
    struct plan plan = {.count = 0};
    char host[64], id[MANIFEST_ID_SIZE];
    plan_parse_key(key, host, id);
    int result = object ? plan_open(reading->repository, host, key, object, &plan, e) : -1;
    if (!object)
        *e = *why;
    if (result == 0) {
        result = reading->found(reading->context, key, host, &plan, e);
    } else if (e->class == ERROR_NOT_FOUND) {
        result = 0;
    } else if (e->class == ERROR_INTEGRITY || e->class == ERROR_AUTH) {
        if (!e->hint[0])
            error_hint(e, "nobody heeds it, and no gc removes it: remove the object by hand");
        repository_warn(reading->repository, e);
        result = 0;
    }
    plan_free(&plan);
    return result;
}

int repository_each_plan(struct repository *r, const struct bytes *keys,
                         int (*found)(void *context, const char *key, const char *host, const struct plan *plan,
                                      struct error *e),
                         void *context, struct error *e)
{
    struct plans_reading reading = {.repository = r, .found = found, .context = context};
    return sink_get_each(r->sink, (const char *)keys->data, keys->length, PLAN_OBJECT_MAX, take_plan, &reading, e);
}

/* ---- before it begins ---- */

static int note_plan(void *context, const char *key, const char *host, const struct plan *plan, struct error *e)
{
    struct repository *r = context;
    (void)host;
    bytes_put(&r->plans, key, strlen(key) + 1);
    bytes_put(&r->planned, plan->packs, plan->count * SEAL_HASH_SIZE);
    return bytes_check(&r->plans, "listing of plans", e) < 0 ? -1 : bytes_check(&r->planned, "list of packs", e);
}

int repository_read_plans(struct repository *r, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    r->plans.maximum = KEYS_MAX;
    r->planned.maximum = NAMES_MAX;
    bytes_reset(&r->plans);
    bytes_reset(&r->planned);
    r->plans_read = clock_monotonic();
    r->plans_read_at = clock_now();
    r->plan_seen = true;
    if (list_plans(r, &keys, e) < 0 || repository_each_plan(r, &keys, note_plan, r, e) < 0)
        return -1;
    r->plan_seen = keys.length > 0;
    if (r->planned.length > 0)
        qsort(r->planned.data, r->planned.length / SEAL_HASH_SIZE, SEAL_HASH_SIZE, seal_hash_compare);
    return 0;
}

bool repository_plans_pack(const struct repository *r, const uint8_t hash[SEAL_HASH_SIZE])
{
    return r->planned.length > 0 &&
           bsearch(hash, r->planned.data, r->planned.length / SEAL_HASH_SIZE, SEAL_HASH_SIZE, seal_hash_compare);
}

/* ---- before and after the commit ---- */

static bool knows(const struct repository *r, const char *key)
{
    for (size_t at = 0; at < r->plans.length; at += strlen((const char *)r->plans.data + at) + 1)
        if (strcmp((const char *)r->plans.data + at, key) == 0)
            return true;
    return false;
}

static int refuse(const struct pack_name *pack, const char *why, struct error *e)
{
    char key[201];
    pack_name_key(pack, key);
    error_set(e, ERROR_CHANGED, "'%s', which the snapshot needs, %s", key, why);
    return error_hint(e, "run it again: what is gone is stored anew. A run that takes so long, or is held up, meets "
                         "what gc does meanwhile");
}

struct heeding {
    const struct needs *needs;
    int64_t age; /* ms since plans were read */
    struct bytes *planned;
};

/* What is needed of that host; NULL: nothing. */
static const struct bytes *needed_of(const struct needs *needs, const char *host)
{
    uint32_t number = pack_name_number(host);
    for (size_t i = 0; i < needs->host_count; i++)
        if (needs->hosts[i].number == number)
            return &needs->hosts[i].packs;
    return NULL;
}

static int heed_plan(void *context, const char *key, const char *host, const struct plan *plan, struct error *e)
{
    const struct heeding *h = context;
    const struct bytes *needed = needed_of(h->needs, host);
    AUTO_BYTES struct bytes among = {.maximum = NAMES_MAX};
    (void)key;
    if (!needed)
        return 0;
    if (plan_among(plan, needed->data, needed->length / NEEDS_NAME_SIZE, &among, e) < 0)
        return -1;
    for (size_t at = 0; at < among.length; at += SEAL_HASH_SIZE) {
        const struct pack_name pack = pack_name_of(host, among.data + at);
        if (!plan_spares(plan, h->age * NS_PER_MS))
            return refuse(&pack, "is going to be removed by a gc that began after the run did", e);
        bytes_put(h->planned, &pack, sizeof pack);
    }
    return bytes_check(h->planned, "list of packs", e);
}

/* Those that have come since. */
static int forget_known(const struct repository *r, const struct bytes *keys, struct bytes *fresh, struct error *e)
{
    for (size_t at = 0; at < keys->length; at += strlen((const char *)keys->data + at) + 1) {
        const char *key = (const char *)keys->data + at;
        if (!knows(r, key))
            bytes_put(fresh, key, strlen(key) + 1);
    }
    return bytes_check(fresh, "listing of plans", e);
}

struct counting {
    const struct needs *needs;
    size_t found;
};

static int count_found(void *context, struct index_pack *packs, size_t count, struct error *e)
{
    struct counting *c = context;
    (void)e;
    c->found += needs_count(c->needs) - needs_missing(c->needs, packs, count);
    return 0;
}

static int check_all_there(struct repository *r, const struct needs *needs, struct error *e)
{
    struct counting c = {.needs = needs};
    if (repository_each_packs(r, count_found, &c, e) < 0)
        return -1;
    if (c.found == needs_count(needs))
        return 0;
    error_set(e, ERROR_CHANGED, "%zu packs that the snapshot needs are gone", needs_count(needs) - c.found);
    return error_hint(e, "run it again: what is gone is stored anew");
}

int repository_heed_plans(struct repository *r, const struct needs *needs, struct bytes *planned, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX}, fresh = {.maximum = KEYS_MAX};
    struct heeding heeding = {.needs = needs, .age = clock_monotonic() - r->plans_read, .planned = planned};
    planned->maximum = NAMES_MAX;
    if (list_plans(r, &keys, e) < 0 || forget_known(r, &keys, &fresh, e) < 0 ||
        repository_each_plan(r, &fresh, heed_plan, &heeding, e) < 0)
        return -1;
    /* A plan of which nothing is left is gone itself. */
    return heeding.age > PATIENCE_MS ? check_all_there(r, needs, e) : 0;
}

/* When it is not, others are that were stored beside it before it went. */
static int check_needs_there(struct repository *r, const char *key, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    uint64_t size;
    if (sink_stat(r->sink, key, &size, e) == 0)
        return 0;
    if (e->class != ERROR_NOT_FOUND || needs_list_anew(r, key, &keys, e) < 0)
        return -1;
    return keys.length > 0 ? 0 : error_set(e, ERROR_CHANGED, "'%s' is gone", key);
}

int repository_look_again(struct repository *r, const char *needs_key, int64_t stored, const struct bytes *planned,
                          struct error *e)
{
    const struct pack_name *packs = (const void *)planned->data;
    uint64_t size;
    if (clock_monotonic() - stored > PATIENCE_MS) {
        error_set(e, ERROR_CHANGED, "between '%s' and the manifest so much time went by that it may be removed",
                  needs_key);
        return error_hint(e, "run it again; this snapshot may lose what it needs");
    }
    if (check_needs_there(r, needs_key, e) < 0)
        return -1;
    for (size_t i = 0; i < planned->length / sizeof *packs; i++) {
        char key[201];
        pack_name_key(&packs[i], key);
        if (sink_stat(r->sink, key, &size, e) < 0)
            return e->class == ERROR_NOT_FOUND ? refuse(&packs[i], "was removed by a gc meanwhile", e) : -1;
    }
    return 0;
}
