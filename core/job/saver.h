/* Savers: what takes a source's entries during a run. The sources are read once, and every saver gets the same: one
 * stores them in all repositories, and one in each archive. A saver that fails is left out from then on, by name, and
 * the others go on. */
#ifndef COFRE_JOB_SAVER_H
#define COFRE_JOB_SAVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "repository/catalogue.h"

struct manifest_source;
struct snapshot_entry;

/* Contracts as in store/recorder.h and archive/bundle.h. */
struct saver_calls {
    int (*entry)(void *context, const struct snapshot_entry *entry, struct error *e);
    int (*data)(void *context, const void *p, size_t n, struct error *e);
    int (*hole)(void *context, uint64_t n, struct error *e);
    int (*restart)(void *context, struct error *e);
    int (*end)(void *context, enum record_status status, const char *why, struct error *e);
    int (*unchanged)(void *context, const void *records, size_t n, uint64_t size, struct error *e);
    int (*finish)(void *context, struct manifest_source *row, struct error *e);
};
extern const struct saver_calls saver_recorder; /* context: struct recorder */
extern const struct saver_calls saver_bundle;   /* context: struct bundle */

struct saver {
    const struct saver_calls *calls;
    void *context;
    const char *sink; /* for messages; NULL when the messages say it */
    bool failed;
    struct error error; /* which was logged */
};
struct savers {
    struct saver **items;
    size_t count;
};

/* -1: none is left, or the run is cancelled. With no savers at all nothing happens. */
int saver_entry(struct savers *savers, const struct snapshot_entry *entry, struct error *e);
int saver_data(struct savers *savers, const void *p, size_t n, struct error *e);
int saver_hole(struct savers *savers, uint64_t n, struct error *e);
int saver_restart(struct savers *savers, struct error *e);
int saver_end(struct savers *savers, enum record_status status, const char *why, struct error *e);
int saver_unchanged(struct savers *savers, const void *records, size_t n, uint64_t size, struct error *e);
/* The source has ended: fill in its row. */
int saver_finish(struct savers *savers, struct manifest_source *row, struct error *e);

/* Note and log that this one has failed. */
void saver_fail(struct saver *saver, const struct error *why);

#endif
