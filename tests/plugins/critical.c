/* Needs a capability that no host has yet. */
#include <cofre/plugin.h>

#define MINIMAL_CAPABILITIES (1ull << 40)
#include "minimal.h"

static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .name = "critical",
    .sink = &minimal_sink,
};
COFRE_PLUGIN(descriptor)
