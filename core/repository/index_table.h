/* Of index.h: what an index is made of, for those files that hold a part of it. */
#ifndef COFRE_REPOSITORY_INDEX_TABLE_H
#define COFRE_REPOSITORY_INDEX_TABLE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "repository/pack_name.h"
#include "repository/seal.h"

/* The file: header, object names, hosts, pack rows, chunk rows sorted by id. It never leaves this machine, so rows are
 * plain structs; another layout or byte order is another magic and gives an empty index. */
struct error;

struct header {
    uint64_t magic;
    uint8_t identity[SEAL_HASH_SIZE];
    uint64_t objects, hosts, packs, chunks;
    uint32_t fanout[257];         /* chunks whose first byte is below i */
    uint32_t unnamed;             /* 1 = has rows that no index object describes yet */
    uint64_t crowded;             /* 1 = something was left out */
    uint8_t hash[SEAL_HASH_SIZE]; /* of all rows, then of the header up to here */
};

/* What one index object says of a pack. */
struct pack_row {
    uint8_t name[SEAL_HASH_SIZE];
    uint8_t object[SEAL_HASH_SIZE], signer[SEAL_HASH_SIZE]; /* zero: no object describes it */
    uint64_t size;
    uint32_t host; /* whose row of the hosts, from 0 */
    uint32_t chunks;
    uint64_t own; /* without an object; else index->own tells */
};

#define INDEX_HOST_SIZE 64 /* a name, NUL terminated */

/* What was absorbed of a signer: a pack counts as two chunks more. */
struct share {
    uint8_t signer[SEAL_HASH_SIZE];
    uint64_t rows;
};

struct chunk_row {
    uint8_t id[SEAL_HASH_SIZE];
    uint32_t pack, offset, stored, plain;
};

struct index {
    char path[PATH_MAX];
    uint8_t identity[SEAL_HASH_SIZE];
    /* the mapped file; map is NULL when empty */
    void *map;
    size_t map_size;
    const struct header *header;
    const uint8_t *objects; /* names, sorted */
    const char *hosts;      /* INDEX_HOST_SIZE each, in the order in which they came */
    uint32_t *numbers;      /* of them, and of new_hosts: pack_name_number */
    const struct pack_row *packs;
    const struct chunk_row *chunks;
    uint8_t *present; /* per pack row */
    uint8_t *is_own;  /* per pack row */
    uint8_t *doubted; /* names, sorted */
    size_t doubted_count;
    uint8_t *revoked; /* signers, sorted */
    size_t revoked_count;
    uint8_t *own; /* names of index objects, sorted */
    size_t own_count;
    uint64_t listed;     /* bytes of packs */
    struct bytes shares; /* struct share each, once something is absorbed */
    uint8_t preferred_signer[SEAL_HASH_SIZE];
    uint32_t preferred_host; /* pack_name_number */
    bool unnamed;            /* something without a name was absorbed */
    bool crowded;
    bool fixed;
    /* absorbed, not yet settled */
    struct bytes new_objects, new_hosts, new_packs, new_chunks;
};

/* To *to, whose memory is freed. After an error as before. */
int index_copy_names(const uint8_t *names, size_t count, uint8_t **to, size_t *to_count, struct error *e);
/* Is what the row says our own word? */
bool index_row_is_own(const struct index *index, const struct pack_row *row);
/* Is it somebody else's, so that there is a bound to it? */
bool index_row_is_bounded(const struct index *index, const struct pack_row *row);
/* Whose row of the hosts that is: a new one, if need be. ERROR_INTEGRITY when it is no name. */
int index_host_row(struct index *index, const char *host, uint32_t *row, struct error *e);
/* Of a pack row. */
struct pack_name index_row_name(const struct index *index, const struct pack_row *row);
/* Whether its signer may say that, too; if so, it is counted. */
int index_share_take(struct index *index, const struct pack_row *row, bool *fits, struct error *e);
/* 0: our own word; 1: of whose snapshot is read; 2: of the same host, or of the pack itself; INDEX_FOREIGN: of others.
 */
#define INDEX_FOREIGN 3
unsigned index_rank(const struct index *index, size_t pack_row);

#endif
