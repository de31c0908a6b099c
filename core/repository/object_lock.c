#include "repository/object_lock.h"

#include <limits.h>
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
#include "repository/repository.h"
#include "worker/sink.h"

#define RETAINED_MAX ((size_t)1 << 30)
#define MILLISECOND 1000000

/* A pack and until when it is locked, as far as this machine knows. Sorted by key in the file. */
struct retained {
    uint8_t key[SEAL_HASH_SIZE]; /* hash of its key */
    int64_t until;
};

/* One that is needed; until: 0 = its lock is to be extended. */
struct held {
    struct pack_name name;
    struct retained retained;
};

struct retain {
    struct repository *repository;
    int64_t least, wanted;    /* locked until then is enough; else until when */
    struct bytes known, held; /* struct retained, as it was; struct held */
};

/* ---- what is known of them ---- */

static int compare(const void *a, const void *b)
{
    return memcmp(((const struct retained *)a)->key, ((const struct retained *)b)->key, SEAL_HASH_SIZE);
}

/* Anything wrong with the file only costs requests. */
static void read_known(struct retain *h, const char *path)
{
    struct error ignored;
    if (file_read_own(path, RETAINED_MAX, &h->known, &ignored) < 0 || h->known.length % sizeof(struct retained) != 0)
        bytes_reset(&h->known);
}

static int64_t known_until(const struct retain *h, const struct retained *wanted)
{
    size_t count = h->known.length / sizeof *wanted;
    const struct retained *found = count ? bsearch(wanted, h->known.data, count, sizeof *wanted, compare) : NULL;
    return found ? found->until : 0;
}

static void identify(struct held *held)
{
    char key[201];
    pack_name_key(&held->name, key);
    seal_hash(key, strlen(key), held->retained.key);
}

static int list_needed(struct retain *h, const struct needs *needs, struct error *e)
{
    for (size_t i = 0; i < index_pack_count(h->repository->index); i++) {
        struct held row;
        uint64_t size;
        if (!index_pack_at(h->repository->index, i, &row.name, &size) || !needs_has(needs, &row.name))
            continue;
        identify(&row);
        row.retained.until = known_until(h, &row.retained);
        if (row.retained.until < h->least)
            row.retained.until = 0;
        bytes_put(&h->held, &row, sizeof row);
    }
    return bytes_check(&h->held, "list of locked packs", e);
}

/* ---- locking ---- */

static int lock_one(void *context, size_t i, struct error *e)
{
    struct retain *h = context;
    struct held *row = (struct held *)(void *)h->held.data + i;
    char key[201];
    if (row->retained.until != 0)
        return 0;
    pack_name_key(&row->name, key);
    if (sink_retain(h->repository->sink, key, h->wanted, e) < 0)
        return -1;
    row->retained.until = h->wanted;
    return 0;
}

/* That it cannot be remembered only costs requests. */
static void remember(const struct retain *h, const char *path)
{
    AUTO_BYTES struct bytes rows = {.maximum = RETAINED_MAX};
    struct error e;
    size_t count = h->held.length / sizeof(struct held);
    for (size_t i = 0; i < count; i++)
        bytes_put(&rows, &((const struct held *)(const void *)h->held.data + i)->retained, sizeof(struct retained));
    if (rows.length > 0)
        qsort(rows.data, count, sizeof(struct retained), compare);
    if (bytes_check(&rows, "list of locked packs", &e) < 0 ||
        file_write(path, rows.data, rows.length, FILE_REPLACE, &e) < 0)
        log_line(LOG_WARNING, "the next run locks every pack again: %s", e.message);
}

static int extend(struct retain *h, const struct needs *needs, struct error *e)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/held", h->repository->cache);
    read_known(h, path);
    if (list_needed(h, needs, e) < 0 || sink_retain(h->repository->sink, "config", h->wanted, e) < 0 ||
        sink_each(h->repository->sink, h->held.length / sizeof(struct held), lock_one, h, e) < 0)
        return error_context(e, "extend the lock of what the snapshot re-uses: ");
    remember(h, path);
    return 0;
}

int object_lock_extend(struct repository *repository, const struct needs *needs, struct error *e)
{
    int64_t lock = sink_lock(repository->sink) * MILLISECOND;
    if (lock <= 0)
        return 0;
    int64_t now = clock_now();
    struct retain h = {.repository = repository, .least = now + lock, .wanted = now + lock + lock / 8};
    h.known.maximum = h.held.maximum = RETAINED_MAX;
    int result = extend(&h, needs, e);
    bytes_free(&h.known);
    bytes_free(&h.held);
    return result;
}
