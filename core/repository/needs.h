/* Needs: which packs a snapshot needs, as an object of its own beside the manifest. What removes packs, keeps them
 * locked or looks whether they are there asks this, and walks no catalogue; and it can be read without the full key.
 *
 * Each repository holds other packs, so the manifest, which is the same everywhere, does not name it: it names the
 * manifest. A pack is named by the first NEEDS_NAME_SIZE bytes of its hash, so that the needs of 100 TB are 50 MB: one
 * that is needed is never missed, and another that begins alike is kept with it.
 *
 * The object is stored with the snapshot, as needs/HOST/JOB/ID. When packs are packed anew, another is stored beside
 * it, as needs/HOST/JOB/ID.HEX, and then the one before goes. So whoever was held up in the middle of that for however
 * long spoils nothing. Each of them is enough to go by; what any of them names stays.
 * docs/format.md specifies every byte.
 */
#ifndef COFRE_REPOSITORY_NEEDS_H
#define COFRE_REPOSITORY_NEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "repository/pack_name.h"

struct confirm_stored;
struct error;
struct index;
struct index_pack;
struct manifest;
struct repository;

#define NEEDS_NAME_SIZE 8
#define NEEDS_OBJECT_MAX ((size_t)56 << 20)

struct needs_host {
    uint32_t number;    /* pack_name_number */
    struct bytes packs; /* NEEDS_NAME_SIZE each; ascending once it is sorted */
    size_t sorted;      /* bytes of them that are */
};

/* Zeroed is empty. */
struct needs {
    struct needs_host *hosts;
    size_t host_count;
    uint8_t manifest[SEAL_HASH_SIZE]; /* hash of its bytes; filled by needs_open */
};
void needs_free(struct needs *needs);
#define AUTO_NEEDS __attribute__((cleanup(needs_free)))

/* One more; once all were added, needs_sort, and nothing is added any more. */
int needs_add(struct needs *needs, const struct pack_name *pack, struct error *e);
void needs_sort(struct needs *needs);
/* Of what is sorted or was read. */
bool needs_has(const struct needs *needs, const struct pack_name *pack);
size_t needs_count(const struct needs *needs);
/* How many of them are not among those listed, which are sorted by pack_name_compare? */
size_t needs_missing(const struct needs *needs, const struct index_pack *listed, size_t count);

/* What a new snapshot needs in that repository: of the fresh catalogues in cache (the job's directory), which a put key
 * could not read from the store, each chunk in the place that a run relies on. Sorted. One that has no such place is
 * ERROR_INTEGRITY. */
int needs_of_catalogues(const struct repository *repository, const struct manifest *manifest, const char *cache,
                        struct needs *needs, struct error *e);

/* Into out[201]. */
void needs_key(const char *host, const char *job, const char *id, char *out);
/* Store those of a snapshot that is about to be committed, whose manifest has these bytes; read back, and durable once
 * the sink was synced. replace: what is there already may be of a copy that was interrupted. */
int needs_put(struct repository *repository, const struct needs *needs, const struct manifest *manifest,
              const struct bytes *object, bool replace, struct error *e);
/* The body of the object, into an empty one. name: for messages. ERROR_INTEGRITY; then it is empty. */
int needs_parse(const void *p, size_t n, const char *name, struct needs *needs, struct error *e);
/* The object, likewise. host: in the key. ERROR_INTEGRITY, ERROR_AUTH: it is none, or not for this place. */
int needs_open(const struct repository *repository, const char *host, const char *key, const struct bytes *object,
               struct needs *needs, struct error *e);
/* The object under that key, of that host. */
int needs_read_key(struct repository *repository, const char *host, const char *key, struct needs *needs,
                   struct error *e);
/* Which needs objects there are of one host, for who reads those of many snapshots: one listing does for all. Zeroed is
 * empty. */
struct needs_listing {
    char host[64];
    struct bytes keys; /* each NUL terminated, sorted */
};
void needs_listing_free(struct needs_listing *listing);
/* One of those of a snapshot, the one that was stored with it when it is there. ERROR_NOT_FOUND: there is none.
 * listing: filled when it is first needed, and when it is of another host; NULL: what is listed is of this snapshot
 * alone. What was packed anew since it was filled is found all the same. */
int needs_read(struct repository *repository, const char *host, const char *job, const char *id,
               struct needs_listing *listing, struct needs *needs, struct error *e);

/* Store them beside what there is, under a fresh key, "needs/" name ".HEX"; name: HOST/JOB/ID. Of the manifest whose
 * hash is in needs->manifest. Durable once the sink was synced; then *stored is to be looked at (confirm_stored). */
int needs_put_anew(struct repository *repository, const char *name, const struct needs *needs,
                   struct confirm_stored *stored, struct error *e);
/* The keys of those that were stored beside the one under that key, each NUL terminated, appended to *keys. */
int needs_list_anew(const struct repository *repository, const char *key, struct bytes *keys, struct error *e);

#endif
