/* One restore. */
#ifndef COFRE_DOCKER_VOLUME_RESTORING_H
#define COFRE_DOCKER_VOLUME_RESTORING_H

#include <stdbool.h>
#include <stdint.h>

#include "docker-volume/note.h"
#include "docker-volume/plan.h"
#include "docker-volume/source.h"
#include "docker-volume/users.h"

/* What came into the volume of the note's item with the same index. */
struct restoring_tally {
    uint64_t entries, bytes;
};

struct restoring {
    const struct source *source;
    struct cofre_call *call;
    struct cofre_error *error;
    struct note note;
    struct plan plan;
    struct users users; /* as they were at the beginning */
    struct restoring_tally *tallies;
    bool has_room; /* that was looked at */
};

#endif
