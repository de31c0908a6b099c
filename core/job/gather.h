/* Gathering: the events of one source's backup into the savers and a manifest's row. */
#ifndef COFRE_JOB_GATHER_H
#define COFRE_JOB_GATHER_H

#include <stdbool.h>
#include <stdint.h>

struct engine;
struct error;
struct manifest_source;
struct baseline;
struct savers;
struct worker;

struct gather {
    const struct engine *engine;
    struct worker *worker; /* opened */
    struct savers *savers; /* none: count only (dry run) */
    struct baseline *baseline;
    struct manifest_source *source;
    uint64_t unchanged; /* out: entries taken over */
    uint64_t below;     /* out: entries besides the source's own root */
    bool begun;         /* out: something was taken; else it can be run again, with another worker */
};

/* Run the source's backup to its end. *source_failed tells whose fault a -1 is: true = the source's, and the other
 * sources can go on; false = the engine's or the sinks'. */
int gather_run(struct gather *gather, bool *source_failed, struct error *e);

#endif
