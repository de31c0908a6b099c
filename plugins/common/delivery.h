/* Files on their way into the tree: taken from the host, written by a crew of threads, up to 8 MiB of them at once.
 *
 * Small files are laid end to end in blocks of memory, and a thread puts back a block of them; a large file is open
 * from its first piece to its last, and the threads write its pieces. Everything else is done by the one who owns the
 * delivery: it alone speaks with the host, and it tells of what went wrong on the way when it is safe to do so
 * (delivery_tell), since what take lends is gone with the next call. */
#ifndef COFRE_COMMON_DELIVERY_H
#define COFRE_COMMON_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/crew.h"
#include "common/level.h"
#include "common/place.h"
#include "cofre/plugin.h"

#define DELIVERY_BLOCKS 16
#define DELIVERY_BLOCK (512u << 10) /* bytes */
#define DELIVERY_RECORDS 64         /* small files of a block */
#define DELIVERY_SMALL (128u << 10) /* bytes of content: no more is small */

struct large;

/* Work for a thread: small files, or a piece of a large one. */
struct delivery_block {
    struct crew_job job;
    bool busy;
    uint8_t *bytes; /* DELIVERY_BLOCK, aligned to PLACE_DIRECT_ALIGN */
    size_t used;
    unsigned count;                    /* records in it */
    uint64_t hashes[DELIVERY_RECORDS]; /* of their paths */
    struct large *large;               /* or whose piece it is */
    int64_t offset;                    /* of the piece */
    int errnum;                        /* out: why the piece was not written */
};

/* A directory with files on their way. It keeps a descriptor of its own. */
struct folder {
    int fd;
    bool inherits, fresh;
    bool left;        /* nothing more comes into it; level is moved here */
    unsigned pending; /* files on their way */
    size_t depth;     /* index of its level */
    struct level level;
    size_t path_length;
    char path[]; /* NUL terminated */
};

struct delivery_report;

struct delivery {
    struct place *place;
    struct crew *crew;
    struct place hands[CREW_MAX + 1]; /* one for each thread, the last for the owner */
    struct cofre_error whys[CREW_MAX + 1];
    uint8_t *memory;
    struct delivery_block blocks[DELIVERY_BLOCKS];
    struct delivery_block *current; /* small files are laid in it */
    struct large *larges;
    uint64_t larges_begun;
    struct delivery_report *reports, **last;
    struct losses_tally tally;
    const char *prefix;                /* of all paths, as the host knows them; "" = none */
    uint64_t late_failed, late_partly; /* told with late */
    int32_t class_failed;              /* of the first of late_failed */
    struct cofre_error why_failed;     /* its text (failure_about) */
    unsigned folders;
    bool full;            /* a disk is */
    bool short_of_memory; /* something cannot be told */
    struct cofre_error why_full;
    /* The last file of the folder has arrived. Then the folder goes. */
    void (*settled)(void *context, struct folder *folder);
    void *context;
};

/* place outlives the delivery. 0 or ENOMEM. */
int delivery_begin(struct delivery *d, struct place *place, void (*settled)(void *, struct folder *), void *context);

/* Waits for what is on its way, and forgets what was not told. */
void delivery_end(struct delivery *d);

/* The folder of the directory dir, to be held for one more file: *slot, or a new one. NULL: *result says why. */
struct folder *delivery_folder(struct delivery *d, struct folder **slot, const struct level *level, size_t depth,
                               int dir, const char *path, size_t path_length, int32_t *result);

/* Take the content of a FILE or STREAM, for a folder that is held for it. Returns what the host's calls return; *result
 * is for done(), with its text in place->why: COFRE_OK = it is on its way. */
int32_t delivery_file(struct delivery *d, struct folder *folder, const struct cofre_entry *entry, int32_t *result);

/* Wait until the file of this path, if there is one, has arrived. */
void delivery_wait(struct delivery *d, const char *path, size_t length);

/* Wait until all have. */
void delivery_drain(struct delivery *d);

/* To be told later: something that done() called a success is not there after all. */
void delivery_report(struct delivery *d, const char *path, size_t length, int32_t result,
                     const struct cofre_error *why);
/* Something lost a part of its metadata. late: done() called it a success. */
void delivery_lost(struct delivery *d, const char *path, size_t length, const struct losses *losses, bool late);

/* Tell the host what came up so far. Returns what ends the restore: a full disk, too. */
int32_t delivery_tell(struct delivery *d);

/* ---- for large files ---- */

/* An empty block; waits for one. */
struct delivery_block *delivery_room(struct delivery *d);
void delivery_send(struct delivery *d, struct delivery_block *block);
/* One file less. */
void delivery_release(struct delivery *d, struct folder *folder);

#endif
