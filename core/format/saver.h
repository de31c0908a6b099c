/* Savers: what takes a source's entries during a run. The sources are read once, and every saver gets the same: one
 * stores them in all repositories, and one in each archive. A saver that fails is left out from then on, by name, and
 * the others go on.
 *
 * What a saver does is its format's (vault_format.saver): repository/repository_saver.c, archive/archive_saver.c.
 */
#ifndef COFRE_FORMAT_SAVER_H
#define COFRE_FORMAT_SAVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "snapshot/record.h"

struct baseline;
struct bytes;
struct config_job;
struct engine;
struct manifest;
struct manifest_source;
struct plugin_info;
struct saver;
struct vault;

#define SAVER_SINKS_MAX 32

/* The run, as its savers know it. */
struct saver_run {
    const struct engine *engine;
    const struct config_job *job;
    const char *state; /* the directory of the job's state */
    bool dry;          /* nothing is stored */
    bool whole;        /* everything is read: one of the savers takes nothing over from the snapshot before */
};

/* k: number of a sink among those of the saver. */
struct saver_calls {
    bool together;   /* one saver for all sinks of the format, and not one for each */
    bool takes_over; /* unchanged() works: entries need not be given with their content */
    /* The manifest has its id: get ready to store. */
    int (*start)(struct saver *saver, const struct manifest *manifest, struct error *e);
    void (*free)(struct saver *saver);
    /* Source number i of the job begins; plugin: what reads it. *baseline: what need not be read again; NULL, as it
     * comes, when there is nothing to say. */
    int (*begin)(struct saver *saver, size_t i, const char *source, const struct plugin_info *plugin,
                 struct baseline **baseline, struct error *e);
    int (*entry)(struct saver *saver, const struct snapshot_entry *entry, struct error *e);
    int (*data)(struct saver *saver, const void *p, size_t n, struct error *e);
    int (*hole)(struct saver *saver, uint64_t n, struct error *e);
    int (*restart)(struct saver *saver, struct error *e);
    int (*end)(struct saver *saver, enum record_status status, const char *why, struct error *e);
    int (*unchanged)(struct saver *saver, const void *records, size_t n, uint64_t size, struct error *e);
    /* The source has been read: fill in its row. */
    int (*finish)(struct saver *saver, struct manifest_source *row, struct error *e);
    /* After begin, whatever came of it. failed: nothing of the source is kept. */
    void (*leave)(struct saver *saver, bool failed);
    /* All sources have ended: what was taken is stored; may add to the manifest. NULL = nothing to do. */
    int (*store)(struct saver *saver, struct manifest *manifest, struct error *e);
    /* Bytes added to the sink; why it failed while the others went on, NULL = it did not. Without the function it fails
     * as a whole. */
    uint64_t (*added)(const struct saver *saver, size_t k);
    const struct error *(*failure)(const struct saver *saver, size_t k);
    /* The manifest as it is put, and its key. */
    int (*seal)(struct saver *saver, struct manifest *manifest, struct bytes *object, char key[201], struct error *e);
    /* Right before the manifest is put, which has these bytes: what it needs is written down, and what it re-uses stays
     * protected as long as what it adds. NULL = nothing to do. */
    int (*protect)(struct saver *saver, size_t k, const struct manifest *manifest, const struct bytes *object,
                   struct error *e);
    /* The manifest is in at least one of the sinks. */
    void (*committed)(struct saver *saver, const struct manifest *manifest);
};

struct saver {
    const struct saver_calls *calls;
    const struct saver_run *run;
    struct vault *vaults[SAVER_SINKS_MAX];
    size_t count;
    void *own; /* of the calls */
    bool failed;
    struct error error;
};
struct savers {
    struct saver items[SAVER_SINKS_MAX];
    size_t count;
};

/* -1: none is left, or the run is cancelled. In a dry run only begin and leave do anything. */
int saver_begin(struct savers *savers, size_t i, const char *source, const struct plugin_info *plugin,
                struct baseline **baseline, struct error *e);
int saver_entry(struct savers *savers, const struct snapshot_entry *entry, struct error *e);
int saver_data(struct savers *savers, const void *p, size_t n, struct error *e);
int saver_hole(struct savers *savers, uint64_t n, struct error *e);
int saver_restart(struct savers *savers, struct error *e);
int saver_end(struct savers *savers, enum record_status status, const char *why, struct error *e);
int saver_unchanged(struct savers *savers, const void *records, size_t n, uint64_t size, struct error *e);
int saver_finish(struct savers *savers, struct manifest_source *row, struct error *e);
void saver_leave(struct savers *savers, bool failed);
int saver_store(struct savers *savers, struct manifest *manifest, struct error *e);

/* Note that this one has failed. say: log it, since the run goes on. */
void saver_fail(struct saver *saver, const struct error *why, bool say);
/* Why sink k of it will not get the snapshot; NULL = it will. */
const struct error *saver_failure(const struct saver *saver, size_t k);

#endif
