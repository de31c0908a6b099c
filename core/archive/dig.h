/* Dig: long runs of zeros in the content of an entry become holes again. It stands between the content and who takes
 * it. */
#ifndef COFRE_ARCHIVE_DIG_H
#define COFRE_ARCHIVE_DIG_H

#include <stddef.h>
#include <stdint.h>

#include "archive/untar.h"

struct error;

#define DIG_BLOCK 4096u /* holes begin and end at multiples of it, but for the end of the content */

struct dig {
    const struct untar_audience *to;
    uint64_t at;    /* bytes of content so far */
    uint64_t zeros; /* of them, the last ones, that were not passed on yet */
};

/* The two calls of an untar_audience whose context is the dig; zeroed at first, but for `to`. */
int dig_data(void *dig, const void *p, size_t n, struct error *e);
int dig_hole(void *dig, uint64_t n, struct error *e);
/* The content has ended. */
int dig_end(struct dig *dig, struct error *e);

#endif
