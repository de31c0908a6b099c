/* Removal records: which snapshots of a host and job were removed, and why. They explain the gaps that this leaves in
 * the history, so that nobody else can remove one unseen: who signs one must be certified to remove.
 *
 * Placed objects (placed.h) "removed/HOST/JOB/ID", ID a fresh one for each act of removing. docs/format.md lists every
 * member.
 */
#ifndef COFRE_REPOSITORY_REMOVAL_H
#define COFRE_REPOSITORY_REMOVAL_H

#include <stddef.h>
#include <stdint.h>

#include "format/vault.h"

struct bytes;
struct error;
struct repository;

#define REMOVAL_PREFIX "removed"
#define REMOVAL_REASONS_MAX 16u /* of one snapshot */
/* Bytes, of the object and of its body. */
#define REMOVAL_OBJECT_MAX ((size_t)8 << 20)
#define REMOVAL_BODY_MAX ((size_t)16 << 20)

/* One that was removed, or a range of them, by its last one. */
struct removal_snapshot {
    char id[MANIFEST_ID_SIZE];
    uint64_t sequence;
    int64_t started;                                                /* ns */
    uint8_t hash[MANIFEST_HASH_SIZE], previous[MANIFEST_HASH_SIZE]; /* as of its manifest; zero: it was a first one */
    uint64_t first_sequence; /* of a range: where it begins, and previous is of that one; 0 = one alone */
    char first_id[MANIFEST_ID_SIZE];
    const char *const *reasons; /* lent, to be written; what is read gives none */
    size_t reason_count;        /* those beyond REMOVAL_REASONS_MAX are left out */
};

struct removal {
    struct vault_name name; /* id: of the act */
    int64_t removed;        /* ns */
    bool joined;            /* it stands for several, and was made at that time */
    uint8_t signer[32];     /* after removal_open */
    struct removal_snapshot *snapshots;
    size_t count;
};

/* The object, appended to *out, for the key that its name makes. At least one snapshot, VAULT_REMOVALS_MAX at most. */
int removal_seal(const struct repository *repository, const struct removal *removal, struct bytes *out,
                 struct error *e);
/* Verified, opened and parsed. Errors as of placed_open and placed_json_parse. After success removal_free is due. */
int removal_open(const struct repository *repository, const char *key, const struct bytes *object,
                 struct removal *removal, struct error *e);
/* The body alone. */
int removal_parse(const struct repository *repository, const char *key, const struct bytes *body,
                  struct removal *removal, struct error *e);
void removal_free(struct removal *removal);

#endif
