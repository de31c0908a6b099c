#include "docker-volume/during.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "docker-volume/halt.h"
#include "docker-volume/say.h"
#include "docker-volume/user.h"

/* What is to be done with one; OPTIONS_RUN = nothing. Also of one that does not run: it may be another source that
 * halted it, and would put it back before this one has read. */
static enum options_during plan(const struct source *source, struct cofre_call *call, const struct survey *survey,
                                const struct container *container)
{
    bool known;
    if (!user_writes_any(survey, container))
        return OPTIONS_RUN;
    enum options_during during = user_during(source->options, container, &known);
    if (!known)
        say_log(call, COFRE_LOG_WARNING, "container '%.100s': its label cofre.during = '%.40s' is none of %s",
                container->name, container->during, "run, pause, stop, and does not count");
    if (source->options->during != OPTIONS_RUN && user_is_self(container))
        say_log(call, COFRE_LOG_NOTICE, "container '%.100s' is the one that cofre runs in: it goes on",
                container->name);
    return during;
}

/* Containers that are halted in the same way, one after another in the order of all. Borrowed from the survey. */
struct batch {
    struct containers containers;
    enum options_during during;
};

static int32_t halt_batch(const struct source *source, struct cofre_call *call, const char *id, struct batch *batch,
                          struct cofre_error *error)
{
    struct halt halt;
    enum halt_how how = batch->during == OPTIONS_STOP ? HALT_STOP : HALT_PAUSE;
    if (batch->containers.count == 0)
        return COFRE_OK;
    int32_t status = source_halt(source, call, &halt, error);
    if (status == COFRE_OK)
        status = halt_begin(&halt, call, id, &batch->containers, how, error);
    batch->containers.count = 0;
    return status;
}

/* From the last to the first: users before what they depend on. halt_begin, too, goes from the last to the first, so a
 * batch grows from the end of its room to the front. */
static int32_t halt_all(const struct source *source, struct cofre_call *call, const char *id,
                        const struct survey *survey, struct container *room, struct cofre_error *error)
{
    size_t count = survey->containers.count;
    struct batch batch = {.during = OPTIONS_RUN};
    int32_t status = COFRE_OK;
    for (size_t i = count; status == COFRE_OK && i-- > 0;) {
        const struct container *c = &survey->containers.items[i];
        enum options_during during = plan(source, call, survey, c);
        if (during == OPTIONS_RUN)
            continue;
        if (during != batch.during)
            status = halt_batch(source, call, id, &batch, error);
        batch.during = during;
        batch.containers.count++;
        batch.containers.items = room + count - batch.containers.count;
        batch.containers.items[0] = *c;
    }
    return status == COFRE_OK ? halt_batch(source, call, id, &batch, error) : status;
}

int32_t during_begin(const struct source *source, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    SURVEY_AUTO survey = {.chosen = NULL};
    int32_t status = survey_make(source, call, &survey, error);
    if (status != COFRE_OK)
        return status;
    struct container *room = calloc(survey.containers.count + 1, sizeof *room);
    status =
        room ? halt_all(source, call, id, &survey, room, error) : cofre_fail_errno(error, ENOMEM, "halt containers");
    free(room);
    return status;
}

int32_t during_end(const struct source *source, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    struct halt halt;
    if (!COFRE_HAS(cofre, common_directory))
        return COFRE_OK; /* nor could anything be halted */
    int32_t status = source_halt(source, call, &halt, error);
    return status == COFRE_OK ? halt_undo(&halt, call, id, error) : status;
}

bool during_is_quiet(const struct survey *survey, const struct volume *volume)
{
    for (size_t i = 0; i < survey->containers.count; i++)
        if (user_runs(&survey->containers.items[i]) && user_writes(&survey->containers.items[i], volume))
            return false;
    return true;
}

static int32_t check_one(const struct source *source, struct cofre_call *call, const char *id,
                         const struct container *c, struct cofre_error *error)
{
    bool known;
    struct halt halt;
    if (user_during(source->options, c, &known) == OPTIONS_RUN)
        return COFRE_OK;
    int32_t status = source_halt(source, call, &halt, error);
    if (status == COFRE_OK)
        status = halt_check_one(&halt, call, id, c->id, error);
    if (status == COFRE_OK && user_runs(c))
        status =
            cofre_fail(error, COFRE_E_CHANGED, "container '%.100s' writes to it and was started meanwhile", c->name);
    return status;
}

int32_t during_check(const struct source *source, struct cofre_call *call, const char *id, const struct survey *now,
                     const struct volume *volume, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < now->containers.count; i++)
        if (user_writes(&now->containers.items[i], volume))
            status = check_one(source, call, id, &now->containers.items[i], error);
    return status;
}
