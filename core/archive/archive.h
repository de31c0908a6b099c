/* An archive: a sink whose objects are plain files that standard tools open.
 *
 *   archive.json                      what makes the place an archive: marker.h
 *   JOB/ID/SOURCE.tar[.zst][.gpg]     the files of a source
 *   JOB/ID/SOURCE.ENTRY[.zst][.gpg]   a stream
 *   JOB/ID/SHA256SUMS                 of the stored bytes of everything else in JOB/ID
 *   JOB/ID/manifest.json.sig          with sign_with: a detached signature of the manifest
 *   JOB/ID/manifest.json              last: the snapshot exists if and only if this does
 */
#ifndef COFRE_ARCHIVE_ARCHIVE_H
#define COFRE_ARCHIVE_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/compress.h"
#include "archive/inventory.h"
#include "archive/marker.h"
#include "openpgp/pgp.h"

struct bytes;
struct error;
struct sink;

#define ARCHIVE_KEY_SIZE 201
/* Of its sink, at once: the tar archive, a stream beside it, and the tar archive once more for hard links. */
#define ARCHIVE_CONNECTIONS 3

struct archive_spec {
    enum compress_kind compress;
    int level; /* 0 = default */
    unsigned threads;
    enum inventory_encryption encryption;
    struct pgp_spec pgp; /* recipients and signer as needed; home NULL = neither encrypted nor signed */
    bool own_home;       /* pgp.home is ours: make it */
    int64_t patience;    /* ms that gpg may move no byte; 0 = for ever */
};

struct archive {
    struct archive_spec spec;
    struct sink *sink; /* owned */
    struct pgp *pgp;   /* NULL = neither encrypted nor signed */
    char *home;        /* spec.pgp.home */
    struct marker marker;
    bool proven; /* archive_prove has succeeded */
};

/* Take the sink (also after an error) and look for the archive. None: ERROR_NOT_INITIALISED. The spec's texts
 * are borrowed, but the home, which is copied; its secrets are taken over, and wiped in the end. */
int archive_open(struct sink *sink, const struct archive_spec *spec, struct archive **archive, struct error *e);
/* Frees the sink. NULL is fine. */
void archive_close(struct archive *archive);

/* A configured passphrase is that of the archive: marker_prove. To be called before contents are opened or sealed. */
int archive_prove(struct archive *archive, struct error *e);
/* Everything is there that saving needs: archive_prove, pgp_ready. warn may be NULL. */
int archive_ready(struct archive *archive, void (*warn)(void *context, const char *text, const char *hint),
                  void *context, struct error *e);
/* The pgp that opens and seals contents; NULL = they are not encrypted. */
struct pgp *archive_sealing(const struct archive *archive);

/* "JOB/ID/NAME" */
void archive_key(const char *job, const char *id, const char *name, char out[ARCHIVE_KEY_SIZE]);
#define ARCHIVE_MANIFEST "manifest.json"
#define ARCHIVE_SIGNATURE "manifest.json.sig"
#define ARCHIVE_SUMS "SHA256SUMS"
/* Bytes: of what is read at once, beside the manifest. A line of SHA256SUMS for each of INVENTORY_FILES_MAX files fits.
 */
#define ARCHIVE_SMALL_MAX ((size_t)8 << 20)

/* Every snapshot of the job (NULL = any). found may not use the archive. */
int archive_list(struct archive *archive, const char *job,
                 int (*found)(void *context, const char *job, const char *id, struct error *e), void *context,
                 struct error *e);
/* The manifest of a snapshot: its signature checked, when one is configured, and what it says compared with how the
 * sink is configured to encrypt. ERROR_INTEGRITY. text: its bytes, appended; may be NULL. */
int archive_read(struct archive *archive, const char *job, const char *id, struct inventory *inventory,
                 struct bytes *text, struct error *e);
/* SHA256SUMS of a snapshot must say what the manifest says. */
int archive_check_sums(struct archive *archive, const struct inventory *inventory, const struct bytes *manifest,
                       struct error *e);
/* What SHA256SUMS says of these. signature: NULL = none. */
int archive_sums(const struct inventory *inventory, const struct bytes *manifest, const struct bytes *signature,
                 struct bytes *out, struct error *e);

#endif
