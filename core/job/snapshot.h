/* Snapshots: finding them on the sinks, and what people are told about them. */
#ifndef COFRE_JOB_SNAPSHOT_H
#define COFRE_JOB_SNAPSHOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "format/vault.h"
#include "snapshot/manifest.h"

struct config_instance;
struct config_job;
struct engine;
struct vault;
struct vaults;
struct repository;

/* JOB, JOB@latest[~N], JOB@complete[~N], JOB@ID or JOB@PREFIX. */
enum snapshot_by {
    SNAPSHOT_NEWEST,   /* JOB: the newest of the whole job; where a source is asked for, the newest that has it */
    SNAPSHOT_LATEST,   /* the newest, whatever it has */
    SNAPSHOT_COMPLETE, /* the newest complete one */
    SNAPSHOT_ID
};
struct snapshot_selector {
    char job[64];
    enum snapshot_by by;
    char id[MANIFEST_ID_SIZE]; /* SNAPSHOT_ID: the id or its beginning */
    unsigned back;             /* N of ~N: so many before that */
};
/* ERROR_USAGE says what is wrong and shows the forms. */
int snapshot_parse(const char *text, struct snapshot_selector *selector, struct error *e);

/* What pins, proofs and acceptances say of a snapshot, in any of the sinks. A proof counts of a manifest with that hash
 * alone. */
struct snapshot_proof {
    int64_t at; /* ns; 0 = none */
    uint8_t hash[MANIFEST_HASH_SIZE];
};
struct snapshot_said {
    bool pinned;
    int64_t until; /* ns; VAULT_PIN_FOREVER */
    char note[VAULT_NOTE_MAX + 1];
    struct snapshot_proof verified, proven;
    bool accepted; /* of this very manifest, although it is suspect */
    bool unread;   /* and something else, which cannot be read: it may be a pin */
};

/* A snapshot and the sinks (of those asked) that hold it. manifest is NULL when it was not read, when it is sealed, or
 * when it cannot be read wherever it was found: then only id, job and host are known. host is NULL when only the name
 * is known, and does not tell it: in an archive that stands in the manifest. */
struct snapshot {
    char id[MANIFEST_ID_SIZE];
    char *job, *host;
    struct manifest *manifest;
    const struct config_instance *from; /* the sink whose manifest it is */
    const struct config_instance **sinks;
    size_t sink_count;
    struct snapshot_said *said; /* NULL = nothing */
    bool sealed;                /* whole and signed, and no key at hand opens the manifest: a put key */
    enum error_class damaged;   /* ERROR_NONE, or of what class it is that the manifest can be read nowhere */
    char *why;                  /* the same in words, of the last place; NULL = it can be read, or that was not tried */
};
struct snapshot_list {
    struct snapshot *items; /* oldest first */
    size_t count;
    bool unsaid; /* not all that is said of them could be read, which was logged */
};
void snapshot_list_free(struct snapshot_list *list);
/* Remove one; those behind it move up. */
void snapshot_list_drop(struct snapshot_list *list, size_t item);

/* All snapshots of this host and job (job NULL = of all configured jobs; host NULL = any) on sink, or on all sinks of
 * the jobs when sink is NULL. A sink that cannot be reached is logged as a warning and counted in *unreachable; none
 * reachable is an error. A manifest that cannot be read, whatever is wrong with it, is logged and counted in *damaged,
 * and is in the way of no other. */
int snapshot_list(const struct engine *engine, const char *job, const char *host, const struct config_instance *sink,
                  struct snapshot_list *list, size_t *unreachable, size_t *damaged, struct error *e);

/* The same by their names alone, which costs one listing of each sink: no manifests, and nothing is known of damage.
 * Those whose host is not known may be of another. opened: one of the sinks that is open already, and stays so; NULL =
 * none. */
int snapshot_names(const struct engine *engine, const char *job, const char *host, const struct config_instance *sink,
                   struct vault *opened, struct snapshot_list *list, size_t *unreachable, struct error *e);

/* Either, of vaults that may be open already, and stay so. */
int snapshot_look(struct vaults *vaults, const char *job, const char *host, bool names_only, struct snapshot_list *list,
                  size_t *unreachable, size_t *damaged, struct error *e);
/* Look for what is said of those in the list, in the vaults that are open; where that fails it is logged, and noted in
 * list->unsaid. */
int snapshot_annotate(const struct vaults *vaults, const char *job, const char *host, struct snapshot_list *list,
                      struct error *e);
/* Say that its manifest cannot be read in a sink (a warning), and note it there. */
void snapshot_cannot_be_read(struct snapshot *snapshot, const char *sink, const struct error *why);

/* The one that the selector means, and the vault, opened and prepared, that has it: sink when given, else the first
 * sink of the job that can be reached and has it. source: the one that is asked for; NULL = none in particular. When
 * that leads away from the newest snapshot, it is said. Each sink is opened once. A whole id is asked for by its name,
 * and nothing is listed; otherwise names are listed, and manifests read, the newest first, until it is known which is
 * meant: nearly always that is the first. In a far store the difference is minutes. One whose manifest cannot be read
 * for what it is counts for no age: it is passed over, named in a warning, and counted in *passed, so that whoever goes
 * on with an older one can tell. One that cannot be reached is an error. One that is suspect, in the source that is
 * asked for, is passed over likewise until somebody accepts it, and is named, but not counted: an age means it only
 * where there is no other. After failure *vault and *manifest are NULL. */
int snapshot_open(const struct engine *engine, const struct snapshot_selector *selector, const char *source,
                  const struct config_instance *sink, struct vault **vault, struct manifest **manifest, size_t *passed,
                  struct error *e);

/* The source of that name in the manifest, of which something was saved. ERROR_USAGE with a suggestion, or
 * ERROR_NOT_FOUND with why nothing was. */
int snapshot_source(const struct manifest *manifest, const char *name, const struct manifest_source **source,
                    struct error *e);

/* The id of the newest snapshot of this host and job that has something of the source, on this sink (NULL = those of
 * the job), for hints: false when none is known. What cannot be looked at is logged. */
bool snapshot_newest_with(const struct engine *engine, const char *job, const char *host, const char *source,
                          const struct config_instance *sink, char id[MANIFEST_ID_SIZE]);

#endif
