/* Says that it is a source and a sink. */
#include <cofre/plugin.h>

#include "minimal.h"

static const struct cofre_source source = {.struct_size = sizeof source};

static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .name = "two-roles",
    .source = &source,
    .sink = &minimal_sink,
};
COFRE_PLUGIN(descriptor)
