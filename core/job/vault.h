/* A vault: an opened sink with what it holds, a repository or an archive.
 *
 * The verbs (list, show, ls, cat, restore, verify, copy) reach snapshots through these functions alone; each format has
 * a table of them, and only what makes a format is behind it.
 */
#ifndef COFRE_JOB_VAULT_H
#define COFRE_JOB_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot/manifest.h"

struct archive;
struct record;
struct history_link;
struct config_instance;
struct copy_result;
struct engine;
struct error;
struct init_result;
struct vault_format;
struct player_audience;
struct repository;
struct saver_calls;
struct sink;
struct verify_damage;
struct verify_request;
struct verify_result;

struct vault {
    const struct vault_format *format;
    const struct engine *engine;
    const struct config_instance *config; /* of the sink */
    const char *id;                       /* of the repository or archive: 32 hexadecimal digits */
    struct sink *sink;                    /* owned by what is held */
    bool opens;                           /* what is at hand opens manifests; not so with a put key */
    struct repository *repository;        /* one of the two */
    struct archive *archive;
    char *text; /* what else it needs, of its own */
};

/* Whose snapshot it is, and which. */
struct vault_name {
    char host[64], job[64], id[MANIFEST_ID_SIZE];
};

/* One snapshot of a listing, one entry of a source: 0, or -1 with *e set, which ends it. */
typedef int vault_snapshot(void *context, const struct vault_name *name, struct error *e);
/* A manifest, which is the callee's now; or NULL, and *why says what is wrong with it. */
typedef int vault_manifest(void *context, const struct vault_name *name, struct manifest *manifest,
                           const struct error *why, struct error *e);
typedef int vault_entry(void *context, const struct record *record, struct error *e);
typedef void vault_warn(void *context, const char *text, const char *hint);
typedef void vault_damage(void *context, const struct verify_damage *damage);

/* What a check says: a finding, or what is wrong; and a secret as it was resolved, and how the section has it. */
struct vault_reporter {
    void (*say)(void *context, int level, const char *text, const char *hint);
    void (*wrong)(void *context, const struct error *e);
    void (*secret)(void *context, const char *key, const char *text, const void *bytes, size_t length);
    void *context;
};
/* A vault_warn whose context is a reporter. */
void vault_reporter_warn(void *reporter, const char *text, const char *hint);

struct vault_format {
    const struct saver_calls *saver; /* how it is written */
    unsigned connections;            /* without which nothing works: least of struct sink_spec */
    bool opens_own_secrets;          /* OpenPGP's secrets are needed to open it: check() tells of them */
    /* Fill in everything but engine, config, sink and format. The sink is open, and taken; after an error nothing is
     * left open. */
    int (*open)(struct vault *vault, struct error *e);
    void (*close)(struct vault *vault);
    int (*list)(struct vault *vault, const char *host, const char *job, vault_snapshot *found, void *context,
                struct error *e);
    /* NULL = list does not read anything else. */
    int (*names)(struct vault *vault, const char *job, vault_snapshot *found, void *context, struct error *e);
    int (*read)(struct vault *vault, const struct vault_name *name, struct manifest **manifest, struct error *e);
    int (*read_all)(struct vault *vault, const struct vault_name *names, size_t count, vault_manifest *found,
                    void *context, struct error *e);
    int (*peek)(struct vault *vault, const struct vault_name *name, bool *ours, struct history_link *link,
                struct error *e);
    /* May a job store in both of them? NULL = yes. */
    int (*fits)(const struct vault *one, const struct vault *other, struct error *e);
    /* NULL = nothing to show. */
    int (*ready)(struct vault *vault, vault_warn *warn, void *context, struct error *e);
    int (*prepare)(struct vault *vault, struct error *e);
    int (*entries)(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                   const char *path, vault_entry *entry, void *context, struct error *e);
    int (*play)(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                const char *path, const struct player_audience *audience, uint64_t *entries, struct error *e);
    int (*verify)(struct vault *vault, const struct verify_request *request, vault_damage *damage, void *context,
                  struct verify_result *result, struct error *e);
    int (*copy)(struct vault *from, struct vault *to, const struct manifest *manifest, struct copy_result *result,
                struct error *e);
    /* Make it, in an opened sink: init_run (init.h). */
    int (*init)(const struct engine *engine, struct sink *sink, const struct config_instance *section,
                struct init_result *result, struct error *e);
    /* Is everything there that a run needs? It is open. */
    void (*check)(struct vault *vault, struct vault_reporter *to);
    /* What can be known of it without reaching anything; NULL = nothing. */
    void (*check_offline)(const struct config_instance *section, struct vault_reporter *to);
};
extern const struct vault_format vault_repository, vault_archive;
const struct vault_format *vault_format_of(const struct config_instance *sink);

/* Open the sink and what its section says that it holds. ERROR_NOT_INITIALISED when there is nothing. */
int vault_open(const struct engine *engine, const struct config_instance *sink, struct vault **vault, struct error *e);
/* The same in a sink that is open, and is taken, also after an error. */
int vault_open_in(const struct engine *engine, const struct config_instance *section, struct sink *sink,
                  struct vault **vault, struct error *e);
/* NULL is fine. */
void vault_close(struct vault *vault);

/* Every snapshot of that host and job (NULL = any), in any order; found may not use the vault. One whose manifest
 * cannot be read is listed too. */
int vault_list(struct vault *vault, const char *host, const char *job, vault_snapshot *found, void *context,
               struct error *e);
/* The same from the names of objects alone. Where they do not tell the host, name->host is "", and snapshots of others
 * are among them. */
int vault_names(struct vault *vault, const char *host, const char *job, vault_snapshot *found, void *context,
                struct error *e);
/* Its manifest. Damaged: ERROR_INTEGRITY, ERROR_AUTH. */
int vault_read(struct vault *vault, const struct vault_name *name, struct manifest **manifest, struct error *e);
/* Those of several snapshots, in this order, side by side where the sink takes several requests at once. found may not
 * use the vault. */
int vault_read_all(struct vault *vault, const struct vault_name *names, size_t count, vault_manifest *found,
                   void *context, struct error *e);
/* Was it made by this host? Then its place in the history is in *link (without repositories). What is wrong with a
 * manifest is logged, and it is not ours. */
int vault_peek(struct vault *vault, const struct vault_name *name, bool *ours, struct history_link *link,
               struct error *e);
/* May a job store in both of them? ERROR_CONFIG. Different formats go well together. */
int vault_fits(const struct vault *one, const struct vault *other, struct error *e);
/* Everything is there that sealing needs, and works. warn: of what will fail one day. */
int vault_ready(struct vault *vault, vault_warn *warn, void *context, struct error *e);
/* Once before content is read. */
int vault_prepare(struct vault *vault, struct error *e);

/* The entries of a source at and below path (NULL or "" = all), in order. */
int vault_entries(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                  const char *path, vault_entry *entry, void *context, struct error *e);
/* The same with their content, every byte checked before it is given. *entries: how many there were. */
int vault_play(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
               const char *path, const struct player_audience *audience, uint64_t *entries, struct error *e);

/* Remove what interrupted puts left. On a disk that other machines share their running puts cannot be told from dead
 * ones but by age: a day. That it does not work is a warning, and no reason not to store. */
void vault_sweep(const struct vault *vault);

/* verify_run and copy_run (verify.h, copy.h) for what is held. */
int vault_verify(struct vault *vault, const struct verify_request *request, vault_damage *damage, void *context,
                 struct verify_result *result, struct error *e);
int vault_copy(struct vault *from, struct vault *to, const struct manifest *manifest, struct copy_result *result,
               struct error *e);

#endif
