#include "repository/needs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cursor.h"
#include "base/error.h"
#include "base/text.h"
#include "repository/confirm.h"
#include "repository/index.h"
#include "repository/placed.h"
#include "repository/repository.h"
#include "snapshot/manifest.h"
#include "worker/sink.h"

#define HOSTS_MAX 65535u
#define KEYS_MAX ((size_t)16 << 20)
#define LISTING_MAX ((size_t)256 << 20)
#define SORT_AT ((size_t)256 << 10)
#define PACKS_MAX ((size_t)52 << 20) /* bytes of their names */
#define BODY_MAX (PACKS_MAX + (HOSTS_MAX * 68u))

void needs_free(struct needs *needs)
{
    for (size_t i = 0; i < needs->host_count; i++)
        bytes_free(&needs->hosts[i].packs);
    free(needs->hosts);
    *needs = (struct needs){0};
}

static struct needs_host *find_host(const struct needs *needs, uint32_t number)
{
    for (size_t i = 0; i < needs->host_count; i++)
        if (needs->hosts[i].number == number)
            return &needs->hosts[i];
    return NULL;
}

static struct needs_host *add_host(struct needs *needs, uint32_t number, struct error *e)
{
    struct needs_host *found = find_host(needs, number);
    if (found)
        return found;
    struct needs_host *hosts = realloc(needs->hosts, (needs->host_count + 1) * sizeof *hosts);
    if (!hosts) {
        error_memory(e);
        return NULL;
    }
    needs->hosts = hosts;
    hosts[needs->host_count] = (struct needs_host){.number = number, .packs = {.maximum = 2 * PACKS_MAX + 2 * SORT_AT}};
    return &hosts[needs->host_count++];
}

static int compare_packs(const void *a, const void *b)
{
    return memcmp(a, b, NEEDS_NAME_SIZE);
}

static const char *name_of(uint32_t number)
{
    const struct pack_name name = {.host = number};
    return pack_name_host(&name);
}

static int compare_hosts(const void *a, const void *b)
{
    return strcmp(name_of(((const struct needs_host *)a)->number), name_of(((const struct needs_host *)b)->number));
}

static void sort_packs(struct needs_host *host)
{
    struct bytes *packs = &host->packs;
    size_t count = packs->length / NEEDS_NAME_SIZE, kept = 1;
    if (count == 0)
        return;
    qsort(packs->data, count, NEEDS_NAME_SIZE, compare_packs);
    for (size_t i = 1; i < count; i++) {
        const uint8_t *pack = packs->data + i * NEEDS_NAME_SIZE;
        if (compare_packs(pack, packs->data + (kept - 1) * NEEDS_NAME_SIZE) != 0)
            memmove(packs->data + kept++ * NEEDS_NAME_SIZE, pack, NEEDS_NAME_SIZE);
    }
    packs->length = host->sorted = kept * NEEDS_NAME_SIZE;
}

/* The same one is added many times: before they take twice the room they are sorted, and each is kept once. */
int needs_add(struct needs *needs, const struct pack_name *pack, struct error *e)
{
    struct needs_host *host = add_host(needs, pack->host, e);
    if (!host)
        return -1;
    bytes_put(&host->packs, pack->hash, NEEDS_NAME_SIZE);
    if (host->packs.length >= 2 * host->sorted + SORT_AT)
        sort_packs(host);
    return bytes_check(&host->packs, "list of needed packs", e);
}

void needs_sort(struct needs *needs)
{
    for (size_t i = 0; i < needs->host_count; i++)
        sort_packs(&needs->hosts[i]);
    if (needs->host_count > 0)
        qsort(needs->hosts, needs->host_count, sizeof *needs->hosts, compare_hosts);
}

bool needs_has(const struct needs *needs, const struct pack_name *pack)
{
    const struct needs_host *host = find_host(needs, pack->host);
    return host && host->packs.length > 0 &&
           bsearch(pack->hash, host->packs.data, host->packs.length / NEEDS_NAME_SIZE, NEEDS_NAME_SIZE, compare_packs);
}

/* The first that is listed and does not begin with less. */
static size_t first_listed(const struct index_pack *listed, size_t count, const uint8_t *pack)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memcmp(listed[middle].name.hash, pack, NEEDS_NAME_SIZE) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_listed(const struct index_pack *listed, size_t count, uint32_t host, const uint8_t *pack)
{
    for (size_t i = first_listed(listed, count, pack); i < count; i++) {
        if (memcmp(listed[i].name.hash, pack, NEEDS_NAME_SIZE) != 0)
            return false;
        if (listed[i].name.host == host)
            return true;
    }
    return false;
}

size_t needs_count(const struct needs *needs)
{
    size_t count = 0;
    for (size_t i = 0; i < needs->host_count; i++)
        count += needs->hosts[i].packs.length / NEEDS_NAME_SIZE;
    return count;
}

size_t needs_missing(const struct needs *needs, const struct index_pack *listed, size_t count)
{
    size_t missing = 0;
    for (size_t i = 0; i < needs->host_count; i++) {
        const struct needs_host *host = &needs->hosts[i];
        for (size_t at = 0; at < host->packs.length; at += NEEDS_NAME_SIZE)
            missing += !is_listed(listed, count, host->number, host->packs.data + at);
    }
    return missing;
}

/* ---- the object ---- */

void needs_key(const char *host, const char *job, const char *id, char *out)
{
    int n = snprintf(out, 201, NEEDS_PREFIX "/%s/%s/%s", host, job, id);
    ASSERT(n > 0 && n < 201);
}

static int encode(const struct needs *needs, struct bytes *body, struct error *e)
{
    bytes_put_u16(body, (uint16_t)needs->host_count);
    for (size_t i = 0; i < needs->host_count; i++) {
        const struct needs_host *host = &needs->hosts[i];
        const char *name = name_of(host->number);
        bytes_put_u8(body, (uint8_t)strlen(name));
        bytes_put(body, name, strlen(name));
        bytes_put_u32(body, (uint32_t)(host->packs.length / NEEDS_NAME_SIZE));
        bytes_put(body, host->packs.data, host->packs.length);
    }
    return bytes_check(body, "list of needed packs", e);
}

/* manifest: the hash of its bytes. */
static int put(struct repository *r, const char *key, const struct needs *needs, const uint8_t *manifest, bool replace,
               struct confirm_stored *stored, struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = BODY_MAX}, sealed = {.maximum = NEEDS_OBJECT_MAX};
    if (encode(needs, &body, e) < 0 ||
        placed_seal(r, SEAL_NEEDS, key, manifest, SEAL_HASH_SIZE, &body, &sealed, e) < 0 ||
        sink_put(r->sink, key, sealed.data, sealed.length, !replace, e) < 0)
        return -1;
    *stored = confirm_stored_of(key, &sealed);
    return 0;
}

int needs_put(struct repository *repository, const struct needs *needs, const struct manifest *manifest,
              const struct bytes *object, bool replace, struct error *e)
{
    uint8_t hash[SEAL_HASH_SIZE];
    struct confirm_stored stored;
    char key[201];
    needs_key(manifest->host, manifest->job, manifest->id, key);
    seal_hash(object->data, object->length, hash);
    if (put(repository, key, needs, hash, replace, &stored, e) < 0 || confirm_stored(repository, &stored, e) < 0)
        return -1;
    return sink_sync(repository->sink, e);
}

int needs_put_anew(struct repository *repository, const char *name, const struct needs *needs,
                   struct confirm_stored *stored, struct error *e)
{
    uint8_t random[8];
    char hex[2 * sizeof random + 1], key[201];
    seal_random(random, sizeof random);
    int n = snprintf(key, sizeof key, NEEDS_PREFIX "/%s.%s", name, text_hex(random, sizeof random, hex));
    ASSERT(n > 0 && n < (int)sizeof key);
    return put(repository, key, needs, needs->manifest, false, stored, e);
}

static bool ascends(const uint8_t *packs, size_t count)
{
    for (size_t i = 1; i < count; i++)
        if (compare_packs(packs + (i - 1) * NEEDS_NAME_SIZE, packs + i * NEEDS_NAME_SIZE) >= 0)
            return false;
    return true;
}

/* One host more. False: *e says why, or it is malformed. */
static bool decode_host(struct cursor *c, char before[64], struct needs *needs, struct error *e)
{
    char name[64] = "";
    size_t length = cursor_u8(c);
    const uint8_t *text = cursor_bytes(c, length);
    uint32_t count = cursor_u32(c);
    if (!text || length >= sizeof name || count > c->left / NEEDS_NAME_SIZE)
        return false;
    memcpy(name, text, length);
    const uint8_t *packs = cursor_bytes(c, (size_t)count * NEEDS_NAME_SIZE);
    uint32_t number = strlen(name) == length ? pack_name_number(name) : 0;
    if (number == 0 || strcmp(before, name) >= 0 || !packs || !ascends(packs, count))
        return false;
    memcpy(before, name, sizeof name);
    struct needs_host *host = add_host(needs, number, e);
    if (!host)
        return false;
    bytes_put(&host->packs, packs, (size_t)count * NEEDS_NAME_SIZE);
    return bytes_check(&host->packs, "list of needed packs", e) == 0;
}

int needs_parse(const void *p, size_t n, const char *name, struct needs *needs, struct error *e)
{
    struct cursor c = cursor_of(p, n);
    char before[64] = "";
    uint32_t hosts = cursor_u16(&c);
    bool good = true;
    error_set(e, ERROR_INTEGRITY, "object '%s' is damaged: it is no list of packs", name);
    for (uint32_t i = 0; i < hosts && good; i++)
        good = decode_host(&c, before, needs, e);
    if (good && cursor_done(&c))
        return 0;
    needs_free(needs);
    return -1;
}

int needs_open(const struct repository *repository, const char *host, const char *key, const struct bytes *object,
               struct needs *needs, struct error *e)
{
    size_t most = 2 * object->length + 4096;
    AUTO_BYTES struct bytes body = {.maximum = most < BODY_MAX ? most : BODY_MAX};
    struct seal_opened opened;
    if (placed_open(repository, SEAL_NEEDS, host, key, object, SEAL_HASH_SIZE, &opened, &body, e) < 0)
        return -1;
    if (needs_parse(body.data, body.length, key, needs, e) < 0)
        return -1;
    memcpy(needs->manifest, opened.clear, SEAL_HASH_SIZE);
    return 0;
}

static int list_anew(void *context, const struct sink_object *object, struct error *e)
{
    struct bytes *keys = context;
    struct vault_name name;
    if (placed_parse_key(NEEDS_PREFIX, object->key, &name))
        bytes_put(keys, object->key, strlen(object->key) + 1);
    return bytes_check(keys, "listing of needs", e);
}

int needs_list_anew(const struct repository *repository, const char *key, struct bytes *keys, struct error *e)
{
    char prefix[202];
    snprintf(prefix, sizeof prefix, "%s.", key);
    return sink_list(repository->sink, prefix, list_anew, keys, e);
}

int needs_read_key(struct repository *repository, const char *host, const char *key, struct needs *needs,
                   struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = NEEDS_OBJECT_MAX + 1};
    if (sink_get(repository->sink, key, NEEDS_OBJECT_MAX, &object, e) < 0)
        return -1;
    return needs_open(repository, host, key, &object, needs, e);
}

/* ---- those of a snapshot, whichever of them can be read ---- */

void needs_listing_free(struct needs_listing *listing)
{
    bytes_free(&listing->keys);
    *listing = (struct needs_listing){0};
}

static int fill(struct needs_listing *l, const struct repository *repository, const char *host, struct error *e)
{
    if (strcmp(l->host, host) == 0)
        return 0;
    needs_listing_free(l);
    l->keys.maximum = LISTING_MAX;
    if (placed_list(repository, NEEDS_PREFIX, host, NULL, &l->keys, e) < 0) {
        needs_listing_free(l);
        return -1;
    }
    snprintf(l->host, sizeof l->host, "%s", host);
    return 0;
}

/* Where the first of the sorted keys is that begins so, or comes behind that. */
static size_t find_key(const struct bytes *keys, const char *beginning)
{
    const char *text = (const char *)keys->data;
    size_t low = 0, high = keys->length;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        while (middle > low && text[middle - 1] != '\0')
            middle--;
        if (strcmp(text + middle, beginning) < 0)
            low = middle + strlen(text + middle) + 1;
        else
            high = middle;
    }
    return low;
}

/* The first of those keys, of that host, that can be read: from at on, as long as they begin so. -1: *e is as it was,
 * or why the last one that was tried cannot be read. */
static int read_first(struct repository *repository, const char *host, const struct bytes *keys, size_t at,
                      const char *beginning, struct needs *needs, struct error *e)
{
    int result = -1;
    for (const char *key; result < 0 && at < keys->length && sink_is_of_object(e); at += strlen(key) + 1) {
        key = (const char *)keys->data + at;
        if (strncmp(key, beginning, strlen(beginning)) != 0)
            break;
        result = needs_read_key(repository, host, key, needs, e);
    }
    return result;
}

/* What was listed before may have been replaced since. */
static int read_anew(struct repository *repository, const char *host, const char *key, struct needs *needs,
                     struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = KEYS_MAX};
    struct error why;
    if (needs_list_anew(repository, key, &keys, &why) == 0)
        return read_first(repository, host, &keys, 0, key, needs, e);
    *e = why;
    return -1;
}

int needs_read(struct repository *repository, const char *host, const char *job, const char *id,
               struct needs_listing *listing, struct needs *needs, struct error *e)
{
    char key[201], beginning[202];
    struct error why;
    needs_key(host, job, id, key);
    snprintf(beginning, sizeof beginning, "%s.", key);
    if (needs_read_key(repository, host, key, needs, e) == 0)
        return 0;
    if (!listing || !sink_is_of_object(e))
        return !sink_is_of_object(e) ? -1 : read_anew(repository, host, key, needs, e);
    if (fill(listing, repository, host, &why) < 0) {
        *e = why;
        return -1;
    }
    if (read_first(repository, host, &listing->keys, find_key(&listing->keys, beginning), beginning, needs, e) == 0)
        return 0;
    return e->class == ERROR_NOT_FOUND ? read_anew(repository, host, key, needs, e) : -1;
}
