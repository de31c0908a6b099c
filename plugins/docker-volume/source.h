/* One instance of the source. */
#ifndef COFRE_DOCKER_VOLUME_SOURCE_H
#define COFRE_DOCKER_VOLUME_SOURCE_H

#include "common/docker/daemon.h"
#include "common/pattern.h"
#include "docker-volume/halt.h"
#include "docker-volume/options.h"

struct source {
    const struct options *options;
    struct daemon *daemon;
    struct pattern_set volumes, exclude; /* held against names of volumes */
    struct pattern_set exclude_paths;    /* held against NAME/path, as in the snapshot */
};

/* What halt_* needs, with the directory that all sources of this plugin share. */
int32_t source_halt(const struct source *source, struct cofre_call *call, struct halt *halt, struct cofre_error *error);

#endif
