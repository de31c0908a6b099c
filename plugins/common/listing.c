#include "common/listing.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/failure.h"

#define BUFFER_SIZE ((size_t)64 << 10)

void listing_free(struct listing *listing)
{
    free(listing->bytes);
    free(listing->names);
    free(listing->buffer);
    *listing = (struct listing){.maximum = listing->maximum};
}

static bool is_dot(const char *name)
{
    return name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2]));
}

static uint64_t prefix_of(const char *name, size_t length)
{
    uint64_t prefix = 0;
    for (size_t i = 0; i < sizeof prefix; i++)
        prefix = prefix << 8 | (i < length ? (unsigned char)name[i] : 0);
    return prefix;
}

/* Doubles *block until need items of the size fit. The maximum is for both blocks together. */
static bool grow(const struct listing *listing, void **block, size_t *capacity, size_t need, size_t size)
{
    size_t larger = *capacity ? *capacity : 4096;
    while (larger < need)
        larger *= 2;
    size_t others = listing->room + listing->capacity * sizeof *listing->names - *capacity * size;
    if (larger > (listing->maximum - others) / size)
        return false;
    void *moved = realloc(*block, larger * size);
    if (!moved)
        return false;
    *block = moved;
    *capacity = larger;
    return true;
}

static bool room_for(struct listing *listing, size_t length)
{
    if (listing->used + length + 1 > listing->room) {
        void *block = listing->bytes;
        if (!grow(listing, &block, &listing->room, listing->used + length + 1, 1))
            return false;
        listing->bytes = block;
    }
    if (listing->count == listing->capacity) {
        void *block = listing->names;
        if (!grow(listing, &block, &listing->capacity, listing->count + 1, sizeof *listing->names))
            return false;
        listing->names = block;
    }
    return true;
}

static bool add(struct listing *listing, const char *name, unsigned char type)
{
    size_t length = strlen(name);
    if (!room_for(listing, length))
        return false;
    memcpy(listing->bytes + listing->used, name, length + 1);
    listing->names[listing->count++] = (struct listing_name){
        .prefix = prefix_of(name, length), .offset = listing->used, .length = (uint32_t)length, .type = type};
    listing->used += length + 1;
    return true;
}

static int compare(const void *a, const void *b, void *bytes)
{
    const struct listing_name *x = a, *y = b;
    if (x->prefix != y->prefix)
        return x->prefix < y->prefix ? -1 : 1;
    if (x->length <= sizeof x->prefix || y->length <= sizeof y->prefix)
        return x->length < y->length ? -1 : x->length > y->length;
    return strcmp((const char *)bytes + x->offset, (const char *)bytes + y->offset);
}

/* Takes the records that the kernel wrote into the buffer. */
static int32_t add_records(struct listing *listing, size_t length, struct cofre_error *error)
{
    for (size_t at = 0; at < length;) {
        const struct dirent64 *record = (const void *)((const char *)listing->buffer + at);
        at += record->d_reclen;
        if (!is_dot(record->d_name) && !add(listing, record->d_name, record->d_type))
            return failure_set(error, COFRE_E_MEMORY, "list the directory: no memory for all its names");
    }
    return COFRE_OK;
}

static int32_t read_records(struct listing *listing, int fd, struct cofre_error *error)
{
    for (;;) {
        ssize_t n = getdents64(fd, listing->buffer, BUFFER_SIZE);
        if (n == 0)
            return COFRE_OK;
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return failure_system(error, errno, "list the directory");
        int32_t result = add_records(listing, (size_t)n, error);
        if (result != COFRE_OK)
            return result;
    }
}

int32_t listing_read(struct listing *listing, int fd, struct listing_range *range, struct cofre_error *error)
{
    *range = (struct listing_range){listing->count, listing->count, listing->count, listing->used};
    if (!listing->buffer && !(listing->buffer = malloc(BUFFER_SIZE)))
        return failure_set(error, COFRE_E_MEMORY, "list the directory: out of memory");
    int32_t result = read_records(listing, fd, error);
    range->end = listing->count;
    if (range->end > range->first)
        qsort_r(listing->names + range->first, range->end - range->first, sizeof *listing->names, compare,
                listing->bytes);
    return result;
}

void listing_drop(struct listing *listing, const struct listing_range *range)
{
    listing->count = range->first;
    listing->used = range->mark;
}

size_t listing_find(const struct listing *listing, const struct listing_range *range, const char *text)
{
    size_t low = range->first, high = range->end;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(listing_text(listing, &listing->names[middle]), text);
        if (order == 0)
            return middle;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return SIZE_MAX;
}
