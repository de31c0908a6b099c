/* A source with bad intentions (hostile.h). */
#include "hostile.h"

static int32_t open_it(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    (void)conf;
    (void)error;
    *instance = NULL;
    return COFRE_OK;
}

static void close_it(void *instance)
{
    (void)instance;
}

static int32_t check_it(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    (void)instance;
    (void)call;
    (void)depth;
    (void)error;
    hostile_try("check");
    /* What it may see of the engine is no way to its memory. */
    hostile_say("check", "engine-root", cofre->open_process(getppid(), COFRE_PROCESS_ROOT));
    hostile_say("check", "engine-other", cofre->open_process(getppid(), 3));
    return COFRE_OK;
}

static int32_t move(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    (void)instance;
    (void)call;
    return cofre_fail(error, COFRE_E_UNSUPPORTED, "not here");
}

static const struct cofre_source source = {
    .struct_size = sizeof source,
    .open = open_it,
    .close = close_it,
    .check = check_it,
    .backup = move,
    .restore = move,
};

static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .name = "hostile-source",
    .source = &source,
};
COFRE_PLUGIN(descriptor)
