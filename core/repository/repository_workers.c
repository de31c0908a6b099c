/* The workers of a repository's sink. */
#include "base/error.h"
#include "repository/repository.h"
#include "worker/sink.h"

int repository_worker(struct repository *repository, unsigned i, struct worker **worker, struct error *e)
{
    ASSERT(i < repository->parallel);
    struct worker **slot = &repository->workers[i];
    if (!*slot && repository->open_worker(repository->engine, repository->section, slot, e) < 0) {
        *slot = NULL;
        return -1;
    }
    *worker = *slot;
    return 0;
}

int repository_sync(struct repository *repository, struct error *e)
{
    for (unsigned i = 0; i < repository->parallel; i++)
        if (repository->workers[i] && sink_sync(repository->workers[i], e) < 0)
            return -1;
    return 0;
}
