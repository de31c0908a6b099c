/* The history: which snapshots this host has committed of a job, and where; kept in the state directory.
 *
 * It gives a new snapshot its sequence number and predecessor, tells a sink that merely missed a run from one from
 * which a snapshot was taken away, and is a witness that no sink can roll back unseen.
 */
#ifndef COFRE_JOB_HISTORY_H
#define COFRE_JOB_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "snapshot/manifest.h"

struct config;
struct error;
struct snapshot_list;
struct vault;
struct vaults;

#define HISTORY_MAX 1000 /* links remembered */
#define HISTORY_FORMS_MAX 32

/* Hashes of one snapshot's manifest: repositories share its bytes, and each archive has a form of its own. */
struct history_forms {
    uint8_t hashes[HISTORY_FORMS_MAX][MANIFEST_HASH_SIZE]; /* first that of a repository, if there is one */
    size_t count;
};

struct history_link {
    char id[MANIFEST_ID_SIZE];
    uint64_t sequence;
    struct history_forms forms; /* of the manifest; at least one */
    char (*repositories)[33];   /* ids of those that committed it */
    size_t repository_count;
};

struct history {
    char *path;
    struct history_link *links; /* oldest first */
    size_t count;
    bool adopted;                  /* the newest link is what sinks say */
    char host[64];                 /* whose it is */
    char former_host[64];          /* whose the state was before, when this machine was called so; "" = nobody's */
    char newest[MANIFEST_ID_SIZE]; /* the greatest id of a snapshot of ours, here or in a sink */
};

/* directory: of state_directory. None yet: an empty history. A damaged file is ERROR_INTEGRITY. After an error there is
 * nothing to free. */
int history_load(const char *directory, const char *host, struct history *history, struct error *e);
void history_free(struct history *history);

/* As history_load, for this host, by the name of a job: what is not there is not made. To be freed also after an error.
 */
int history_of_job(const struct config *config, const char *job, struct history *history, struct error *e);

/* The id of the newest known snapshot that was committed to that repository; NULL = none was. */
const char *history_newest_in(const struct history *history, const char *repository);

/* Of each sink that was looked at, and of the job (NULL = each that is configured): is the newest snapshot that this
 * machine committed to it in the list? When not, it is said: somebody put an older state in place. Where snapshots of
 * another host were asked for, or of all (NULL), there is nothing to say. */
void history_warn_gone(const struct vaults *vaults, const struct snapshot_list *list, const char *job,
                       const char *host);
void history_say_gone(const char *sink, const char *id);
/* Is it the place that it was, and does it show what it has? listed: the newest snapshot that this machine has
 * committed there (history_newest_in) is. ERROR_PERMANENT: nothing is to be removed from it. */
int history_doubt(const struct history *history, struct vault *vault, const char *job, bool listed, struct error *e);
/* Does a removal record in the vault name that link of the history, or a range in which it was? Then it is no wonder
 * that it is gone: this machine remembers less than it did. That records cannot be read is logged. */
bool history_was_removed(struct vault *vault, const struct history *history, const char *job, const char *id);

/* One more form: the bytes of a manifest. */
void history_add_form(struct history_forms *forms, const void *manifest, size_t n);
bool history_has_form(const struct history_forms *forms, const uint8_t hash[MANIFEST_HASH_SIZE]);

/* Compare with what a sink lists under the job: adopts the newest snapshot when the state knows less (lost
 * state), adds to the manifest's `missed` what it lacks without ever having had it, and warns of what it had and lacks
 * now. */
int history_compare(struct history *history, struct vault *vault, const char *job, struct manifest *manifest,
                    struct error *e);

/* To be called when all sinks were compared: warn when the machine has another name than before and the history begins
 * anew. The next commit forgets the former name, so it is said once. */
void history_say_renamed(const struct history *history, const char *job);

/* Sequence, predecessor and id for a new manifest. Ids ascend with the sequence, even when the clock went back: the
 * id's time is then a second behind the one before; but by more than a day it does not run ahead of the clock. */
int history_continue(const struct history *history, struct manifest *manifest, struct error *e);

/* A copy of a snapshot of ours was committed to the repository id: remember it, durably, if the snapshot is remembered
 * at all. directory, host: as of history_load; the job's lock is held. */
int history_copied(const char *directory, const char *host, const char *snapshot, const char *id, struct error *e);

/* Remember a commit, durably. ids: of the repositories that have it. */
int history_append(struct history *history, const struct manifest *manifest, const struct history_forms *forms,
                   const char *const *ids, size_t count, struct error *e);

#endif
