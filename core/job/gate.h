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
 * So is it when one of its parts, which its plugin alone knows (COFRE_SOURCE_PARTS), shrank so or is empty, against the
 * median of those of the snapshots that had it, or is not there and most of them had something in it. A part that is
 * new is compared with nothing, and one that is not there because it could not be read is named by the plugin. Parts
 * are compared with those of the snapshots that were made with the same options alone: what somebody took out of the
 * section is missed by nobody.
 */
#ifndef COFRE_JOB_GATE_H
#define COFRE_JOB_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

struct config_instance;
struct config_job;
struct error;
struct gate;
struct manifest;
struct manifest_source;

#define GATE_BEFORE 5
#define GATE_LEAST_BYTES ((uint64_t)64 << 10)
#define GATE_LEAST_ENTRIES ((uint64_t)10)
#define GATE_PARTS_SAID 3 /* what there is beyond is counted */
#define GATE_WHY_MAX 1024
#define GATE_SECTION_MAX 17

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

/* The parts of a source, as gate_parts makes them: now, and those of count snapshots before, the newest first (NULL =
 * none are known). except: an object with the names of those of which something is said already. Of each that is
 * suspect why, in words, behind what stands in why. */
void gate_judge_parts(const struct gate_rules *rules, const json_t *now, json_t *const *before, size_t count,
                      const json_t *except, char why[GATE_WHY_MAX]);

/* ---- a job's sources, and what they were ---- */

/* The parts of a source as they stand in a record: a list of objects with "name", "entries", "bytes". NULL: out of
 * memory. */
json_t *gate_parts(const struct manifest_source *row);
/* The options that it has, as a record has them: a text that is another one when one of them is. Returns out. */
const char *gate_section(const struct manifest_source *row, char out[GATE_SECTION_MAX]);

/* directory: of records_directory; records that cannot be read are a warning. The job outlives it. */
int gate_load(const char *directory, const struct config_job *job, struct gate **gate, struct error *e);
/* NULL is fine. */
void gate_free(struct gate *gate);
/* Do the records tell what any of the sources was? */
bool gate_knows(const struct gate *gate);
/* Is there a source of which more could be learnt? */
bool gate_asks(const struct gate *gate);
/* Take what this manifest says; the newest first. accepted: somebody has accepted it. */
int gate_learn(struct gate *gate, const struct manifest *before, bool accepted, struct error *e);

/* Judge a source of the job that was read: when it is suspect its row says why, and so does the log. */
int gate_look(const struct gate *gate, const struct config_instance *source, struct manifest_source *row,
              uint64_t below, struct error *e);

#endif
