/* An option that lies outside of its struct. */
#include <cofre/plugin.h>

#include "minimal.h"

static const struct cofre_option rows[] = {
    {"path", COFRE_STRING, 0, 4096, sizeof(const char *), NULL, 0, 0, NULL, "somewhere"},
};

static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .name = "bad-table",
    .options = {rows, 1, sizeof(struct cofre_option), 8, 0},
    .sink = &minimal_sink,
};
COFRE_PLUGIN(descriptor)
