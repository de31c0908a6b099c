/* A repository: a sink of format 1, its key, and what is known of its objects. */
#ifndef COFRE_REPOSITORY_REPOSITORY_H
#define COFRE_REPOSITORY_REPOSITORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pthread.h>

#include "base/bytes.h"
#include "repository/key.h"
#include "repository/seal.h"

struct error;
struct index;
struct index_location;
struct index_pack;
struct manifest;
struct needs;
struct pack_chunk;
struct plan;
struct pack_name;
struct signers;
struct sink;

#define REPOSITORY_ID_SIZE 16
#define REPOSITORY_FORMAT 1

struct repository_spec {
    const char *host;      /* ours */
    const char *key_file;  /* NULL = encryption = none */
    const char *cache_dir; /* the index is kept in CACHE_DIR/REPOSITORY/ */
    const char *state_dir; /* what is known of packs is kept in STATE_DIR/repositories/REPOSITORY/ */
    bool trust_hosts;
};

struct repository {
    struct sink *sink;      /* owned */
    char *host, *cache;     /* cache: directory of this repository, made */
    char *state;            /* directory of what this machine knows of it */
    char *damaged;          /* directory of doubts (doubt.h) */
    char *ledger;           /* file (ledger.h) */
    _Atomic size_t doubted; /* packs that were found damaged since it was opened */
    _Atomic size_t warned;  /* repository_warn */
    bool trust_hosts;
    bool plain; /* encryption = none */
    struct key *key;
    struct signers *signers;
    uint8_t full_signer[KEY_SIZE]; /* the full key's, whatever key is at hand */
    uint8_t id[REPOSITORY_ID_SIZE];
    char id_text[2 * REPOSITORY_ID_SIZE + 1];
    struct index *index;     /* NULL until repository_load_index */
    bool own_alone;          /* the index is of our host's packs */
    struct bytes plans;      /* keys of the plans that were read, NUL terminated */
    struct bytes planned;    /* hashes of the packs in them, sorted */
    int64_t plans_read;      /* clock_monotonic, before they were listed */
    int64_t plans_read_at;   /* clock_now, then */
    bool plan_seen;          /* one was listed, whatever it says */
    bool looked;             /* packs were listed for the index; else it goes by what was remembered of that */
    int64_t dear;            /* ms: a listing of packs that takes longer is remembered for a while */
    size_t many_packs;       /* from so many on they are listed in parts */
    _Atomic bool recovered;  /* packs without an index object were looked into */
    pthread_mutex_t finding; /* held while a reader looks into the index, which may make it grow */
};

/* Take the sink (also after an error) and open the repository in it: read config, check format, features, key.
 * None there: ERROR_NOT_INITIALISED. Another key: ERROR_AUTH. */
int repository_open(struct sink *sink, const struct repository_spec *spec, struct repository **repository,
                    struct error *e);
/* Something is wrong with one object, which is passed over. Whoever may add can add a million: the first are said, the
 * others only with -v, and counted when the repository is closed. The sink is put before it. */
void repository_warn(struct repository *repository, struct error *why);

/* Frees the sink. NULL is fine. */
void repository_close(struct repository *repository);

/* May the key store what is of that host? ERROR_AUTH when it is the put key of another, a prune key, or was revoked. */
int repository_check_writer(const struct repository *repository, const char *host, struct error *e);

/* Make the config object of a new repository, if the place is empty. key: full; plain: its seed goes into the config.
 * *existed: there was one already, of this key. ERROR_EXISTS: of another key, or other objects without a config.
 * What was written is read back. */
int repository_create(struct sink *sink, const struct key *key, bool plain, char id_text[2 * REPOSITORY_ID_SIZE + 1],
                      bool *existed, struct error *e);

/* Read all index objects that the cache lacks, list the packs, and build the index of what is really there. Damaged
 * index objects are logged as warnings; what they said is then found by repository_recover_index. REPOSITORY_OWN: those
 * of this host alone, unless trust_hosts is set; where listing is dear, packs may be as an earlier run has listed them
 * (repository_look.c). Of a repository it is always called with the same. */
enum repository_hosts { REPOSITORY_OWN, REPOSITORY_ALL };
int repository_load_index(struct repository *repository, enum repository_hosts hosts, struct error *e);
/* Before everything in it is counted, or when something is lacking: read all of the index, and load it anew if a part
 * of it is damaged. */
int repository_check_index(struct repository *repository, struct error *e);
/* The pack is damaged: runs are not to rely on it, from the next repository_load_index on, or repository_heed_doubts.
 * What goes wrong with remembering it is logged. Once the repository is closed, it is said what that means. */
void repository_doubt(struct repository *repository, const struct pack_name *pack);
/* A chunk was not there as the index says. What does the pack itself say? Another place in it: true, and it is in
 * location->chunk. The same, or nothing: it is damaged, and doubted. So nobody's false word makes a whole pack doubted.
 */
bool repository_blame(struct repository *repository, struct index_location *location);
/* It is whole, after all. */
void repository_trust(struct repository *repository, const struct pack_name *pack);
int repository_heed_doubts(struct repository *repository, struct error *e);
/* An index object that this machine is about to store: it is remembered, durably, and from then on what it describes is
 * our own. One that never comes to be does no harm. */
int repository_own_index(struct repository *repository, const uint8_t name[SEAL_HASH_SIZE], struct error *e);
/* A place of the chunk that a new snapshot may rely on: as trust_hosts says, and in no damaged pack. */
bool repository_has(const struct repository *repository, const uint8_t id[SEAL_HASH_SIZE],
                    struct index_location *location);
/* Those chunks, for index_chunk_at: enum index_use. */
int repository_use(const struct repository *repository);

/* Read the directories of packs that no index object describes, or only a foreigner's (index_vouches): once, later
 * calls do nothing. Only the full key can; without it nothing happens. */
int repository_recover_index(struct repository *repository, struct error *e);

/* ---- which packs are there: repository_packs.c, repository_look.c ---- */

/* All packs of the hosts that the index is of, sorted by pack_name_compare; the caller frees. */
int repository_list_packs(struct repository *repository, struct index_pack **packs, size_t *count, struct error *e);
/* The same in batches, none of which takes much memory: each sorted, and behind the one before, lent to take, which
 * returns 0, or -1 with *e set to stop. The many packs of one host are listed by the first two digits of their names,
 * side by side with all connections. All of them, or an error: then what was taken is not all. */
typedef int repository_packs(void *context, struct index_pack *packs, size_t count, struct error *e);
int repository_each_packs(struct repository *repository, repository_packs *take, void *context, struct error *e);
/* List the packs for the index, if it goes by what was remembered. */
int repository_look(struct repository *repository, struct error *e);

/* What was remembered of a listing, if it counts for this run, whose plans were read: which packs were absent, as
 * index_absent says, and how many bytes there were. */
bool repository_recall_look(const struct repository *repository, struct bytes *absent, uint64_t *bytes);
/* The index was told of a listing that took so many ms: remember it, or forget the one before. */
void repository_note_look(const struct repository *repository, uint64_t bytes, int64_t took);
/* These packs, as listed and compared with the index (index_set_present), are what counts from now on: the directories
 * of those that it does not know are read, as above, and after it the index stays as it is (index_fix), whatever is
 * found missing or turns up. */
int repository_fix_index(struct repository *repository, const struct index_pack *packs, size_t count, struct error *e);
/* What was loaded counts no more: the next one who needs the index loads it. */
void repository_forget_index(struct repository *repository);
/* Store an index object of the host, whose packs are durable, with that body; durable, and looked at, when it returns.
 * One of our own is remembered first (repository_own_index). Its name, and its bytes. */
int repository_store_index(struct repository *repository, const char *host, const struct bytes *body,
                           uint8_t name[SEAL_HASH_SIZE], uint64_t *size, struct error *e);
/* The body of an index object, verified and opened, into an empty buffer, whose maximum is set. Wrong: ERROR_INTEGRITY,
 * ERROR_AUTH. */
int repository_read_index_object(struct repository *repository, const char *host, const uint8_t name[SEAL_HASH_SIZE],
                                 struct bytes *body, struct error *e);
/* The directory of a pack of that size, opened with the full key; the caller frees chunks. */
int repository_read_directory(struct repository *repository, const struct pack_name *name, uint64_t size,
                              struct pack_chunk **chunks, uint32_t *count, struct error *e);

/* ---- many manifests: repository_manifests.c ---- */

/* The manifests under these keys, NUL terminated, one after another, in their order: opened, and the word of somebody
 * who counts (signers.h). found takes over the manifest; NULL: *why it cannot be had, or ERROR_NONE, when the key at
 * hand opens none. It may be called by another thread, one call at a time, and may not use the sink. */
typedef int repository_manifest(void *context, struct manifest *manifest, const struct error *why, struct error *e);
int repository_each_manifest(struct repository *repository, const struct bytes *keys, repository_manifest *found,
                             void *context, struct error *e);

/* ---- plans: repository_plans.c ---- */

/* Each plan among the objects of these keys, NUL terminated, one after another. One that is gone is passed over; one
 * that is wrong says nothing, and is logged. found may not use the sink. */
int repository_each_plan(struct repository *repository, const struct bytes *keys,
                         int (*found)(void *context, const char *key, const char *host, const struct plan *plan,
                                      struct error *e),
                         void *context, struct error *e);
/* Read the plans of the hosts that the index is of, before packs are listed: what they name is not relied on, from the
 * next repository_load_index on, which does this itself with REPOSITORY_OWN. */
int repository_read_plans(struct repository *repository, struct error *e);
/* Does one of them name it, of whatever host? */
bool repository_plans_pack(const struct repository *repository, const uint8_t hash[SEAL_HASH_SIZE]);
/* The needs of a snapshot are stored: may its manifest be? Plans are read again. Those of its packs that stand in one
 * that has come since are added to *planned, struct pack_name each. ERROR_CHANGED when it may not. */
int repository_heed_plans(struct repository *repository, const struct needs *needs, struct bytes *planned,
                          struct error *e);
/* And when it was: are its needs and those packs still there? stored: clock_monotonic before the needs were. */
int repository_look_again(struct repository *repository, const char *needs_key, int64_t stored,
                          const struct bytes *planned, struct error *e);

/* The key of an index object, "index/HOST/HEX", into out[201]. */
void repository_index_key(const char *host, const uint8_t name[SEAL_HASH_SIZE], char *out);
/* False: it is none. */
bool repository_parse_index_key(const char *key, char host[64], uint8_t name[SEAL_HASH_SIZE]);

#endif
