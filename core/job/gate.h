/* The publish gate: a source that is unlike what it was makes its snapshot suspect. That is stored, and counts for
 * nothing until somebody accepts it.
 *
 * A source is compared with the median of the last GATE_BEFORE snapshots in which it was complete and not suspect, or
 * with as many as there are: with none there is nothing to compare. One that was accepted is a new beginning: what is
 * older does not count any more. What they held is taken from the records of the job on this machine, and, where
 * these tell nothing, from the manifests before.
 *
 * A source is suspect when it
 *   is empty, and was not;
 *   shrank by more than config_shrink_of, in bytes or in entries: by GATE_LEAST_BYTES or GATE_LEAST_ENTRIES at least;
 *   has less than its min_size or min_entries.
 */
#ifndef COFRE_JOB_GATE_H
#define COFRE_JOB_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_instance;
struct config_job;
struct error;
struct gate;
struct manifest;
struct manifest_source;

#define GATE_BEFORE 5
#define GATE_LEAST_BYTES ((uint64_t)64 << 10)
#define GATE_LEAST_ENTRIES ((uint64_t)10)
#define GATE_WHY_MAX 512

/* ---- the judge: a pure function ---- */

struct gate_size {
    uint64_t entries, bytes; /* as a manifest counts them: with the source's own root, where it has one */
};
/* What a source was before. */
struct gate_past {
    struct gate_size sizes[GATE_BEFORE];
    size_t count;
    bool full; /* nothing older counts */
};
struct gate_rules {
    int64_t shrink; /* %; 0 = off: nothing is compared with before */
    uint64_t min_size, min_entries;
};

/* below: the entries besides the root. Suspect: why, in words. */
bool gate_judge(const struct gate_rules *rules, const struct gate_past *past, const struct gate_size *now,
                uint64_t below, char why[GATE_WHY_MAX]);

/* ---- a job's sources, and what they were ---- */

/* directory: of records_directory; records that cannot be read are a warning. The job outlives it. */
int gate_load(const char *directory, const struct config_job *job, struct gate **gate, struct error *e);
/* NULL is fine. */
void gate_free(struct gate *gate);
/* Do the records tell what any of the sources was? */
bool gate_knows(const struct gate *gate);
/* Is there a source of which more could be learnt? */
bool gate_asks(const struct gate *gate);
/* Take what this manifest says; the newest first. accepted: somebody has accepted it. */
void gate_learn(struct gate *gate, const struct manifest *before, bool accepted);

/* Judge a source of the job that was read: when it is suspect its row says why, and so does the log. */
int gate_look(const struct gate *gate, const struct config_instance *source, struct manifest_source *row,
              uint64_t below, struct error *e);

#endif
