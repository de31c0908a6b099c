#include "job/freeze.h"

#include <stdlib.h>

#include "attempt/undo.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "worker/engine.h"
#include "worker/retry.h"
#include "worker/source.h"
#include "worker/worker.h"

struct frozen {
    bool opened;
    struct undo *hold;  /* NULL = not frozen */
    struct error error; /* with a class: it could not be frozen */
};

struct freeze {
    size_t count, left;
    struct frozen *sources;
};

struct attempt {
    struct worker *worker;
    const char *id;
};

/* What a failed attempt has left under the id is taken back before the next, which makes it anew. */
static int try_freeze(void *context, struct error *e)
{
    const struct attempt *a = context;
    if (source_freeze(a->worker, a->id, e) == 0)
        return 0;
    source_take_back(a->worker, a->id, e);
    return -1;
}

static int freeze_one(const struct engine *engine, const struct config_job *job, size_t i, struct worker *worker,
                      struct frozen *frozen, struct error *e)
{
    struct undo_spec spec = {.what = UNDO_FREEZE, .source = job->sources[i], .job = job->name};
    if (engine_open_worker(job->sources[i], worker, NULL, 0, e) < 0)
        return -1;
    frozen->opened = true;
    if (undo_make(engine, &spec, worker, &frozen->hold, e) < 0)
        return -1;
    struct attempt attempt = {worker, undo_id(frozen->hold)};
    if (retry_run(engine_patience(job->sources[i]), try_freeze, &attempt, e) < 0)
        return -1;
    source_cover(worker, undo_id(frozen->hold));
    log_line(LOG_INFO, "source '%s' is frozen (%s)", job->sources[i]->name, undo_id(frozen->hold));
    return 0;
}

/* Those that stop what writes, or those that hold a moment of what is written. */
static int freeze_some(const struct engine *engine, const struct config_job *job, struct worker *const *workers,
                       struct freeze *f, bool stops, struct error *e)
{
    for (size_t i = 0; i < f->count; i++) {
        uint32_t offers = worker_plugin(workers[i])->offers;
        if (!(offers & PLUGIN_OFFERS_FREEZE) || stops != !!(offers & PLUGIN_OFFERS_SERVICES) ||
            freeze_one(engine, job, i, workers[i], &f->sources[i], e) == 0)
            continue;
        if (cancel_requested())
            return -1;
        f->sources[i].error = *e;
        freeze_thaw(f, i, workers[i]);
    }
    return 0;
}

int freeze_sources(const struct engine *engine, const struct config_job *job, struct worker *const *workers,
                   struct freeze **freeze, struct error *e)
{
    struct freeze *f = calloc(1, sizeof *f);
    struct frozen *sources = calloc(job->source_count, sizeof *sources);
    if (!f || !sources) {
        free(f);
        free(sources);
        return error_memory(e);
    }
    *f = (struct freeze){.count = job->source_count, .sources = sources};
    *freeze = f;
    if (freeze_some(engine, job, workers, f, true, e) < 0)
        return -1;
    return freeze_some(engine, job, workers, f, false, e);
}

int freeze_result(const struct freeze *freeze, size_t i, struct error *e)
{
    if (freeze->sources[i].error.class == ERROR_NONE)
        return 0;
    *e = freeze->sources[i].error;
    return -1;
}

bool freeze_has_opened(const struct freeze *freeze, size_t i)
{
    return freeze->sources[i].opened;
}

void freeze_thaw(struct freeze *freeze, size_t i, struct worker *worker)
{
    struct error e;
    int result = undo_run(freeze->sources[i].hold, worker, &e);
    freeze->sources[i].hold = NULL;
    if (result == 0)
        return;
    log_error(LOG_ERROR, &e);
    freeze->left++;
}

size_t freeze_end(struct freeze *freeze, struct worker *const *workers)
{
    if (!freeze)
        return 0;
    for (size_t i = 0; i < freeze->count; i++)
        freeze_thaw(freeze, i, workers[i]);
    size_t left = freeze->left;
    free(freeze->sources);
    free(freeze);
    return left;
}
