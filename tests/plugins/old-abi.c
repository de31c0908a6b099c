/* Written for a level that is not taken any more. */
#include <cofre/plugin.h>

#include "minimal.h"

static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = 1,
    .name = "old-abi",
    .sink = &minimal_sink,
};
COFRE_PLUGIN(descriptor)
