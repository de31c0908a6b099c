/* The manifest: what one snapshot is. It exists if and only if the snapshot does. Each format has its own form of it:
 * repository/manifest_object.h, archive/inventory.h. */
#ifndef COFRE_SNAPSHOT_MANIFEST_H
#define COFRE_SNAPSHOT_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes;
struct error;

#define MANIFEST_ID_SIZE 24 /* "20261120T020000Z-ab12cd" and a NUL */
#define MANIFEST_HASH_SIZE 32
#define MANIFEST_REPOSITORY_SIZE 16   /* bytes of the id of a repository or archive */
#define MANIFEST_CHUNK_MAX (2u << 20) /* plain bytes of a chunk of a catalogue */
/* Bytes of the JSON: more than 60,000 chunks of catalogues, which is some 300 million files. */
#define MANIFEST_MAX (32u << 20)
#define MANIFEST_LABEL_MAX 200u /* bytes, for who writes one */
#define MANIFEST_PROBLEMS_MAX 1000u
#define MANIFEST_LEFT_OUT_MAX 1000u
#define MANIFEST_LISTED_MAX ((size_t)1 << 20) /* bytes of the texts of either that are listed by who writes one */
#define MANIFEST_FACTS_MAX 50000u
#define MANIFEST_PARTS_MAX 200u
#define MANIFEST_PART_NAME_MAX 255u               /* bytes, for who writes one */
#define MANIFEST_FACT_BYTES_MAX ((size_t)4 << 20) /* keys and values of a source */

enum manifest_status {
    MANIFEST_COMPLETE,   /* everything that was asked for */
    MANIFEST_INCOMPLETE, /* parts are missing; each is named */
    MANIFEST_MISSING     /* a source of which nothing was saved */
};

/* A chunk of a source's catalogue; the small directory for `ls` and partial restore. */
struct manifest_chunk {
    uint8_t id[MANIFEST_HASH_SIZE];
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
    bool identity;   /* it says which thing was read: COFRE_FACT_IDENTITY */
    bool must_match; /* COFRE_FACT_MUST_MATCH */
    bool may_grow;   /* COFRE_FACT_MAY_GROW */
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

/* Of a source whose plugin says that the first component of a path is one (COFRE_SOURCE_PARTS). */
struct manifest_part {
    char *name; /* raw bytes */
    uint64_t entries, bytes;
};

struct manifest_source {
    char *name, *plugin, *plugin_version;
    enum manifest_status status;
    char *error;                   /* MISSING: why */
    char *suspect;                 /* not MISSING: how it is unlike those before (the publish gate); NULL = it is not */
    struct manifest_pair *options; /* as configured, without secrets */
    size_t option_count;
    struct manifest_fact *facts;
    size_t fact_count;
    uint64_t left_out_count; /* the first MANIFEST_LEFT_OUT_MAX are listed, as far as they have room */
    struct manifest_left_out *left_out;
    size_t left_out_listed;
    uint64_t entries;            /* records that are no continuation */
    uint64_t bytes;              /* of content, holes included */
    struct manifest_part *parts; /* the first MANIFEST_PARTS_MAX, in path order; none: the plugin knows no parts */
    size_t part_count;
    uint64_t vanished;      /* entries that were gone before they could be read */
    uint64_t problem_count; /* unreadable or changed entries; the first MANIFEST_PROBLEMS_MAX likewise */
    struct manifest_problem *problems;
    size_t problems_listed;
    size_t problem_bytes, left_out_bytes, fact_bytes; /* who writes it: of the texts of each */
    bool facts_cut;                                   /* likewise: there are more than have room */
    uint8_t fingerprint_key[16];
    struct manifest_chunk *chunks;
    size_t chunk_count;
    uint64_t catalogue_bytes;
};

/* A repository that lacked a snapshot of the history when this one was made, because a sink had failed. */
struct manifest_missed {
    char *repository; /* its id, hex */
    char *id;         /* snapshot */
};

struct manifest {
    char id[MANIFEST_ID_SIZE];
    char *job, *host, *version;         /* version of cofre */
    char *label;                        /* what whoever ran it calls it; NULL = nothing */
    int64_t started, ended;             /* ns */
    enum manifest_status status;        /* of the sources that were asked for */
    bool partial;                       /* only some of the job's sources were asked for */
    uint64_t sequence;                  /* from 1, per host and job */
    char previous_id[MANIFEST_ID_SIZE]; /* "" for the first */
    uint8_t previous_hash[MANIFEST_HASH_SIZE];
    uint8_t (*previous_forms)[MANIFEST_HASH_SIZE]; /* of the same one, in the forms that archives have of it */
    size_t previous_form_count;
    struct manifest_source *sources;
    size_t source_count;
    struct manifest_missed *missed;
    size_t missed_count;
    uint8_t (*indexes)[MANIFEST_HASH_SIZE]; /* index objects that this run added, on all sinks taken together */
    size_t index_count;
    uint64_t added; /* stored bytes that this run added to the sink that got most */
    /* Filled by who reads it from a repository: of whom the envelope is, and of its bytes. */
    uint8_t signer[32], hash[MANIFEST_HASH_SIZE];
};

/* A fresh id: the time in UTC and six random hex digits. after: the id before it, or ""; the new one is greater, if
 * need be by a time that is a second later than that of the one before. */
void manifest_make_id(int64_t now, const char *after, char id[MANIFEST_ID_SIZE]);
bool manifest_is_id(const char *text);
/* Does its time lie more than a day after now (ns)? Nobody has made such a snapshot yet; who says so lies, or has a
 * clock that is wrong. */
bool manifest_is_future(const char *id, int64_t now);

/* Is a source of it suspect? Whether somebody has accepted it since, no manifest tells. */
bool manifest_is_suspect(const struct manifest *manifest);

/* Does it hold together? name is for messages. ERROR_INTEGRITY. */
int manifest_check(const struct manifest *manifest, const char *name, struct error *e);
void manifest_free(struct manifest *manifest);

#endif
