/* What a repository lacks of a snapshot that is to be copied into it, and what the copy is going to need there. */
#ifndef COFRE_REPOSITORY_LACKING_H
#define COFRE_REPOSITORY_LACKING_H

#include <stdint.h>

#include "repository/needs.h"

struct error;
struct manifest;
struct pack_chunk;
struct repository;

/* Zeroed before lacking_find. */
struct lacking {
    struct repository *from, *to;
    const char *host;   /* whose snapshot it is */
    uint8_t *packs;     /* per pack row of from: to lacks a chunk of it */
    uint8_t *chunks;    /* per chunk row of from: it is to come with its pack */
    struct needs needs; /* of the copy, sorted */
    /* The chunk that was looked at last: neighbours are mostly in one. */
    uint8_t last[SEAL_HASH_SIZE];
    uint64_t last_end;
    /* The pack whose directory was looked into last. */
    struct pack_name looked_into;
    struct pack_chunk *directory;
    uint32_t directory_count;
};

/* Both have their index, that of from fixed. ERROR_INTEGRITY: the snapshot is not whole there. After it, whatever came
 * of it, lacking_free. */
int lacking_find(struct lacking *lacking, struct repository *from, struct repository *to,
                 const struct manifest *manifest, struct error *e);
void lacking_free(struct lacking *lacking);

#endif
