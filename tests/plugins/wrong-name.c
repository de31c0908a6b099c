/* Calls itself something else than its file. */
#include <cofre/plugin.h>

#include "minimal.h"

static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .name = "right-name",
    .sink = &minimal_sink,
};
COFRE_PLUGIN(descriptor)
