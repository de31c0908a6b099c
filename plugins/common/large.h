/* Large files on their way into the tree: see delivery.h. */
#ifndef COFRE_COMMON_LARGE_H
#define COFRE_COMMON_LARGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct delivery;
struct delivery_block;
struct folder;
struct large;

/* What was taken of a file before it turned out to be large: bytes, then a piece that take has just lent. */
struct large_beginning {
    const void *bytes;
    size_t length;
    bool has_piece;
    const void *piece; /* NULL: a hole */
    uint64_t piece_length;
};

/* As delivery_file. */
int32_t large_put(struct delivery *d, struct folder *folder, const struct cofre_entry *entry,
                  const struct large_beginning *beginning, int32_t *result);

/* A piece is written, or not: block->errnum. */
void large_arrived(struct delivery *d, struct delivery_block *block);

/* For a thread. */
void large_write(struct delivery_block *block);

/* Is the file of this path on its way? */
bool large_is_out(const struct delivery *d, const char *path, size_t length);

#endif
