/* Of index.h: what an index is made of, for those files that hold a part of it. */
#ifndef COFRE_REPOSITORY_INDEX_TABLE_H
#define COFRE_REPOSITORY_INDEX_TABLE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "repository/seal.h"

/* The file: header, object names, pack rows, chunk rows sorted by id. It never leaves this machine, so rows are plain
 * structs; another layout or byte order is another magic and gives an empty index. */
struct header {
    uint64_t magic;
    uint8_t identity[SEAL_HASH_SIZE];
    uint64_t objects, packs, chunks;
    uint32_t fanout[257];         /* chunks whose first byte is below i */
    uint32_t unnamed;             /* 1 = has rows that no index object describes yet */
    uint8_t hash[SEAL_HASH_SIZE]; /* of the header up to here with its rows left out, then of all rows */
};

struct pack_row {
    uint8_t name[SEAL_HASH_SIZE];
    uint64_t size;
    uint64_t own;
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
    const struct pack_row *packs;
    const struct chunk_row *chunks;
    uint8_t *present; /* per pack row */
    uint8_t *doubted; /* names, sorted */
    size_t doubted_count;
    bool unnamed; /* something without a name was absorbed */
    bool fixed;
    /* absorbed, not yet settled */
    struct bytes new_objects, new_packs, new_chunks;
};

#endif
