/* The removal record of an archive: which snapshots of a job an act of pruning removed, and why.
 *
 *   removed/JOB/ID.json        JSON; ID is the act's own
 *   removed/JOB/ID.json.sig    with sign_with: a detached signature of it, put before it
 *
 * It explains the gaps that verify would name. With a signer configured only a signed one says anything.
 */
#ifndef COFRE_ARCHIVE_ARCHIVE_REMOVAL_H
#define COFRE_ARCHIVE_ARCHIVE_REMOVAL_H

#include <stddef.h>
#include <stdint.h>

#include "format/vault.h"

struct archive;
struct bytes;
struct error;

/* One of the snapshots, with its place in the history: hash of the manifest, and of the one before in all its forms; or
 * a range of them, by its last one. */
struct archive_removal_row {
    char id[MANIFEST_ID_SIZE];
    uint64_t sequence;
    int64_t started;         /* ns */
    uint64_t first_sequence; /* of a range: where it begins, and previous is of that one; 0 = one alone */
    char first_id[MANIFEST_ID_SIZE];
    uint8_t hash[MANIFEST_HASH_SIZE];
    uint8_t previous[VERIFY_PREVIOUS_MAX][MANIFEST_HASH_SIZE];
    size_t previous_count; /* 0 in a first */
    const char *const *reasons;
    size_t reason_count;
};

/* Put a record, durably: it names these, at most VAULT_REMOVALS_MAX. joined: it stands for several. */
int archive_removal_put(struct archive *archive, const char *host, const char *job, bool joined,
                        const struct archive_removal_row *rows, size_t count, struct error *e);

/* Of the bytes of a record of that job: each snapshot that it names. *why: ERROR_NONE, or what is wrong with it, and
 * then none is told. */
int archive_removal_parse(struct archive *archive, const char *job, const struct bytes *text, vault_removed *removed,
                          void *context, struct error *why, struct error *e);

/* Each row of the records of that host and job (NULL = any); and each record that is not valid, with why. Where one
 * went that was listed, it begins anew, so that a row may come twice. removed or invalid may be NULL. */
int archive_removal_list(struct archive *archive, const char *host, const char *job, vault_removed *removed,
                         void (*invalid)(void *context, const char *key, const struct error *why), void *context,
                         struct error *e);
/* The keys of all records of that job (NULL = any), whatever host, each NUL terminated, appended to *keys. */
int archive_removal_keys(struct archive *archive, const char *job, struct bytes *keys, struct error *e);
/* Remove the records of these keys, and then the signatures of those that are gone: all that can be. That one is locked
 * is no error; after one any may be gone. */
int archive_removal_forget(struct archive *archive, const struct bytes *keys, struct error *e);

#endif
