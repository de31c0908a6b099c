/* The manifest: what one snapshot is. It exists if and only if the snapshot does, and is the same object on every sink.
 *
 * An envelope (seal.h). Clear part: u64 sequence | hash of the previous manifest's bytes 32 (zero for the first) |
 * BLAKE3 of the object's own key "snapshots/HOST/JOB/ID" 32, so that the chain of one host and job can be checked
 * without opening, and no manifest passes for another. Body: JSON (docs/format.md lists every member). Paths and other
 * free text in JSON are percent-encoded: bytes outside printable ASCII, '%' and '"' and '\\' become %HH.
 */
#ifndef COFRE_STORE_MANIFEST_H
#define COFRE_STORE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/seal.h"

struct bytes;
struct error;
struct key;

#define MANIFEST_ID_SIZE 24 /* "20261120T020000Z-ab12cd" and a NUL */
#define MANIFEST_MAX (64u << 20)
#define MANIFEST_PROBLEMS_MAX 1000u
#define MANIFEST_LEFT_OUT_MAX 1000u

enum manifest_status {
    MANIFEST_COMPLETE,   /* everything that was asked for */
    MANIFEST_INCOMPLETE, /* parts are missing; each is named */
    MANIFEST_MISSING     /* a source of which nothing was saved */
};

/* A chunk of a source's catalogue; the small directory for `ls` and partial restore. */
struct manifest_chunk {
    uint8_t id[SEAL_HASH_SIZE];
    uint64_t length; /* plain bytes */
    /* Offset in the chunk of the first record, no continuation, that begins in it; = length when none does. */
    uint64_t first_record;
    /* Of that record; a chunk in which none begins repeats the one before. Raw bytes, NUL terminated. */
    char *first_path;
};

struct manifest_pair {
    char *key, *value;
};

/* What the plugin said about the data. */
struct manifest_fact {
    char *key, *value;
    bool identity; /* it says which thing was read: COFRE_FACT_IDENTITY */
};

/* Something that was there and is not saved, for a reason that is no failure. */
struct manifest_left_out {
    char *name; /* raw bytes */
    char *why;
};

struct manifest_problem {
    char *path; /* raw bytes */
    char *error;
    char *hint; /* NULL = none */
};

struct manifest_source {
    char *name, *plugin, *plugin_version;
    enum manifest_status status;
    char *error;                   /* MISSING: why */
    struct manifest_pair *options; /* as configured, without secrets */
    size_t option_count;
    struct manifest_fact *facts;
    size_t fact_count;
    uint64_t left_out_count; /* the first MANIFEST_LEFT_OUT_MAX are listed */
    struct manifest_left_out *left_out;
    size_t left_out_listed;
    uint64_t entries;       /* records that are no continuation */
    uint64_t bytes;         /* of content, holes included */
    uint64_t vanished;      /* entries that were gone before they could be read */
    uint64_t problem_count; /* unreadable or changed entries; the first MANIFEST_PROBLEMS_MAX are listed */
    struct manifest_problem *problems;
    size_t problems_listed;
    uint8_t fingerprint_key[16];
    struct manifest_chunk *chunks;
    size_t chunk_count;
    uint64_t catalogue_bytes;
};

/* A repository that lacked a snapshot of the chain when this one was made, because a sink had failed. */
struct manifest_missed {
    char *repository; /* its id, hex */
    char *id;         /* snapshot */
};

struct manifest {
    char id[MANIFEST_ID_SIZE];
    char *job, *host, *version;         /* version of cofre */
    int64_t started, ended;             /* ns */
    enum manifest_status status;        /* of the sources that were asked for */
    bool partial;                       /* only some of the job's sources were asked for */
    uint64_t sequence;                  /* from 1, per host and job */
    char previous_id[MANIFEST_ID_SIZE]; /* "" for the first */
    uint8_t previous_hash[SEAL_HASH_SIZE];
    uint8_t (*previous_forms)[SEAL_HASH_SIZE]; /* of the same one, in the forms that archives have of it */
    size_t previous_form_count;
    struct manifest_source *sources;
    size_t source_count;
    struct manifest_missed *missed;
    size_t missed_count;
    uint8_t (*indexes)[SEAL_HASH_SIZE]; /* index objects that this run added, on all sinks taken together */
    size_t index_count;
    uint64_t added;     /* stored bytes that this run added to the sink that got most */
    uint8_t signer[32]; /* of whom the envelope is; filled by manifest_open */
};

/* A fresh id: the time in UTC and six random hex digits. after: the id before it, or ""; the new one is greater, if
 * need be by a time that is a second later than that of the one before. */
void manifest_make_id(int64_t now, const char *after, char id[MANIFEST_ID_SIZE]);
bool manifest_is_id(const char *text);

/* The object, appended to *out. It is read back before it is sealed: what does not hold together (a complete snapshot
 * with an incomplete source, an impossible name) is refused here already. */
int manifest_seal(const struct manifest *manifest, const struct key *key, struct bytes *out, struct error *e);
/* Verify, open, parse. name: the object's key, for messages; its HOST/JOB/ID must be those inside: ERROR_INTEGRITY. */
int manifest_open(const void *p, size_t n, const struct key *key, const char *name, struct manifest **manifest,
                  struct error *e);
/* What can be known without the full key: sequence and previous hash, verified. name: as for manifest_open. */
int manifest_peek(const void *p, size_t n, const struct key *key, const char *name, uint64_t *sequence,
                  uint8_t previous_hash[SEAL_HASH_SIZE], uint8_t signer[32], struct error *e);
/* Does it hold together? name is for messages. ERROR_INTEGRITY. */
int manifest_check(const struct manifest *manifest, const char *name, struct error *e);
void manifest_free(struct manifest *manifest);

/* The sink's key of a snapshot, "snapshots/HOST/JOB/ID", into out[201]. */
void manifest_object_key(const char *host, const char *job, const char *id, char *out);

#endif
