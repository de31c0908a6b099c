#include "job/find.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "format/vault.h"
#include "job/entries.h"
#include "job/restore.h"
#include "job/snapshot.h"
#include "job/vaults.h"
#include "repository/seal.h"
#include "snapshot/path.h"
#include "worker/engine.h"
#include "worker/sink.h"

bool find_matches(const char *pattern, const char *path, size_t length)
{
    const char *name = memrchr(path, '/', length);
    if (!strchr(pattern, '/'))
        return fnmatch(pattern, name ? name + 1 : path, 0) == 0;
    if (pattern[0] == '/')
        return fnmatch(pattern + 1, path, FNM_PATHNAME) == 0;
    for (const char *end = path; end; end = strchr(end, '/')) {
        end += *end == '/';
        if (fnmatch(pattern, end, FNM_PATHNAME) == 0)
            return true;
    }
    return false;
}

/* ---- one source, in one snapshot after another ---- */

/* What was told of a source so far: of each path the last version, in path order. */
struct trail {
    char *source;
    struct entries *seen;
    /* Of the last snapshot that was looked through: one with the same catalogue has nothing else. */
    uint8_t (*chunks)[MANIFEST_HASH_SIZE];
    size_t chunk_count;
};

struct finding {
    const struct find_request *request;
    const char *directory;
    find_told *told;
    void *context;
    struct trail *trails;
    size_t trail_count;
    /* of the source at hand */
    const struct manifest *manifest;
    const char *source;
    struct trail *trail;
    struct entries *now;
    const struct entries_item *next; /* of trail->seen; NULL = all were looked at */
};

static int advance(struct finding *f, struct error *e)
{
    return f->trail->seen ? entries_next(f->trail->seen, &f->next, e) : 0;
}

/* Those that this snapshot does not have are kept: an older one may. */
static int pass(struct finding *f, const struct entries_item *before, struct error *e)
{
    while (f->next &&
           (!before || path_compare(f->next->path, f->next->path_length, before->path, before->path_length) < 0))
        if (entries_add(f->now, f->next, e) < 0 || advance(f, e) < 0)
            return -1;
    return 0;
}

static int see(void *context, const struct entries_item *item, struct error *e)
{
    struct finding *f = context;
    if (!find_matches(f->request->pattern, item->path, item->path_length))
        return 0;
    if (pass(f, item, e) < 0)
        return -1;
    bool there = f->next && path_compare(f->next->path, f->next->path_length, item->path, item->path_length) == 0;
    bool same = there && entries_same_version(f->next, item);
    if (!same && f->told(f->context, f->manifest, f->source, item, e) < 0)
        return -1;
    return entries_add(f->now, item, e) < 0 || (there && advance(f, e) < 0) ? -1 : 0;
}

static struct trail *find_trail(struct finding *f, const char *source, struct error *e)
{
    for (size_t i = 0; i < f->trail_count; i++)
        if (strcmp(f->trails[i].source, source) == 0)
            return &f->trails[i];
    struct trail *trails = reallocarray(f->trails, f->trail_count + 1, sizeof *trails);
    char *name = text_copy(source);
    if (trails)
        f->trails = trails;
    if (!trails || !name) {
        free(name);
        error_memory(e);
        return NULL;
    }
    trails[f->trail_count] = (struct trail){.source = name};
    return &trails[f->trail_count++];
}

static bool is_known(const struct trail *trail, const struct manifest_source *source)
{
    bool same = trail->chunk_count > 0 && trail->chunk_count == source->chunk_count;
    for (size_t i = 0; same && i < source->chunk_count; i++)
        same = memcmp(trail->chunks[i], source->chunks[i].id, MANIFEST_HASH_SIZE) == 0;
    return same;
}

static int note_chunks(struct trail *trail, const struct manifest_source *source, struct error *e)
{
    free(trail->chunks);
    trail->chunk_count = 0;
    if (!(trail->chunks = calloc(source->chunk_count + 1, sizeof *trail->chunks)))
        return error_memory(e);
    trail->chunk_count = source->chunk_count;
    for (size_t i = 0; i < source->chunk_count; i++)
        memcpy(trail->chunks[i], source->chunks[i].id, MANIFEST_HASH_SIZE);
    return 0;
}

static int read_source(struct finding *f, struct vault *vault, const struct manifest_source *source, struct error *e)
{
    struct entries_taker taker = {.take = see, .context = f};
    if (f->trail->seen && entries_rewind(f->trail->seen, e) < 0)
        return -1;
    f->next = NULL;
    if (advance(f, e) < 0)
        return -1;
    int result = restore_list(vault, f->manifest, source, NULL, entries_take, &taker, e);
    entries_taker_free(&taker);
    return result < 0 ? -1 : pass(f, NULL, e);
}

static int look_through(struct finding *f, struct vault *vault, const struct manifest_source *source, struct error *e)
{
    if (source->status == MANIFEST_MISSING)
        return 0;
    if (!(f->trail = find_trail(f, source->name, e)))
        return -1;
    if (is_known(f->trail, source))
        return 0;
    if (entries_make(f->directory, &f->now, e) < 0)
        return -1;
    f->source = source->name;
    if (read_source(f, vault, source, e) < 0) {
        entries_free(f->now);
        return -1;
    }
    entries_free(f->trail->seen);
    f->trail->seen = f->now;
    return note_chunks(f->trail, source, e);
}

static void forget(struct finding *f)
{
    for (size_t i = 0; i < f->trail_count; i++) {
        free(f->trails[i].source);
        free(f->trails[i].chunks);
        entries_free(f->trails[i].seen);
    }
    free(f->trails);
    f->trails = NULL;
    f->trail_count = 0;
}

/* ---- the snapshots of a job ---- */

/* Whatever is wrong with one is in the way of no other; what is wrong here is. */
static int look_at(struct finding *f, struct vault *vault, const struct manifest *manifest, size_t *unread,
                   struct error *e)
{
    f->manifest = manifest;
    for (size_t i = 0; i < manifest->source_count; i++) {
        if (look_through(f, vault, &manifest->sources[i], e) == 0)
            continue;
        if (!sink_is_of_object(e) || cancel_requested())
            return -1;
        error_context(e, "source '%s' of snapshot %s cannot be looked through: ", manifest->sources[i].name,
                      manifest->id);
        log_error(LOG_WARNING, e);
        ++*unread;
    }
    return 0;
}

/* One by one, as they are asked for; why one cannot be used is said once. */
enum readiness { UNTRIED, READY, USELESS };

static int prepare(struct vault *vault, enum readiness *ready, struct error *e)
{
    if (*ready != UNTRIED)
        return 0;
    *ready = vault_prepare(vault, VAULT_READ, e) == 0 ? READY : USELESS;
    if (*ready == READY)
        return 0;
    if (e->class == ERROR_MEMORY || cancel_requested())
        return -1;
    error_subject(e, "sink", sink_name(vault->sink));
    log_error(LOG_WARNING, e);
    return 0;
}

static int look_at_all(struct finding *f, struct vaults *vaults, const struct snapshot_list *list,
                       enum readiness *ready, size_t *unread, struct error *e)
{
    for (size_t i = list->count; i-- > 0;) {
        const struct snapshot *s = &list->items[i];
        if (cancel_requested())
            return error_set(e, ERROR_CANCELLED, "cancelled");
        if (!s->manifest) {
            *unread += s->sealed; /* what cannot be read is counted already */
            continue;
        }
        size_t item = vaults_find(vaults, s->from);
        struct vault *vault = vaults->items[item].vault;
        if (prepare(vault, &ready[item], e) < 0 ||
            (ready[item] == READY && look_at(f, vault, s->manifest, unread, e) < 0))
            return -1;
        *unread += ready[item] == USELESS;
    }
    return 0;
}

static int find_in(struct finding *f, const struct engine *engine, const char *job, size_t *unreachable, size_t *unread,
                   struct error *e)
{
    struct vaults vaults;
    struct snapshot_list list = {0};
    size_t away = 0, damaged = 0;
    int result = vaults_choose(engine, job, f->request->sink, &vaults, e);
    enum readiness *ready = result == 0 ? calloc(vaults.count + 1, sizeof *ready) : NULL;
    if (result == 0)
        result = ready ? snapshot_look(&vaults, job, engine->config->host, false, &list, &away, &damaged, e)
                       : error_memory(e);
    *unreachable += away;
    *unread += damaged;
    if (result == 0)
        result = look_at_all(f, &vaults, &list, ready, unread, e);
    forget(f);
    free(ready);
    snapshot_list_free(&list);
    vaults_close(&vaults, NULL);
    return result;
}

int find_run(const struct engine *engine, const struct find_request *request, find_told *told, void *context,
             size_t *unreachable, size_t *unread, struct error *e)
{
    const struct config *config = engine->config;
    struct finding f = {.request = request, .directory = config->cache_dir, .told = told, .context = context};
    *unreachable = *unread = 0;
    if (seal_init(e) < 0)
        return -1;
    if (request->job)
        return find_in(&f, engine, request->job, unreachable, unread, e);
    for (size_t i = 0; i < config->job_count; i++)
        if (find_in(&f, engine, config->jobs[i].name, unreachable, unread, e) < 0)
            return -1;
    return 0;
}
