/* Of a repository: that a pack is there is found out by listing, and in far stores remembered for a while.
 *
 * Where a listing takes long (repository->dear), what it has found is kept in the cache: when it was, and which of the
 * packs that index objects describe were not there. For PLAN_LOOK_LASTS a run goes by it, and by the index objects that
 * have come since, which are put when their packs are there.
 *
 * It is as good as a listing of the run's own, as far as collectors of garbage go. What they remove stands in a plan
 * before, for PLAN_GRACE at least, and the plan is removed behind it, and no sooner. A look counts that was taken while
 * no plan was there, and only for a run that meets none; what was removed in between would have been in a plan at one
 * end or the other, since PLAN_LOOK_LASTS is less than PLAN_GRACE. What is left of it is for clocks, and for listings
 * that are late. Any other run looks for itself.
 *
 * What others remove, by hand or by a rule of the store, is found when the next look is taken, which is a day later at
 * most, and not before: a run may rely on it meanwhile, as it may when it goes the moment after a listing. To look at
 * just those packs that a snapshot needs would be more requests than to list them all. Each run reads one of them back
 * (confirm_reused).
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "repository/index.h"
#include "repository/plan.h"
#include "repository/repository.h"
#include "worker/sink.h"

#define LOOK_MAGIC UINT64_C(0x016b6f6f6c666f63)
#define ABSENT_MAX 100000u /* packs; more are not kept, but looked for again */
#define NS_PER_MS 1000000

_Static_assert(PLAN_LOOK_LASTS < PLAN_GRACE, "a plan outlasts a look");

/* A file: this, the names of the absent, and the hash of both. */
struct look {
    uint64_t magic;
    uint8_t place[SEAL_HASH_SIZE]; /* of the sink and the host */
    uint8_t boot[SEAL_HASH_SIZE];
    int64_t wall, monotonic; /* ns, ms */
    uint64_t bytes;          /* of all packs */
    uint64_t absent;
};

static void look_path(const struct repository *r, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s/look", r->cache);
}

static void hash_place(const struct repository *r, uint8_t hash[SEAL_HASH_SIZE])
{
    struct seal_hasher hasher;
    seal_hasher_init(&hasher);
    seal_hasher_add(&hasher, sink_name(r->sink), strlen(sink_name(r->sink)) + 1);
    seal_hasher_add(&hasher, r->host, strlen(r->host));
    seal_hasher_end(&hasher, hash);
}

/* False: it is not known. */
static bool hash_boot(uint8_t hash[SEAL_HASH_SIZE])
{
    AUTO_BYTES struct bytes id = {.maximum = 64};
    struct error ignored;
    bool known = file_read("/proc/sys/kernel/random/boot_id", id.maximum, &id, &ignored) == 0;
    seal_hash(id.data, id.length, hash);
    return known;
}

/* ---- recalling ---- */

/* By both clocks, as the wall clock may have been set; and while the machine runs, as one without a battery goes on
 * from where it stood, however long it was off. */
static bool is_recent(const struct look *look)
{
    uint8_t boot[SEAL_HASH_SIZE];
    int64_t wall, monotonic = clock_monotonic() - look->monotonic;
    if (__builtin_sub_overflow(clock_now(), look->wall, &wall) || wall < 0 || wall >= PLAN_LOOK_LASTS)
        return false;
    return hash_boot(boot) && memcmp(boot, look->boot, sizeof boot) == 0 && monotonic >= 0 &&
           monotonic < PLAN_LOOK_LASTS / NS_PER_MS;
}

static bool parse(const struct bytes *file, struct look *look)
{
    uint8_t hash[SEAL_HASH_SIZE];
    if (file->length < sizeof *look + sizeof hash)
        return false;
    size_t n = file->length - sizeof hash;
    seal_hash(file->data, n, hash);
    memcpy(look, file->data, sizeof *look);
    return memcmp(hash, file->data + n, sizeof hash) == 0 && look->magic == LOOK_MAGIC && look->absent <= ABSENT_MAX &&
           n == sizeof *look + look->absent * SEAL_HASH_SIZE;
}

bool repository_recall_look(const struct repository *r, struct bytes *absent, uint64_t *bytes)
{
    AUTO_BYTES struct bytes file = {.maximum = sizeof(struct look) + (ABSENT_MAX + 2) * SEAL_HASH_SIZE};
    struct error ignored;
    struct look look;
    uint8_t place[SEAL_HASH_SIZE];
    char path[PATH_MAX];
    if (!r->own_alone || r->plan_seen)
        return false;
    look_path(r, path);
    if (file_read_own(path, file.maximum, &file, &ignored) < 0 || !parse(&file, &look))
        return false;
    hash_place(r, place);
    if (memcmp(place, look.place, sizeof place) != 0 || !is_recent(&look))
        return false;
    *bytes = look.bytes;
    bytes_put(absent, file.data + sizeof look, look.absent * SEAL_HASH_SIZE);
    return !absent->failed;
}

/* ---- remembering ---- */

static int write_look(const struct repository *r, struct look *look, const struct bytes *absent, struct error *e)
{
    AUTO_BYTES struct bytes file = {.maximum = sizeof *look + absent->length + SEAL_HASH_SIZE};
    uint8_t hash[SEAL_HASH_SIZE];
    char path[PATH_MAX];
    look->magic = LOOK_MAGIC;
    look->absent = absent->length / SEAL_HASH_SIZE;
    hash_place(r, look->place);
    hash_boot(look->boot);
    bytes_put(&file, look, sizeof *look);
    bytes_put(&file, absent->data, absent->length);
    seal_hash(file.data, file.length, hash);
    bytes_put(&file, hash, sizeof hash);
    look_path(r, path);
    return bytes_check(&file, path, e) < 0 ? -1 : file_write(path, file.data, file.length, FILE_REPLACE, e);
}

static int note_look(const struct repository *r, uint64_t bytes, struct error *e)
{
    AUTO_BYTES struct bytes absent = {.maximum = (size_t)ABSENT_MAX * SEAL_HASH_SIZE};
    struct look look = {.wall = r->plans_read_at, .monotonic = r->plans_read, .bytes = bytes};
    if (index_absent(r->index, &absent, e) < 0)
        return -1;
    return write_look(r, &look, &absent, e);
}

void repository_note_look(const struct repository *r, uint64_t bytes, int64_t took)
{
    struct error e;
    char path[PATH_MAX];
    if (!r->own_alone)
        return;
    look_path(r, path);
    if (r->plan_seen || took <= r->dear || note_look(r, bytes, &e) < 0)
        unlink(path);
}
