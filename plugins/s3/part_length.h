/* How long the parts of an upload are. */
#ifndef COFRE_S3_PART_LENGTH_H
#define COFRE_S3_PART_LENGTH_H

#include <stdint.h>

#define PART_LENGTH_PARTS 10000 /* of one upload, at most */

/* Part n of an object of unknown size is part_size + this * n * n bytes: all of them are 5 TiB, and the first 2,000
 * take little memory. */
#define PART_LENGTH_GROWTH 17

/* The length of part number n (from 1): as set, or what makes PART_LENGTH_PARTS suffice for the object, whose size may
 * not be known (-1). It is held in memory. */
static inline int64_t part_length(int64_t part_size, int64_t size, int64_t n)
{
    if (size < 0)
        return part_size + PART_LENGTH_GROWTH * n * n;
    int64_t least = (size + PART_LENGTH_PARTS - 1) / PART_LENGTH_PARTS;
    return least > part_size ? least : part_size;
}

#endif
