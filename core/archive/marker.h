/* The marker: archive.json, the object that makes a place an archive.
 *
 * With a passphrase it holds a probe: a few known bytes, sealed with the passphrase when the archive was made. So a
 * passphrase is shown to be the archive's before anything is sealed with it, also where no snapshot is there yet. For
 * recipients there is none: who writes has no key that would open it, and what he encrypts to is named by fingerprints.
 */
#ifndef COFRE_ARCHIVE_MARKER_H
#define COFRE_ARCHIVE_MARKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct pgp;
struct sink;

#define MARKER_ID_SIZE 16
#define MARKER_PROBE_MAX 1024

struct marker {
    char id[2 * MARKER_ID_SIZE + 1]; /* hexadecimal digits */
    uint8_t probe[MARKER_PROBE_MAX];
    size_t probe_length; /* 0 = there is none */
};

/* Of its bytes. ERROR_INTEGRITY, ERROR_UNSUPPORTED: not one of ours. */
int marker_parse(const void *p, size_t n, struct marker *marker, struct error *e);
/* ERROR_NOT_FOUND: there is none; else as marker_parse. */
int marker_read(struct sink *sink, struct marker *marker, struct error *e);
/* Make the archive in its place, if the place is empty. *existed: there was one already, and the passphrase is its own
 * (ERROR_AUTH). ERROR_EXISTS: the place holds something else. pgp: with a passphrase; NULL = there is none. */
int marker_make(struct sink *sink, struct pgp *pgp, struct marker *marker, bool *existed, struct error *e);
/* ERROR_AUTH: the passphrase is another than that of the archive, or the archive was made without one. */
int marker_prove(const struct marker *marker, struct pgp *pgp, struct error *e);

#endif
