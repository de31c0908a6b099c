/* The audit: is every stored byte of the snapshots in an archive there, and does it lead to every entry? */
#ifndef COFRE_ARCHIVE_ARCHIVE_VERIFY_H
#define COFRE_ARCHIVE_ARCHIVE_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

struct archive;
struct bytes;
struct error;
struct manifest;

struct archive_verify_request {
    const char *host, *job, *id; /* which snapshots; NULL = any */
    const char *us;              /* whose a snapshot counts as when its manifest cannot be read */
    bool quick;                  /* presence and sizes; content is not read */
};
struct archive_verify_damage {
    const char *object;   /* key */
    const char *text;     /* what is wrong with it */
    const char *snapshot; /* "HOST/JOB/ID" */
    const char *source;   /* NULL = the whole */
};
struct archive_verify_snapshot {
    const char *host, *job, *id;
    const struct manifest *manifest;
    const struct bytes *text;
};
struct archive_verify_audience {
    void (*damage)(void *context, const struct archive_verify_damage *damage);
    /* Each snapshot with the bytes of its manifest, which is NULL when it cannot be read: 0, or -1 with *e set, which
     * ends it. */
    int (*snapshot)(void *context, const struct archive_verify_snapshot *snapshot, struct error *e);
    void (*progress)(void *context, uint64_t objects, uint64_t bytes);
    void *context;
};

/* 0 also when damage was found. Files encrypted to recipients, of whom none has a secret key here, are only compared
 * with their hashes, and a notice says so. A passphrase that is not that of the archive: ERROR_AUTH. */
int archive_verify_run(struct archive *archive, const struct archive_verify_request *request,
                       const struct archive_verify_audience *audience, uint64_t *snapshots, uint64_t *damaged,
                       struct error *e);

#endif
