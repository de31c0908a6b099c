/* Attempts: each at a run, restore, verification, prune, gc or copy leaves one record (attempt/records.h), whatever
 * came of it, also when it was killed.
 *
 * Before the work begins the record, as far as it is known, is written to STATE/jobs/JOB/attempts/ID (STATE/sinks/SINK
 * for what has no job), durably, and locked while this process lives. At the end the record is appended to the others,
 * and that file goes. What a killed process leaves is closed as "killed" by the watchdog (attempt/watchdog.h), or by
 * the next attempt there; so is one whose record could not be written, since how it ended is not known any more. What
 * cannot be written is a warning, and changes nothing for the work itself.
 */
#ifndef COFRE_ATTEMPT_ATTEMPT_H
#define COFRE_ATTEMPT_ATTEMPT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct attempt;
struct config;
struct engine;
struct error;

/* command: "run". job: NULL = none; then it is of the sink. members: what is known of it now: an object, taken; NULL
 * counts as out of memory. NULL when there is no memory, which was said; all calls below take that. */
struct attempt *attempt_begin(const struct engine *engine, const char *command, const char *job, const char *sink,
                              json_t *members);
/* More to stand in the record: likewise. Texts are as attempt_json makes them. */
void attempt_tell(struct attempt *attempt, json_t *members);
/* What was told so far is to stand in its record also when it is killed: its file is written anew, durably. What cannot
 * be written is a warning, and the file stays as it was. */
void attempt_keep(struct attempt *attempt);
/* A copy of the record so far, with this status (NULL = none yet); also of no attempt. NULL = out of memory. */
json_t *attempt_record(const struct attempt *attempt, const char *status);
/* It has ended: status is a word, exit what the command would end with if this were all, why: what failed, or NULL.
 * Frees the attempt. */
void attempt_end(struct attempt *attempt, const char *status, int exit, const struct error *why);
/* The same; the record as it was written, to be freed; NULL = out of memory. */
json_t *attempt_close(struct attempt *attempt, const char *status, int exit, const struct error *why);

/* A text for a record, escaped in a reversible way where JSON could not hold it; null for NULL. */
json_t *attempt_json(const char *text);

/* Close what killed processes left of this configuration. What cannot be closed stays, and is said. */
void attempt_recover(const struct config *config);

/* Of one that has no record yet. */
struct attempt_open {
    const json_t *record;
    bool alive; /* its process is at work */
};
/* Of one that is not alive: what its record is going to say, "killed", but that it ended when it began, since nobody
 * knows when. The caller's; NULL = out of memory. */
json_t *attempt_killed(const struct attempt_open *open);
/* directory: of records_directory. None: 0. */
int attempt_each_open(const char *directory, void (*visit)(void *context, const struct attempt_open *open),
                      void *context, struct error *e);

#endif
