/* Packs under verification: which are needed, which are whole, and whether what a damaged one holds is whole elsewhere.
 */
#ifndef COFRE_REPOSITORY_VERIFY_PACKS_H
#define COFRE_REPOSITORY_VERIFY_PACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct error;
struct index_pack;
struct needs;
struct repository;

struct verify_packs {
    struct repository *repository;
    /* An object is wrong, or one more was read. */
    void (*damage)(void *context, const char *object, const char *text);
    void (*progress)(void *context, uint64_t bytes);
    void *context;
    bool aside; /* one snapshot was looked at and has all that it needs: what else is lost is no damage of it */
    /* Its own; zero at first. */
    struct index_pack *listed; /* that the sink lists; known: an index object describes it */
    size_t count;
    size_t chosen;          /* so many of them are to be looked into: the first ones */
    uint8_t *sound;         /* of those: read, and right */
    uint8_t *needed;        /* per pack row: a chosen snapshot refers to it */
    uint8_t *stray;         /* per pack row: it is there, and no index object describes it */
    uint8_t *whole;         /* per chunk row: opened and right */
    uint32_t *reach;        /* per chunk row: so many bytes of the chunk are referred to; at the first of its rows */
    uint8_t *opened;        /* per listed pack: its directory was read */
    uint32_t *rows, *right; /* per pack row: chunks that are described, and of them those that the directory has, too */
    uint8_t *said;          /* per index object: that it says what is not so */
    bool looked;            /* `whole` and `sound` are filled */
    bool short_of;          /* a whole chunk is shorter than what is referred to */
    struct bytes bad;       /* struct bad each */
};

/* What is there, and, where an index object is gone, what the packs themselves say. Rows of the index are counted from
 * then on. */
int verify_packs_load(struct verify_packs *packs, struct error *e);
void verify_packs_free(struct verify_packs *packs);

/* A chosen snapshot refers to the first n bytes of the chunk, or some of them. */
void verify_packs_need(struct verify_packs *packs, const uint8_t *id, uint64_t n);
/* What a chosen snapshot says of its needs; NULL = it cannot be told, and so may be anything. A pack that is gone and
 * that no snapshot needs was collected: that index objects still describe it is said, and is no damage. */
void verify_packs_miss(struct verify_packs *packs, const struct needs *needs);
/* Is it anywhere: present, or, once packs were looked into, whole, and of at least n bytes? */
bool verify_packs_have(const struct verify_packs *packs, const uint8_t *id, uint64_t n);

/* Read those that are needed, or all. quick: content is not read. */
int verify_packs_look(struct verify_packs *packs, bool all, bool quick, struct error *e);

/* Say which index objects say of packs what is not so, and which packs are damaged, after everything else. One of which
 * every chunk is whole in another pack is no damage: a run has stored it again. */
int verify_packs_report(struct verify_packs *packs, struct error *e);

#endif
