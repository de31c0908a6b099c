/* A hold: an opened sink with what it holds, a repository or an archive.
 *
 * The verbs (list, show, ls, cat, restore, verify, copy) reach snapshots through these functions alone; each format has
 * a table of them, and only what makes a format is behind it.
 */
#ifndef COFRE_JOB_HOLD_H
#define COFRE_JOB_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/manifest.h"

struct archive;
struct catalogue_record;
struct chain_link;
struct config_instance;
struct copy_result;
struct engine;
struct error;
struct hold_format;
struct player_audience;
struct repository;
struct verify_damage;
struct verify_request;
struct verify_result;
struct worker;

struct hold {
    const struct hold_format *format;
    const struct engine *engine;
    const struct config_instance *config; /* of the sink */
    const char *sink;                     /* its name */
    const char *id;                       /* of the repository or archive: 32 hexadecimal digits */
    struct worker *worker;                /* of the sink; owned by what is held */
    bool opens;                           /* what is at hand opens manifests; not so with a put key */
    struct repository *repository;        /* one of the two */
    struct archive *archive;
    char *text; /* what else it needs, of its own */
};

/* Whose snapshot it is, and which. */
struct hold_name {
    char host[64], job[64], id[MANIFEST_ID_SIZE];
};

/* One snapshot of a listing, one entry of a source: 0, or -1 with *e set, which ends it. */
typedef int hold_snapshot(void *context, const struct hold_name *name, struct error *e);
typedef int hold_entry(void *context, const struct catalogue_record *record, struct error *e);
typedef void hold_damage(void *context, const struct verify_damage *damage);

struct hold_format {
    /* Fill in everything but engine, config, sink and format. After an error nothing is left open. */
    int (*open)(struct hold *hold, struct error *e);
    void (*close)(struct hold *hold);
    int (*list)(struct hold *hold, const char *host, const char *job, hold_snapshot *found, void *context,
                struct error *e);
    int (*read)(struct hold *hold, const struct hold_name *name, struct manifest **manifest, struct error *e);
    int (*peek)(struct hold *hold, const struct hold_name *name, bool *ours, struct chain_link *link, struct error *e);
    int (*prepare)(struct hold *hold, struct error *e);
    int (*entries)(struct hold *hold, const struct manifest *manifest, const struct manifest_source *source,
                   const char *path, hold_entry *entry, void *context, struct error *e);
    int (*play)(struct hold *hold, const struct manifest *manifest, const struct manifest_source *source,
                const char *path, const struct player_audience *audience, uint64_t *entries, struct error *e);
    int (*verify)(struct hold *hold, const struct verify_request *request, hold_damage *damage, void *context,
                  struct verify_result *result, struct error *e);
    int (*copy)(struct hold *from, struct hold *to, const struct manifest *manifest, struct copy_result *result,
                struct error *e);
};
extern const struct hold_format hold_repository, hold_archive;

/* Start the sink's worker and open what its section says that it holds. ERROR_NOT_INITIALISED when there is nothing. */
int hold_open(const struct engine *engine, const struct config_instance *sink, struct hold **hold, struct error *e);
/* NULL is fine. */
void hold_close(struct hold *hold);

/* Every snapshot of that host and job (NULL = any), in any order; found may not use the hold. One whose manifest cannot
 * be read is listed too. */
int hold_list(struct hold *hold, const char *host, const char *job, hold_snapshot *found, void *context,
              struct error *e);
/* Its manifest. Damaged: ERROR_INTEGRITY, ERROR_AUTH. */
int hold_read(struct hold *hold, const struct hold_name *name, struct manifest **manifest, struct error *e);
/* Was it made by this host? Then its place in the chain is in *link (without repositories). What is wrong with a
 * manifest is logged, and it is not ours. */
int hold_peek(struct hold *hold, const struct hold_name *name, bool *ours, struct chain_link *link, struct error *e);
/* Once before content is read. */
int hold_prepare(struct hold *hold, struct error *e);

/* The entries of a source at and below path (NULL or "" = all), in order. */
int hold_entries(struct hold *hold, const struct manifest *manifest, const struct manifest_source *source,
                 const char *path, hold_entry *entry, void *context, struct error *e);
/* The same with their content, every byte checked before it is given. *entries: how many there were. */
int hold_play(struct hold *hold, const struct manifest *manifest, const struct manifest_source *source,
              const char *path, const struct player_audience *audience, uint64_t *entries, struct error *e);

/* verify_run and copy_run (verify.h, copy.h) for what is held. */
int hold_verify(struct hold *hold, const struct verify_request *request, hold_damage *damage, void *context,
                struct verify_result *result, struct error *e);
int hold_copy(struct hold *from, struct hold *to, const struct manifest *manifest, struct copy_result *result,
              struct error *e);

#endif
