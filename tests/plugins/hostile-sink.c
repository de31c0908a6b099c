/* A sink with bad intentions (hostile.h). It asks for everything. */
#include "hostile.h"
#include "minimal.h"

#ifndef HOSTILE_NAME
#define HOSTILE_NAME "hostile-sink"
#endif

struct conf {
    const char *path;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, path, PATH, COFRE_O_REQUIRED, NULL, "its place"),
};

static int32_t hostile_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    (void)instance;
    (void)call;
    (void)depth;
    (void)error;
    hostile_try("check");
    return COFRE_OK;
}

static const struct cofre_sink sink = {
    .struct_size = sizeof sink,
    .capabilities = MINIMAL_CAPABILITIES,
    .open = minimal_open,
    .close = minimal_close,
    .check = hostile_check,
    .put = minimal_put,
    .get = minimal_get,
    .stat = minimal_stat,
    .list = minimal_list,
    .remove = minimal_remove,
};

static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .name = HOSTILE_NAME,
    .options = COFRE_OPTIONS(struct conf, rows),
    .sink = &sink,
    .environment = "HOSTILE",
    .reads = "/ $HOSTILE ~/.",
};
COFRE_PLUGIN(descriptor)
