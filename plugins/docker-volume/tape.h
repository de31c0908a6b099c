/* The content of a volume as the tar archive that the daemon gives out, to the host.
 *
 * What comes is from outside, and believed in nothing: names that lead elsewhere, come twice or out of order are named
 * as a problem and not kept, and an archive that does not end as one is cut short. It holds less than the files do:
 * times in whole seconds, and of extended attributes what the daemon puts into it. Nothing has a fingerprint. */
#ifndef COFRE_DOCKER_VOLUME_TAPE_H
#define COFRE_DOCKER_VOLUME_TAPE_H

#include <stdbool.h>

#include "common/docker/daemon.h"
#include "common/pattern.h"
#include "common/tree_read.h"

struct tape_spec {
    const char *volume; /* the path of its root */
    const struct pattern_set *exclude;
    const char *container; /* that works in it; NULL = none does, or databases at work are fine */
};

/* Announce and send all that the stream gives, below the name of the volume. COFRE_OK: what is missing was said to the
 * host. */
int32_t tape_send(struct cofre_call *call, const struct tape_spec *spec, struct daemon_stream *stream,
                  struct tree_read_counts *counts, struct cofre_error *error);

#endif
