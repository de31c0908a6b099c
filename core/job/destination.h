/* The destinations of a run: the job's sinks, opened, written to, and committed to, each by itself.
 */
#ifndef COFRE_JOB_DESTINATION_H
#define COFRE_JOB_DESTINATION_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "format/saver.h"
#include "job/history.h"

struct backup_sink;
struct baseline;
struct error;
struct vault;
struct manifest;
struct plugin_info;

/* One sink. vault is NULL when it could not be opened; then its result says why. */
struct destination {
    const struct config_instance *config;
    struct vault *vault;
    struct backup_sink *result;
};

struct destinations {
    struct saver_run run;
    char state[PATH_MAX];
    struct history history;
    struct destination *items;
    size_t count;
    struct savers savers;
};

/* Open every sink, and see what it has of the job. One that cannot be used is dropped; none left is an error; a mistake
 * in the configuration ends the run. results: one for each sink. The history is loaded. */
int destination_open(struct destinations *d, struct backup_sink *results, struct manifest *manifest, struct error *e);
/* The manifest has its id: the one before it, from the first sink that can give it. */
int destination_before(struct destinations *d, const struct manifest *now, struct manifest **before, struct error *e);
/* Has somebody accepted this suspect snapshot, in any of the sinks? A sink that cannot tell is passed over. */
int destination_accepted(struct destinations *d, const struct manifest *suspect, bool *accepted, struct error *e);
/* The manifest has its id: get ready to store. */
int destination_start(struct destinations *d, const struct manifest *manifest, struct error *e);
/* why: of a failed run, else NULL. A sink that had no room tells last how full it is. */
void destination_close(struct destinations *d, const struct error *why);

/* Source number i of the job is going to be read by this plugin. *baseline: what need not be read again. Whatever came
 * of it, destination_end must follow. failed: nothing of the source is kept. */
int destination_begin(struct destinations *d, size_t i, const char *source, const struct plugin_info *plugin,
                      struct baseline **baseline, struct error *e);
void destination_end(struct destinations *d, struct baseline *baseline, bool failed);

/* After all sources: the commit, in each. 0: at least one has it. */
int destination_commit(struct destinations *d, struct manifest *manifest, struct error *e);

#endif
