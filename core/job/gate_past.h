/* Of the publish gate (gate.h): what the sources of a job were before. */
#ifndef COFRE_JOB_GATE_PAST_H
#define COFRE_JOB_GATE_PAST_H

#include <jansson.h>

#include "job/gate.h"

struct gate {
    const struct config_job *job;
    struct gate_past *pasts;       /* one for each source of the job, in its order */
    json_t *(*parts)[GATE_BEFORE]; /* likewise: of each of its sizes; NULL = none are known */
    json_t *accepted;              /* the ids of snapshots, as members */
    bool no_memory;
};

/* Of a source of the job. */
const struct gate_past *gate_past_of(const struct gate *gate, const char *source);
/* Its parts: as many as its past has sizes. */
json_t *const *gate_parts_before(const struct gate *gate, const char *source);

#endif
