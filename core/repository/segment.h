/* A segment: a file of the index with what some index objects of one host say. It is written once, sorted, and only
 * read from then on. Segments are merged into larger ones.
 *
 *   header | objects | fan-out | filter | packs, sorted by name | chunks, sorted by id
 *
 * It never leaves this machine, so rows are plain structs; another layout or byte order is another magic. Header,
 * objects, fan-out and filter are read, and their hash is compared, when it is opened. The filter tells of most ids
 * that are not in the segment that they are not; the largest segments have none, since memory is dear. Of the other
 * rows each has a check of its own, which is compared when it is used, and all together have a hash. They are read,
 * those of a small segment at once (segment_hold), and not mapped: a file that is shorter than it says is damage and no
 * signal, and memory does not grow with what was looked at.
 */
#ifndef COFRE_REPOSITORY_SEGMENT_H
#define COFRE_REPOSITORY_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/seal.h"

struct error;

#define SEGMENT_HOST_SIZE 64

struct segment_object {
    uint8_t name[SEAL_HASH_SIZE], signer[SEAL_HASH_SIZE]; /* zero: no object describes it yet */
    uint64_t share;                                       /* what its rows count as, of its signer's */
    uint32_t own;                                         /* without an object: written by ourselves */
    uint32_t crowded;                                     /* 1 = something of it was left out */
};

struct segment_pack {
    uint8_t name[SEAL_HASH_SIZE];
    uint32_t size, object; /* number in the segment */
    uint32_t check;
};

struct segment_chunk {
    uint8_t id[SEAL_HASH_SIZE];
    uint32_t pack, offset, stored, plain; /* pack: number in the segment */
    uint32_t check;
};

struct segment_header {
    uint64_t magic;
    uint8_t identity[SEAL_HASH_SIZE];
    char host[SEGMENT_HOST_SIZE];
    uint64_t objects, packs, chunks;
    uint64_t bits;                /* of an id, that the fan-out goes by */
    uint64_t blocks;              /* of the filter; 0 = there is none */
    uint8_t rows[SEAL_HASH_SIZE]; /* hash of packs and chunks */
    uint8_t hash[SEAL_HASH_SIZE]; /* of this header up to here, objects, fan-out and filter */
};

#define SEGMENT_BLOCK 64 /* bytes */
struct segment_block {
    uint8_t bits[SEGMENT_BLOCK];
};

struct segment {
    int fd;
    uint64_t serial; /* of this process */
    struct segment_header header;
    struct segment_object *objects; /* sorted by name */
    uint32_t *fanout;               /* chunks whose first bits are below i; (1 << bits) + 1 of them */
    struct segment_block *filter;   /* header.blocks of them */
    uint8_t *rows;                  /* packs and chunks, when they are held in memory */
};

/* Take fd, open to read, also when it fails. name: for messages. ERROR_INTEGRITY: it is damaged, or made for another.
 */
int segment_open(int fd, const char *name, const uint8_t identity[SEAL_HASH_SIZE], struct segment **segment,
                 struct error *e);
void segment_close(struct segment *segment);
/* Bytes of packs and chunks; and hold them in memory from now on. What cannot be read, or for want of memory, is read
 * when it is needed. */
uint64_t segment_size(const struct segment *segment);
void segment_hold(struct segment *segment);
/* Read all of it, and compare its hash. ERROR_INTEGRITY. */
int segment_check(const struct segment *segment, const char *name, struct error *e);

/* The number of the object, or SIZE_MAX. */
size_t segment_find_object(const struct segment *segment, const uint8_t name[SEAL_HASH_SIZE]);

/* False: no chunk has that id. */
bool segment_may_have(const struct segment *segment, const uint8_t id[SEAL_HASH_SIZE]);

/* Rows of chunks, as they were read. */
#define SEGMENT_WINDOW 48
struct segment_window {
    size_t first, count; /* of what is at `at` */
    size_t end;          /* no row with the id that was looked for is there, or beyond */
    const struct segment_chunk *at;
    struct segment_chunk rows[SEGMENT_WINDOW];
};
/* The first row whose id is not smaller. The rows of one id stand side by side, the older first. */
size_t segment_first(const struct segment *segment, const uint8_t id[SEAL_HASH_SIZE], struct segment_window *window);
/* The row of that number, in the window; NULL at window->end, and where it cannot be read. */
const struct segment_chunk *segment_row(const struct segment *segment, size_t i, struct segment_window *window);
/* False when it is damaged, or cannot be read. */
bool segment_chunk_at(const struct segment *segment, size_t i, struct segment_chunk *chunk);
bool segment_pack_at(const struct segment *segment, size_t i, struct segment_pack *pack);
bool segment_chunk_is_whole(const struct segment_chunk *chunk);
bool segment_pack_is_whole(const struct segment_pack *pack);

/* The first pack whose name is not smaller: its number, or that behind the last. */
size_t segment_first_pack(const struct segment *segment, const uint8_t name[SEAL_HASH_SIZE]);

/* Packs one after another, through a buffer. */
struct segment_packs {
    const struct segment *segment;
    size_t next, count; /* number of the next pack; how many are in the buffer, and where in it is the next */
    size_t at;
    struct segment_pack buffer[1024];
};
void segment_packs_begin(const struct segment *segment, size_t first, struct segment_packs *packs);
/* NULL at the end, and where it cannot be read. A damaged one is as it is. Its number is packs->next - 1. */
const struct segment_pack *segment_packs_next(struct segment_packs *packs);

/* What is not in a file yet: in the order in which it came. Numbers of packs and objects are those in here. */
struct segment_batch {
    struct segment_object *objects;
    struct segment_pack *packs;
    struct segment_chunk *chunks;
    size_t object_count, pack_count, chunk_count;
};

/* What a segment is made of. */
struct segment_source {
    const struct segment *segment; /* or, when NULL, */
    struct segment_batch *batch;   /* its chunks and objects are sorted by segment_write */
    const uint8_t *dropped;        /* for each object: leave out what it says; NULL = none */
    const uint8_t *unbounded;      /* for each object: however many places it names; NULL = none. Of each signer's other
                                      places of a chunk only `places` are kept */
};
/* Merge them, the older first, into the empty file fd, and make it durable. ERROR_INTEGRITY: a source is damaged. fd
 * stays open. */
int segment_write(int fd, const char *name, const uint8_t identity[SEAL_HASH_SIZE], const char *host,
                  const struct segment_source *sources, size_t count, unsigned places, struct error *e);

#endif
