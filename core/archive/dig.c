#include "archive/dig.h"

#include <stdbool.h>
#include <string.h>

static const uint8_t zeros[DIG_BLOCK];

static int pass_zeros(struct dig *d, uint64_t n, struct error *e)
{
    return n > 0 ? d->to->data(d->to->context, zeros, (size_t)n, e) : 0;
}

/* Of the zeros kept back, what fills whole blocks is a hole. last: the rest of the last block, too. */
static int flush(struct dig *d, bool last, struct error *e)
{
    uint64_t begin = d->at - d->zeros, end = last ? d->at : d->at / DIG_BLOCK * DIG_BLOCK;
    uint64_t first = (begin + DIG_BLOCK - 1) / DIG_BLOCK * DIG_BLOCK;
    d->zeros = 0;
    if (first >= end) /* no whole block: all of it is less than two */
        first = end = begin + (d->at - begin) / 2;
    if (pass_zeros(d, first - begin, e) < 0)
        return -1;
    if (end > first && d->to->hole(d->to->context, end - first, e) < 0)
        return -1;
    return pass_zeros(d, d->at - end, e);
}

static bool is_zero(const uint8_t *p, size_t n)
{
    return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* How much of the n bytes is before the end of the block at hand. */
static size_t up_to_block(const struct dig *d, size_t n)
{
    size_t left = DIG_BLOCK - (size_t)(d->at % DIG_BLOCK);
    return n < left ? n : left;
}

int dig_data(void *dig, const void *p, size_t n, struct error *e)
{
    struct dig *d = dig;
    const uint8_t *at = p, *end = at + n, *data = at; /* what is from data to at is to be passed on */
    while (at < end) {
        size_t piece = up_to_block(d, (size_t)(end - at));
        bool zero = is_zero(at, piece);
        if (zero && at > data && d->to->data(d->to->context, data, (size_t)(at - data), e) < 0)
            return -1;
        if (!zero && d->zeros > 0 && flush(d, false, e) < 0)
            return -1;
        at += piece;
        d->at += piece;
        d->zeros += zero ? piece : 0;
        data = zero ? at : data;
    }
    return at > data ? d->to->data(d->to->context, data, (size_t)(at - data), e) : 0;
}

int dig_hole(void *dig, uint64_t n, struct error *e)
{
    struct dig *d = dig;
    if (d->zeros > 0 && flush(d, false, e) < 0)
        return -1;
    d->at += n;
    return d->to->hole(d->to->context, n, e);
}

int dig_end(struct dig *d, struct error *e)
{
    return d->zeros > 0 ? flush(d, true, e) : 0;
}
