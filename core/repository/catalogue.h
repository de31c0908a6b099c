/* The catalogue: a source's entries in path order, as records one after another, chunked through the store like any
 * data.
 *
 * A record (all integers little-endian; at most CATALOGUE_RECORD_MAX bytes, the length field included):
 *
 *   u32 length of what follows | u8 kind | u8 status | u8 fields | u8 0, and then
 *     kind 0, a continuation (more extents of the entry before): u32 count, extents
 *     else: u16 path length, path | u32 mode, uid, gid | i64 mtime | u64 size | optional fields | u32 count, extents
 *
 *   extent: chunk id 32 | u32 offset in the chunk's plain bytes | u64 length, not 0
 *     An all-zero id is a hole (offset 0).
 *
 *   optional fields, in the order of their bits in `fields`:
 *      1  fingerprint 16
 *      2  u16 length, link: exactly in symlinks and hard links
 *      4  u8 length, user; u8 length, group
 *      8  u16 count, then per attribute u8 length, name, u32 length, value
 *     16  u32 device major, minor: exactly in devices
 *     32  u16 length, text of why it is not whole: exactly when status is not WHOLE
 *     64  (no bytes) more extents follow, in a continuation
 *
 * Only files and streams have extents and a size; the extents of an entry add up to its size. One that is UNREADABLE
 * has no extents, and the size that was announced.
 */
#ifndef COFRE_REPOSITORY_CATALOGUE_H
#define COFRE_REPOSITORY_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "repository/seal.h"
#include "snapshot/record.h"

struct error;

#define CATALOGUE_RECORD_MAX (4u << 20)
#define CATALOGUE_EXTENTS_MAX 4096u /* in one record */
#define CATALOGUE_EXTENT_SIZE 44u   /* bytes of one, the last thing in a record */

struct catalogue_extent {
    uint8_t id[SEAL_HASH_SIZE]; /* all zero = hole */
    uint32_t offset;
    uint64_t length;
};
bool catalogue_is_hole(const struct catalogue_extent *extent);

/* Append the record to *out. At most CATALOGUE_EXTENTS_MAX extents. What the format cannot hold (a user's name of more
 * than 255 bytes, a record beyond the maximum): ERROR_RANGE, and *out is as before. */
int catalogue_encode(const struct record *record, struct bytes *out, struct error *e);

/* Memory for decoding one record at a time; zeroed is fine. Grows to the largest record, so most records allocate
 * nothing. */
struct catalogue_decoder {
    struct snapshot_attribute *attributes;
    size_t attribute_capacity;
    struct catalogue_extent *extents;
    size_t extent_capacity;
    struct bytes text; /* NUL terminated copies */
};
void catalogue_decoder_free(struct catalogue_decoder *d);

/* How long is the record that begins at p? 0 = fewer than 4 bytes there. Includes the length field. A length beyond
 * CATALOGUE_RECORD_MAX: -1. */
int catalogue_record_length(const uint8_t *p, size_t n, size_t *length, struct error *e);
/* Decode the record of exactly n bytes (length field included). Everything is checked: kinds, path syntax (as
 * cofre/plugin.h says), lengths, extents that fit the size when the record is the only one of its entry.
 * ERROR_INTEGRITY. The record lives until the decoder's next use. */
int catalogue_decode(struct catalogue_decoder *d, const uint8_t *p, size_t n, struct record *record, struct error *e);

#endif
