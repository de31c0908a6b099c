#include "repository/gc.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "repository/gc_repack.h"
#include "repository/key.h"
#include "repository/repository.h"
#include "repository/signers.h"
#include "worker/sink.h"

#define LEAP (PLAN_GRACE / 4) /* of one clock against another: less does no harm */
#define MEMORY_MAX 256

/* ---- what this machine remembers ---- */

static int recall(struct gc *gc, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = MEMORY_MAX};
    struct gc_memory *m = &gc->memory;
    char path[PATH_MAX];
    *m = (struct gc_memory){.store = 0};
    snprintf(path, sizeof path, "%s/gc", gc->repository->state);
    if (file_read_own(path, MEMORY_MAX, &text, e) < 0)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    bytes_put_u8(&text, 0);
    if (text.failed ||
        sscanf((const char *)text.data, "%" SCNd64 " %" SCNd64 " %" SCNd64, &m->store, &m->machine, &m->since) != 3)
        *m = (struct gc_memory){.store = 0};
    return 0;
}

static int remember(const struct gc *gc, struct error *e)
{
    char path[PATH_MAX], text[MEMORY_MAX];
    if (file_make_trusted(gc->repository->state, e) < 0)
        return -1;
    snprintf(path, sizeof path, "%s/gc", gc->repository->state);
    int n =
        snprintf(text, sizeof text, "%" PRId64 " %" PRId64 " %" PRId64 "\n", gc->now, gc->machine, gc->memory.since);
    return file_write(path, text, (size_t)n, FILE_REPLACE, e);
}

static int check_clock(const struct gc *gc, struct error *e)
{
    char seen[CLOCK_TEXT_MAX], now[CLOCK_TEXT_MAX];
    int64_t machine = clock_now();
    if (!clock_is_ahead(gc->memory.machine, machine, CLOCK_APART))
        return 0;
    error_set(e, ERROR_PERMANENT, "this machine's time is behind what it has seen: it was %s, and is %s",
              clock_format_shown(gc->memory.machine, seen), clock_format_shown(machine, now));
    return error_hint(e, "set this machine's clock right; when it is right, and was wrong then: remove '%s/gc'",
                      gc->repository->state);
}

static bool are_apart(int64_t a, int64_t b)
{
    int64_t difference;
    return __builtin_sub_overflow(a, b, &difference) || difference > LEAP || difference < -LEAP;
}

/* When one of the clocks leapt, nobody knows how long anything has stood: from now on it is counted anew. */
static void heed_leap(struct gc *gc)
{
    struct gc_memory *m = &gc->memory;
    int64_t there, here;
    if (m->store == 0 || gc->now == INT64_MIN || m->store == INT64_MIN)
        return;
    if (__builtin_sub_overflow(gc->now, m->store, &there) || __builtin_sub_overflow(gc->machine, m->machine, &here) ||
        are_apart(there, here))
        m->since = gc->now;
}

/* ---- telling ---- */

static void tell(struct gc *gc, vault_collected *told, void *context)
{
    size_t count;
    const struct gc_plan *plans = gc_plans(gc, &count);
    for (size_t h = 0; h < gc->host_count; h++) {
        struct gc_host *host = &gc->hosts[h];
        struct vault_garbage *f = &host->found;
        const struct garbage *g = &host->garbage;
        const uint32_t both = GARBAGE_NEEDED | GARBAGE_PLANNED | GARBAGE_GONE;
        f->host = host->name;
        f->needed.bytes = garbage_bytes(g, GARBAGE_NEEDED, GARBAGE_NEEDED, &f->needed.objects);
        f->young.bytes = garbage_bytes(g, both, 0, &f->young.objects);
        f->planned.bytes = garbage_bytes(g, both, GARBAGE_PLANNED, &f->planned.objects);
        if (f->fresh.objects > f->planned.objects)
            f->fresh = f->planned;
        f->since = f->due = INT64_MIN;
        for (size_t i = 0; i < count; i++) {
            const struct plan *plan = &plans[i].plan;
            int64_t due = (plans[i].placed == INT64_MIN ? plan->created : plans[i].placed) + plan->grace;
            if (plan->count == 0 || plans[i].host != h || plans[i].ended || plans[i].ahead)
                continue;
            f->since = f->since == INT64_MIN || plan->created < f->since ? plan->created : f->since;
            f->due = !plans[i].due && (f->due == INT64_MIN || due < f->due) ? due : f->due;
        }
        if (f->fresh.objects > 0 && f->since == INT64_MIN) {
            f->since = gc->machine;
            f->due = gc->now + gc->grace;
        }
        told(context, f);
    }
}

/* ---- a gc ---- */

/* What was read; of each host what is to be told stays. */
static void forget(struct gc *gc)
{
    size_t count;
    struct gc_plan *plans = gc_plans(gc, &count);
    for (size_t i = 0; i < count; i++)
        plan_free(&plans[i].plan);
    for (size_t i = 0; i < gc->host_count; i++) {
        struct gc_host *host = &gc->hosts[i];
        garbage_free(&host->garbage);
        bytes_free(&host->gone);
        free(host->used);
        host->used = NULL;
        host->unlisted = 0;
        host->found.locked = (struct vault_amount){0};
    }
    bytes_free(&gc->plans);
    bytes_free(&gc->needs);
    bytes_free(&gc->stale_clocks);
    gc->healed = 0;
    gc->last = (struct gc_last){.sequence = 0};
}

/* Our own trouble is none of the place's. */
static bool is_doubt(const struct error *e)
{
    return e->class != ERROR_CANCELLED && e->class != ERROR_MEMORY && e->class != ERROR_DENIED;
}

static int look(struct gc *gc, struct error *e)
{
    if (recall(gc, e) < 0 || check_clock(gc, e) < 0)
        return -1;
    if (gc_read(gc, e) < 0)
        return -1;
    heed_leap(gc);
    gc_mark_plans(gc);
    return 0;
}

/* Once in a gc, and when it is worth it. *moved: what was read is out of date. */
static int repack(struct gc *gc, bool *moved, struct error *e)
{
    bool worth = false;
    *moved = false;
    if (!gc->repack)
        return 0;
    gc->repack = false;
    if (gc_is_worth_repacking(gc, &worth, e) < 0)
        return -1;
    if (!worth)
        return 0;
    int result = gc_repack(gc, moved, e);
    repository_forget_index(gc->repository);
    if (result < 0 && e->class == ERROR_CHANGED) {
        error_subject(e, "sink", sink_name(gc->repository->sink));
        log_error(LOG_WARNING, e);
        return 0;
    }
    return result < 0 || gc->request->dry_run ? result : gc_remember_repacked(gc, e);
}

/* *again: what was read is out of date. */
static int act(struct gc *gc, bool *again, struct error *e)
{
    *again = false;
    if (gc_remove_packs(gc, again, e) < 0)
        return -1;
    if (gc->request->dry_run)
        return repack(gc, again, e) < 0 ? -1 : gc_make_plans(gc, e);
    if (gc_clean_index(gc, e) < 0)
        return -1;
    if (*again)
        return 0;
    if (gc_make_plans(gc, e) < 0 || gc_end_plans(gc, e) < 0 || gc_remove_needs(gc, e) < 0 || repack(gc, again, e) < 0)
        return -1;
    return remember(gc, e);
}

/* One round; *again: another is needed. */
static int collect(struct gc *gc, bool *again, struct error *e)
{
    *again = false;
    forget(gc);
    if (look(gc, e) == 0)
        return act(gc, again, e);
    if (!is_doubt(e))
        return -1;
    gc->doubt = *e;
    return 0;
}

/* Where there is no grace, what is planned goes at once: the last round is that in which plans are due. */
static int collect_all(struct gc *gc, struct error *e)
{
    bool again = true;
    gc->plan_only = gc->request->now && !gc->request->dry_run;
    while (again && gc->doubt.class == ERROR_NONE) {
        if (collect(gc, &again, e) < 0)
            return -1;
        if (!again && gc->plan_only) {
            again = true;
            gc->plan_only = false;
        }
    }
    return 0;
}

int gc_run(struct repository *repository, const struct vault_gc *request, vault_collected *told, void *context,
           struct vault_gc_result *result, struct error *e)
{
    char host[KEY_HOST_SIZE + 1];
    const struct key_certificate *certificate = &repository->key->certificate;
    if (signers_revoked(repository->signers, repository->key->signer_public)) {
        error_set(e, ERROR_AUTH, "its key was revoked, and removes nothing any more");
        return error_hint(e, "use the full key, or another one: cofre key prune FULLKEY PRUNEKEY");
    }
    if (!key_may(certificate, KEY_REMOVE, key_host(certificate, host)[0] ? host : repository->host)) {
        error_set(e, ERROR_AUTH, "its key may remove nothing");
        return error_hint(e, "use the full key, or one that was made to remove: cofre key prune FULLKEY PRUNEKEY");
    }
    /* What is locked stays, old needs as well: nothing would be gained. */
    struct gc gc = {.repository = repository,
                    .request = request,
                    .repack = repository->key->full && request->repack > 0 && sink_lock(repository->sink) <= 0};
    int done = collect_all(&gc, e);
    if (done == 0 && gc.doubt.class == ERROR_NONE)
        tell(&gc, told, context);
    result->doubt = gc.doubt;
    forget(&gc);
    free(gc.hosts);
    return done;
}
