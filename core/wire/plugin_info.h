/* What a plugin said of itself, as both ends of a worker know it. */
#ifndef COFRE_WIRE_PLUGIN_INFO_H
#define COFRE_WIRE_PLUGIN_INFO_H

#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

struct plugin_info {
    enum plugin_role role;
    char *path; /* of the shared object */
    char *name, *version, *summary, *license, *example;
    char *environment; /* names of variables it reads; NULL = none */
    char *reads;       /* files it reads beside those of its options; NULL = none */
    uint32_t api_level;
    uint64_t capabilities; /* COFRE_SOURCE_*, COFRE_SINK_*, COFRE_NO_NETWORK */
    uint32_t offers;       /* PLUGIN_OFFERS_* */
    struct option *options;
    size_t option_count;
};

/* The optional operations that are there. */
enum {
    PLUGIN_OFFERS_FREEZE = 1,
    PLUGIN_OFFERS_ESTIMATE = 2,
    PLUGIN_OFFERS_SCRATCH = 4,
    PLUGIN_OFFERS_FACTS = 8,
    PLUGIN_OFFERS_CREATE = 16,
    PLUGIN_OFFERS_SYNC = 32,
    PLUGIN_OFFERS_SWEEP = 64,
    PLUGIN_OFFERS_SPACE = 128,
    PLUGIN_OFFERS_RETAIN = 256,
    PLUGIN_OFFERS_THAW = 512,
    PLUGIN_OFFERS_DISCOVER = 1024,
    PLUGIN_OFFERS_SERVICES = 2048,
    PLUGIN_OFFERS_REMOVE_MANY = 4096
};

#endif
