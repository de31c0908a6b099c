/* The destinations of a run: the job's sinks, opened, written to, and committed to, each by itself.
 *
 * Repositories share one writer, and with it the chunks; every archive has a bundle of its own.
 */
#ifndef COFRE_JOB_DESTINATION_H
#define COFRE_JOB_DESTINATION_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "job/chain.h"
#include "job/saver.h"
#include "repository/shipper.h"

struct backup_sink;
struct baseline;
struct bundle;
struct config_job;
struct engine;
struct error;
struct vault;
struct manifest;
struct recorder;
struct repository;
struct worker;
struct writer;

/* One sink. vault is NULL when it could not be opened; then its result says why. */
struct destination {
    const struct config_instance *config;
    struct vault *vault;
    struct backup_sink *result;
    size_t lane;           /* of a repository: its number in the shipper */
    struct bundle *bundle; /* of an archive */
    struct saver saver;    /* of an archive */
};

struct destinations {
    const struct engine *engine;
    const struct config_job *job;
    bool dry; /* nothing is stored */
    char state[PATH_MAX], cache[PATH_MAX];
    struct chain chain;
    struct destination *items;
    size_t count;
    struct repository *live[SHIPPER_SINKS_MAX]; /* repositories that could be opened */
    size_t live_count, archive_count;
    struct shipper *shipper; /* NULL without repositories */
    struct writer *writer;
    struct saver repositories; /* all of them; its context is the recorder of the source at hand */
    struct saver *savers[SHIPPER_SINKS_MAX + 1];
    struct savers list;
};

/* Open every sink, and see what it has of the job. One that cannot be used is dropped; none left is an error; a mistake
 * in the configuration ends the run. results: one for each sink. The chain is loaded. */
int destination_open(struct destinations *d, struct backup_sink *results, struct manifest *manifest, struct error *e);
/* The manifest has its id: the one before it, from the first sink that can give it. */
int destination_before(struct destinations *d, const struct manifest *now, struct manifest **before, struct error *e);
/* The manifest has its id: get ready to store. */
int destination_start(struct destinations *d, struct manifest *manifest, struct error *e);
void destination_close(struct destinations *d);

/* What one source's entries go through. */
struct destination_source {
    struct baseline *baseline;
    struct recorder *recorder; /* NULL without repositories, or dry */
    char fresh[PATH_MAX];      /* the catalogue being written; "" = none */
};
int destination_begin(struct destinations *d, size_t i, const struct manifest *manifest, const struct worker *worker,
                      struct destination_source *source, struct error *e);
/* failed: nothing of the source is kept. */
void destination_end(struct destinations *d, struct destination_source *source, bool failed);

/* After all sources: the commit, in each. 0: at least one has it. */
int destination_commit(struct destinations *d, struct manifest *manifest, struct error *e);

#endif
