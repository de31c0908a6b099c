/* Wants a newer host than there is. */
#include <cofre/plugin.h>

#include "minimal.h"

static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = 1000,
    .name = "wrong-abi",
    .sink = &minimal_sink,
};
COFRE_PLUGIN(descriptor)
