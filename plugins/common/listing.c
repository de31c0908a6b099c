#include "common/listing.h"

#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "cofre/plugin.h"

#define BUFFER_SIZE ((size_t)64 << 10)
#define TICK_NS 10000000

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
            return cofre_fail(error, COFRE_E_MEMORY, "list the directory: no memory for all its names");
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
            return cofre_fail_errno(error, errno, "list the directory");
        int32_t result = add_records(listing, (size_t)n, error);
        if (result != COFRE_OK)
            return result;
    }
}

/* Sorts the names from first on, and drops those that are there before. Returns whether there were any. */
static bool sort(struct listing *listing, size_t first)
{
    struct listing_name *names = listing->names;
    size_t kept = first;
    bool twice = false;
    if (listing->count == first)
        return false;
    qsort_r(names + first, listing->count - first, sizeof *names, compare, listing->bytes);
    for (size_t i = first + 1; i < listing->count; i++) {
        if (compare(&names[kept], &names[i], listing->bytes) != 0) {
            names[++kept] = names[i];
            continue;
        }
        twice = true;
        if (names[kept].type != names[i].type)
            names[kept].type = DT_UNKNOWN;
    }
    listing->count = kept + 1;
    return twice;
}

/* One time all the names. Those of the times before stay. */
static int32_t read_round(struct listing *listing, int fd, struct listing_range *range, struct cofre_error *error)
{
    size_t first = listing->count;
    if (first > range->first && lseek(fd, 0, SEEK_SET) < 0)
        return cofre_fail_errno(error, errno, "list the directory");
    int32_t result = read_records(listing, fd, error);
    range->twice = sort(listing, first);
    if (first > range->first)
        sort(listing, range->first);
    range->end = listing->count;
    return result;
}

static int64_t since(const struct timespec *then, const struct timespec *now)
{
    return (int64_t)(now->tv_sec - then->tv_sec) * 1000000000 + now->tv_nsec - then->tv_nsec;
}

/* File systems that list each name that is there from the beginning to the end, whatever else changes. */
static bool is_steady(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC);
}

/* What the directory is like before its names are read. */
struct look {
    struct stat st;
    bool fresh; /* it changed within the same tick of the clock that stamps it: a further change would not show */
};

static int look(int fd, struct look *look)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (fstat(fd, &look->st) != 0)
        return errno;
    int64_t ns = since(&now, &look->st.st_ctim);
    look->fresh = ns >= 0 && ns <= TICK_NS && !is_steady(fd);
    return 0;
}

/* A tick in which it changed is let pass; in the next one it may change again. */
static int look_before(int fd, struct look *before)
{
    int errnum = look(fd, before);
    if (errnum || !before->fresh)
        return errnum;
    nanosleep(&(struct timespec){.tv_nsec = TICK_NS}, NULL);
    return look(fd, before);
}

static bool changed(const struct look *before, int fd)
{
    struct stat after;
    return before->fresh || fstat(fd, &after) != 0 || since(&before->st.st_mtim, &after.st_mtim) != 0 ||
           since(&before->st.st_ctim, &after.st_ctim) != 0;
}

int32_t listing_read(struct listing *listing, int fd, struct listing_range *range, struct cofre_error *error)
{
    struct look before;
    *range = (struct listing_range){listing->count, listing->count, listing->count, listing->used, false};
    if (!listing->buffer && !(listing->buffer = malloc(BUFFER_SIZE)))
        return cofre_fail(error, COFRE_E_MEMORY, "list the directory: out of memory");
    for (int round = 1; round <= LISTING_ROUNDS; round++) {
        int errnum = look_before(fd, &before);
        if (errnum)
            return cofre_fail_errno(error, errnum, "look at the directory");
        int32_t result = read_round(listing, fd, range, error);
        if (result != COFRE_OK || !changed(&before, fd) || is_steady(fd))
            return result;
    }
    range->twice = false;
    return cofre_fail(error, COFRE_E_CHANGED,
                      "list the directory: it changed each of the %d times it was listed; names may be missing",
                      LISTING_ROUNDS);
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
