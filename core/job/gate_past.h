/* Of the publish gate (gate.h): what the sources of a job were before. */
#ifndef COFRE_JOB_GATE_PAST_H
#define COFRE_JOB_GATE_PAST_H

#include <jansson.h>

#include "job/gate.h"

/* Of one source in one snapshot. */
struct gate_parts {
    json_t *list;                   /* NULL = none are known */
    char section[GATE_SECTION_MAX]; /* "" = not known */
};

struct gate {
    const struct config_job *job;
    struct gate_past *pasts;                 /* one for each source of the job, in its order */
    struct gate_parts (*parts)[GATE_BEFORE]; /* likewise: of each of its sizes */
    json_t *accepted;                        /* the ids of snapshots, as members */
    bool no_memory;
};

/* Of a source of the job. */
const struct gate_past *gate_past_of(const struct gate *gate, const char *source);
/* Its parts in those of these snapshots that were made with these options, the newest first; lent. Returns how many. */
size_t gate_parts_before(const struct gate *gate, const char *source, const char *section, json_t *before[GATE_BEFORE]);

#endif
