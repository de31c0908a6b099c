/* LD_PRELOAD=alloc_fail.so: memory runs out at a chosen allocation.
 *
 *   ALLOC_FAIL_AT=N      the N-th malloc, calloc or realloc of each process gives NULL; 0 = none
 *   ALLOC_FAIL_STICKY=1  and so do all later ones
 *   ALLOC_FAIL_OUT=FILE  each process appends the number of its allocations to FILE when it exits
 *
 * The allocator below is glibc's own, by the names it exports for this; dlsym would allocate.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);

#define VISIBLE __attribute__((visibility("default")))

static atomic_long seen;
static long at;
static bool sticky;

__attribute__((constructor)) static void begin(void)
{
    const char *text = getenv("ALLOC_FAIL_AT");
    sticky = getenv("ALLOC_FAIL_STICKY") != NULL;
    /* What the loader allocated before this does not count. */
    seen = 0;
    at = text ? atol(text) : 0;
}

__attribute__((destructor)) static void finish(void)
{
    const char *path = getenv("ALLOC_FAIL_OUT");
    char line[32];
    int n = snprintf(line, sizeof line, "%ld\n", (long)seen);
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd >= 0 && write(fd, line, (size_t)n) == n)
        close(fd);
}

static bool fails(void)
{
    long number = atomic_fetch_add(&seen, 1) + 1;
    if (at <= 0 || number < at || (number > at && !sticky))
        return false;
    errno = ENOMEM;
    return true;
}

VISIBLE void *malloc(size_t size)
{
    return fails() ? NULL : __libc_malloc(size);
}

VISIBLE void *calloc(size_t count, size_t size)
{
    return fails() ? NULL : __libc_calloc(count, size);
}

VISIBLE void *realloc(void *p, size_t size)
{
    return fails() ? NULL : __libc_realloc(p, size);
}
