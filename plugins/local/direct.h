/* Direct: large objects go between memory and disk without a stay in the page cache (O_DIRECT).
 *
 * A backup writes much and reads it back rarely: through the cache it would push out what the host's applications need,
 * and on the way cost several times the processor time. Where the file system has no direct access, and for what is
 * small or not aligned, the ordinary way is taken, and nobody notices.
 */
#ifndef LOCAL_DIRECT_H
#define LOCAL_DIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From here on it is worth while. */
#define DIRECT_LEAST ((int64_t)1 << 20)

struct direct {
    int fd;          /* borrowed */
    bool on;         /* the descriptor has O_DIRECT */
    uint8_t *buffer; /* aligned; NULL = the ordinary way from the start */
    size_t filled;   /* bytes of it that wait to be written */
    int64_t offset;  /* where they go */
};

/* For an object of that size; -1 = unknown. Never fails: at worst it is the ordinary way. */
void direct_begin(struct direct *direct, int fd, int64_t size);
/* Append. 0, or -1 with errno. */
int direct_write(struct direct *direct, const uint8_t *bytes, uint64_t length);
/* Write what waits. After it fsync makes everything durable. */
int direct_flush(struct direct *direct);
/* Up to length bytes from offset; the number, 0 at the end, -1 with errno. */
int64_t direct_read(struct direct *direct, uint8_t *bytes, size_t length, int64_t offset);
void direct_end(struct direct *direct);

#endif
