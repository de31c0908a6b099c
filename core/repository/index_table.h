/* Of index.h: what an index is made of, for those files that hold a part of it. */
#ifndef COFRE_REPOSITORY_INDEX_TABLE_H
#define COFRE_REPOSITORY_INDEX_TABLE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "repository/segment.h"

struct error;

/* A segment that is part of the index, with what is known of its rows in this process. */
struct index_part {
    struct segment *segment;
    uint64_t number;                              /* of its file; 0 = it has none that anybody else could open */
    uint32_t host;                                /* pack_name_number */
    size_t first_object, first_pack, first_chunk; /* rows of the parts before it */
    uint8_t *own;                                 /* for each object: it is our own word */
    uint8_t *gone;    /* for each object: it is not in the sink, or another part has it: its rows count no more */
    uint8_t *present; /* a bit for each pack, once that was told */
    bool all_present; /* stored by ourselves after that */
    bool fresh;       /* made by this process */
};

/* What was absorbed of a host and has no segment yet. */
struct index_batch {
    char host[SEGMENT_HOST_SIZE];
    struct bytes objects, packs, chunks; /* struct segment_object, _pack, _chunk each */
};

/* What was absorbed of a signer: a pack counts as two chunks more. */
struct share {
    uint8_t signer[SEAL_HASH_SIZE];
    uint64_t rows;
};

struct index {
    char path[PATH_MAX]; /* directory */
    uint8_t identity[SEAL_HASH_SIZE];
    char host[SEGMENT_HOST_SIZE]; /* whose parts; "" = all */
    struct bytes parts;           /* struct index_part each */
    size_t objects, packs, chunks;
    uint64_t held;        /* bytes of segments that are in memory */
    struct bytes batches; /* struct index_batch each */
    size_t absorbed;      /* chunks in them */
    bool unnamed;         /* they are what no index object describes */
    struct bytes broken;  /* numbers of segments that are damaged, 8 bytes each */
    uint8_t *doubted;     /* names, sorted */
    size_t doubted_count;
    uint8_t *revoked; /* signers, sorted */
    size_t revoked_count;
    uint8_t *own; /* names of index objects, sorted */
    size_t own_count;
    bool has_authority;
    uint8_t authority[SEAL_HASH_SIZE]; /* a signer */
    uint64_t listed;                   /* bytes of packs */
    struct bytes shares;               /* struct share each, once something is absorbed */
    uint8_t preferred_signer[SEAL_HASH_SIZE];
    uint32_t preferred_host; /* pack_name_number */
    bool told;               /* which packs are present */
    bool crowded;
    bool fixed;
};

/* ---- parts ---- */

struct index_part *index_parts(const struct index *index, size_t *count);
/* The part with that row. */
const struct index_part *index_part_of_pack(const struct index *index, size_t row);
const struct index_part *index_part_of_chunk(const struct index *index, size_t row);
/* Takes the segment, also when it fails. number: as in struct index_part. */
int index_part_add(struct index *index, struct segment *segment, uint64_t number, bool fresh, struct error *e);
/* Takes it out; rows behind it get other numbers. */
void index_part_remove(struct index *index, size_t i);
bool index_part_has(const struct index_part *part, size_t pack);
/* Once all are there: those are first that most chunks are in, and what another part has as well counts once. */
void index_part_sort(struct index *index);
/* index->crowded, after some have gone. */
void index_part_heed_crowded(struct index *index);

/* ---- the list of segments: a small file in the directory, replaced as a whole ---- */

struct index_entry {
    uint64_t number;
    char host[SEGMENT_HOST_SIZE];
};

struct index_list {
    uint64_t next; /* number of the next segment */
    struct bytes entries;
};

/* One that is absent, damaged, or was made for somebody else is empty. */
int index_list_read(const struct index *index, struct index_list *list, struct error *e);
/* With the lock held. What it does not name is removed from the directory. */
int index_list_write(const struct index *index, const struct index_list *list, struct error *e);
bool index_list_has(const struct index_list *list, uint64_t number);
void index_list_remove(struct index_list *list, uint64_t number);
int index_list_add(struct index_list *list, uint64_t number, const char *host, struct error *e);
/* The path of a segment, or of "list" and "lock" with number 0. False: too long. */
void index_list_path(const struct index *index, uint64_t number, char out[PATH_MAX + 32]);
/* Two jobs may use one repository at a time. Held while segments come and go; close releases it. */
int index_list_lock(const struct index *index, struct error *e);

/* ---- merging ---- */

/* Write one segment of those sources and open it; number 0: under no name. */
int index_merge_write(const struct index *index, uint64_t number, const char *host,
                      const struct segment_source *sources, size_t count, struct segment **segment, struct error *e);
/* Of what this process has made, few segments remain. With the lock held. */
int index_merge_fresh(struct index *index, struct index_list *list, struct error *e);

/* ---- whose word ---- */

/* To *to, whose memory is freed. After an error as before. */
int index_copy_names(const uint8_t *names, size_t count, uint8_t **to, size_t *to_count, struct error *e);
/* Is what the object says our own word? */
bool index_object_is_own(const struct index *index, const struct segment_object *object);
/* Has it a name, that is, does an index object say so? */
bool index_object_is_named(const struct segment_object *object);
/* Whether a pack of so many chunks may be said by that object's signer, too; if so, it is counted. */
int index_share_take(struct index *index, struct segment_object *object, uint32_t chunks, bool *fits, struct error *e);
/* 0: our own word; 1: of whose snapshot is read; 2: of the same host, or of the pack itself; INDEX_FOREIGN: of others.
 */
#define INDEX_FOREIGN 3
unsigned index_rank(const struct index *index, const struct index_part *part, uint32_t object);

#endif
