/* The index: which chunk is in which pack. A cache: always rebuildable from index objects, and those from packs.
 *
 * What index objects say is kept in segments (segment.h), each of one host. Objects are absorbed in batches, and each
 * batch makes a segment, so that a run costs what it adds; now and then some are merged into one. Building needs little
 * memory however large the repository is.
 *
 * Which packs are really in the sink is told anew each time (index_set_present); chunks of other packs are not found.
 */
#ifndef COFRE_REPOSITORY_INDEX_H
#define COFRE_REPOSITORY_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/pack.h"
#include "repository/pack_name.h"

struct error;
struct index;

/* A place where a chunk may be. Nobody has proved it: what is read there has to be compared with the chunk's id, and
 * its length is that of what was opened. */
struct index_location {
    size_t row, pack_row; /* numbers of the chunk's and the pack's rows, below index_chunk_count, index_pack_count */
    bool foreign;         /* neither we nor whose snapshot it is says so (index_prefer) */
    struct pack_name pack;
    uint64_t pack_size;
    struct pack_chunk chunk;
};

/* Open what is in the directory path, which is made when there is something to keep. identity names who asks (signer
 * and host): what was made for another counts as absent, and so does each segment that is damaged. host: of whose
 * packs; NULL = of all. */
int index_open(const char *path, const uint8_t identity[SEAL_HASH_SIZE], const char *host, struct index **index,
               struct error *e);
void index_free(struct index *index);

/* The index objects that it has rows of, also those that are gone; what was absorbed counts after index_settle. They
 * are numbered; new ones come last. */
size_t index_object_count(const struct index *index);
struct index_object {
    const uint8_t *name, *signer; /* valid as long as the index is not changed */
    const char *host;
    bool own;
};
/* False: it is gone, or none: the word of packs. */
bool index_object_at(const struct index *index, size_t i, struct index_object *object);
bool index_covers(const struct index *index, const uint8_t name[SEAL_HASH_SIZE]);
/* Objects that are not listed are gone, and what they said counts no more. listed: count rows, each of size bytes and
 * beginning with a name, sorted by it. */
void index_retain(struct index *index, const void *listed, size_t count, size_t size);
/* Read all of it, which is as slow as the disk. *damaged: some of it was, and counts no more; what it said can be
 * absorbed again. */
int index_check(struct index *index, bool *damaged, struct error *e);
/* From now on rows keep their numbers: whoever counts by them may. Nothing can be absorbed any more, nor go. */
void index_fix(struct index *index);

/* Names of index objects that this machine has stored, sorted; copied. What they describe is our own: it may be
 * re-used, and is read first. For what is absorbed later as well. */
int index_set_own(struct index *index, const uint8_t *names, size_t count, struct error *e);
/* What this signer says is our own as well; NULL = nobody's. For what is absorbed from then on, and by index_set_own.
 */
void index_set_authority(struct index *index, const uint8_t signer[SEAL_HASH_SIZE]);
/* Bytes of all packs that the sink lists. They bound what one signer can have absorbed, our own objects aside: 262,144
 * chunks, and one more for each 64 KiB. */
void index_set_listed(struct index *index, uint64_t bytes);

/* Whose word a body is. */
struct index_origin {
    const uint8_t *object; /* name of the index object; NULL = none yet: then it is known to this instance only */
    const uint8_t *signer; /* of the object, 32 bytes; NULL without one */
    bool own;              /* without an object: written by ourselves. Else index_set_own tells */
};
/* Absorb an index body (format in docs/format.md). A wrong one is ERROR_INTEGRITY and changes nothing. */
int index_absorb(struct index *index, const struct index_origin *origin, const void *body, size_t n, struct error *e);
/* An object that is wrong, and always will be: it is covered, and says nothing. */
int index_pass_over(struct index *index, const char *host, const uint8_t name[SEAL_HASH_SIZE], struct error *e);
/* Has something been left out of what counts: of a signer that says too much (index_set_listed), or of one that
 * names more than INDEX_PLACES places for a chunk? What is not found may be there then, all the same. */
#define INDEX_PLACES 4
bool index_is_crowded(const struct index *index);
/* Make what was absorbed findable, and durable. Rows may get other numbers. */
int index_settle(struct index *index, struct error *e);
/* At the end of a run: merge a few segments, if there are many. The index itself stays as it is. */
int index_merge(const struct index *index, struct error *e);

/* One pack that the sink listed. */
struct index_pack {
    struct pack_name name;
    uint32_t size;
    bool known; /* out: some index object describes it */
};
/* packs: sorted by pack_name_compare. After index_settle. */
int index_set_present(struct index *index, struct index_pack *packs, size_t count, struct error *e);

/* Packs that were found damaged: hashes, sorted; copied. They are the last to be read, and not relied on. */
int index_set_doubted(struct index *index, const uint8_t *names, size_t count, struct error *e);

/* Signers that count no more, sorted, 32 bytes each; copied. What they describe is read, where others say nothing
 * better, but not relied on; what this machine has stored stays its own. */
int index_set_revoked(struct index *index, const uint8_t *signers, size_t count, struct error *e);

bool index_doubts(const struct index *index, const uint8_t hash[SEAL_HASH_SIZE]);

/* Whose snapshots are going to be read: of two places of a chunk our own comes first, then one that the same signer
 * names, then the same host, then the others. */
void index_prefer(struct index *index, const uint8_t signer[32], const char *host);
/* Does anybody but foreigners describe the pack in that row? */
bool index_vouches(const struct index *index, size_t pack_row);

/* What for a chunk is looked for: to be read, wherever it is present; or to be relied on by a new snapshot, in packs
 * that nobody doubts, of any host or of our own. */
enum index_use { INDEX_READ, INDEX_RELY, INDEX_RELY_OWN };

/* The nth place (from 0) of the chunk, for that use. */
bool index_find(const struct index *index, const uint8_t id[SEAL_HASH_SIZE], enum index_use use, unsigned nth,
                struct index_location *location);
/* The chunk in row i. False when its place is none for that use. */
bool index_chunk_at(const struct index *index, size_t i, enum index_use use, struct index_location *location);

/* The first of all rows of the chunk, whatever it is good for: always the same one. SIZE_MAX: there is none. */
size_t index_first_row(const struct index *index, const uint8_t id[SEAL_HASH_SIZE]);

/* Of the pack row: the index object that says so, NULL when none does; its number; who has signed that; is it our own;
 * is it gone, so that the row counts no more? */
const uint8_t *index_pack_object(const struct index *index, size_t pack_row);
size_t index_pack_object_number(const struct index *index, size_t pack_row);
const uint8_t *index_pack_signer(const struct index *index, size_t pack_row);
bool index_pack_is_own(const struct index *index, size_t pack_row);
bool index_pack_is_gone(const struct index *index, size_t pack_row);

/* All rows, of packs present or not. index_pack_at tells whether the pack is present. */
size_t index_chunk_count(const struct index *index);
size_t index_pack_count(const struct index *index);
bool index_pack_at(const struct index *index, size_t i, struct pack_name *name, uint64_t *size);

#endif
