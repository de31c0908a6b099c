#include "places.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <jansson.h>
#include <zstd.h>

#define OWN_MAX 3
#define PLACES (1 << 16) /* more than there are */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* of all that follows, but for armed */
static atomic_int armed;
static uint64_t *failed; /* by hash; 0 = free; shared with children */
static int depth;        /* callers that make a place */
static unsigned each;    /* so manieth of them fails */
static int own = 2;      /* frames below them: two of this file, and what a sanitizer puts in the way of backtrace */
static struct {
    const char *call;
    void *callers[PLACES_CALLERS + OWN_MAX];
    int count;
} last;

extern char __executable_start[];

/* The same in every run, wherever the program is put. */
static uint64_t hash(void *const *callers, int n)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (int i = own - 1; i < n; i++)
        h = (h ^ (uint64_t)((char *)callers[i] - __executable_start)) * 0x100000001b3u;
    return h | 1;
}

/* Is it the turn of this place? */
static bool take_turn(const char *call, void *const *callers, int n)
{
    uint64_t id = hash(callers, n);
    size_t at = (size_t)(id >> 40) % PLACES;
    bool turn = false;
    pthread_mutex_lock(&mutex);
    while (failed[at] && failed[at] != id)
        at = (at + 1) % PLACES;
    if (!failed[at] && armed != PLACES_NONE && (id >> 1) % each != 0) {
        failed[at] = id; /* it never does */
    } else if (!failed[at] && armed != PLACES_NONE) {
        turn = true;
        failed[at] = id;
        armed = PLACES_NONE;
        last.call = call;
        last.count = n;
        memcpy(last.callers, callers, (size_t)n * sizeof *callers);
    }
    pthread_mutex_unlock(&mutex);
    return turn;
}

__attribute__((noinline)) static bool fails(enum places_kind kind, const char *call, int cause)
{
    void *callers[PLACES_CALLERS + OWN_MAX];
    if (atomic_load_explicit(&armed, memory_order_relaxed) != (int)kind)
        return false;
    if (!take_turn(call, callers, backtrace(callers, depth + own)))
        return false;
    errno = cause;
    return true;
}

size_t places_count(void)
{
    size_t n = 0;
    for (size_t i = 0; i < PLACES; i++)
        n += failed[i] != 0;
    return n;
}

void places_arm(enum places_kind kind)
{
    pthread_mutex_lock(&mutex);
    last.call = NULL;
    armed = (int)kind;
    pthread_mutex_unlock(&mutex);
}

bool places_disarm(char *out, size_t n)
{
    pthread_mutex_lock(&mutex);
    armed = PLACES_NONE;
    bool one = last.call != NULL;
    int length = snprintf(out, n, "%s", one ? last.call : "nothing");
    for (int i = own; one && i < last.count && length < (int)n; i++)
        length += snprintf(out + length, n - (size_t)length, " %#tx", (char *)last.callers[i] - __executable_start);
    pthread_mutex_unlock(&mutex);
    return one;
}

/* ---- the calls ---- */

/* One that can fail when kind is armed: it gives failure then, and errno is cause. */
#define FALLIBLE(type, name, kind, failure, cause, parameters, arguments)                                              \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        return fails(kind, #name, cause) ? failure : __real_##name arguments;                                          \
    }
#define ALLOCATES(type, name, parameters, arguments)                                                                   \
    FALLIBLE(type *, name, PLACES_MEMORY, NULL, ENOMEM, parameters, arguments)
#define CALLS(name, parameters, arguments) FALLIBLE(int, name, PLACES_CALLS, -1, EIO, parameters, arguments)
/* The result is what would stand in errno. */
#define STARTS(name, parameters, arguments) FALLIBLE(int, name, PLACES_CALLS, EAGAIN, 0, parameters, arguments)
/* May be interrupted, too. */
#define WAITS(type, name, parameters, arguments)                                                                       \
    type __real_##name parameters;                                                                                     \
    type __wrap_##name parameters;                                                                                     \
    type __wrap_##name parameters                                                                                      \
    {                                                                                                                  \
        if (fails(PLACES_INTERRUPTED, #name, EINTR) || fails(PLACES_CALLS, #name, EIO))                                \
            return -1;                                                                                                 \
        return __real_##name arguments;                                                                                \
    }

ALLOCATES(void, malloc, (size_t n), (n))
ALLOCATES(void, calloc, (size_t count, size_t n), (count, n))
ALLOCATES(void, realloc, (void *p, size_t n), (p, n))
ALLOCATES(void, reallocarray, (void *p, size_t count, size_t n), (p, count, n))
ALLOCATES(void, aligned_alloc, (size_t alignment, size_t n), (alignment, n))
ALLOCATES(char, strdup, (const char *text), (text))
ALLOCATES(char, strndup, (const char *text, size_t n), (text, n))
ALLOCATES(ZSTD_CCtx, ZSTD_createCCtx, (void), ())
ALLOCATES(ZSTD_DCtx, ZSTD_createDCtx, (void), ())

CALLS(access, (const char *path, int mode), (path, mode))
CALLS(chmod, (const char *path, mode_t mode), (path, mode))
CALLS(fchmod, (int fd, mode_t mode), (fd, mode))
CALLS(fstat64, (int fd, struct stat64 *out), (fd, out))
CALLS(stat64, (const char *path, struct stat64 *out), (path, out))
CALLS(ftruncate64, (int fd, off64_t n), (fd, n))
CALLS(memfd_create, (const char *name, unsigned flags), (name, flags))
CALLS(mkdir, (const char *path, mode_t mode), (path, mode))
CALLS(mkostemp64, (char *path, int flags), (path, flags))
CALLS(pipe2, (int fds[2], int flags), (fds, flags))
CALLS(rename, (const char *from, const char *to), (from, to))
CALLS(unlink, (const char *path), (path))
CALLS(unlinkat, (int fd, const char *path, int flags), (fd, path, flags))
CALLS(socketpair, (int domain, int type, int protocol, int fds[2]), (domain, type, protocol, fds))
FALLIBLE(DIR *, opendir, PLACES_CALLS, NULL, EIO, (const char *path), (path))
FALLIBLE(struct dirent64 *, readdir64, PLACES_CALLS, NULL, EIO, (DIR * d), (d))
FALLIBLE(char *, getcwd, PLACES_CALLS, NULL, EIO, (char *path, size_t n), (path, n))
FALLIBLE(char *, realpath, PLACES_CALLS, NULL, EIO, (const char *path, char *out), (path, out))
FALLIBLE(void *, mmap64, PLACES_CALLS, MAP_FAILED, EIO,
         (void *p, size_t n, int protection, int flags, int fd, off64_t at), (p, n, protection, flags, fd, at))
STARTS(pthread_create, (pthread_t * thread, const pthread_attr_t *attributes, void *(*run)(void *), void *context),
       (thread, attributes, run, context))
STARTS(posix_spawn,
       (pid_t * pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
        char *const *arguments, char *const *environment),
       (pid, path, actions, attributes, arguments, environment))
WAITS(ssize_t, read, (int fd, void *p, size_t n), (fd, p, n))
WAITS(ssize_t, write, (int fd, const void *p, size_t n), (fd, p, n))
WAITS(ssize_t, pread64, (int fd, void *p, size_t n, off64_t at), (fd, p, n, at))
FALLIBLE(ssize_t, pwrite64, PLACES_CALLS, -1, EIO, (int fd, const void *p, size_t n, off64_t at), (fd, p, n, at))

/* It is not waited for: nothing here outlives the machine. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
    return fails(PLACES_CALLS, "fsync", EIO) ? -1 : fcntl(fd, F_GETFD) < 0 ? -1 : 0;
}

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);
int __wrap_flock(int fd, int operation)
{
    bool waits = !(operation & LOCK_NB);
    if ((waits && fails(PLACES_INTERRUPTED, "flock", EINTR)) || fails(PLACES_CALLS, "flock", EIO))
        return -1;
    return __real_flock(fd, operation);
}

int __real_asprintf(char **out, const char *format, ...);
__attribute__((format(printf, 2, 3))) int __wrap_asprintf(char **out, const char *format, ...);
int __wrap_asprintf(char **out, const char *format, ...)
{
    if (fails(PLACES_MEMORY, "asprintf", ENOMEM)) {
        *out = NULL;
        return -1;
    }
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(out, format, arguments);
    va_end(arguments);
    return n;
}

int __real_openat64(int directory, const char *path, int flags, ...);
static int open_at(const char *call, int directory, const char *path, int flags, va_list arguments)
{
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    return fails(PLACES_CALLS, call, EIO) ? -1 : __real_openat64(directory, path, flags, mode);
}

int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int fd = open_at("open", AT_FDCWD, path, flags, arguments);
    va_end(arguments);
    return fd;
}

int __wrap_openat64(int directory, const char *path, int flags, ...);
int __wrap_openat64(int directory, const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    int fd = open_at("openat", directory, path, flags, arguments);
    va_end(arguments);
    return fd;
}

/* ---- jansson: what is handed over is freed, as it does ---- */

ALLOCATES(json_t, json_object, (void), ())
ALLOCATES(json_t, json_array, (void), ())
ALLOCATES(json_t, json_string, (const char *text), (text))
ALLOCATES(json_t, json_integer, (json_int_t number), (number))
ALLOCATES(json_t, json_real, (double number), (number))
ALLOCATES(json_t, json_deep_copy, (const json_t *value), (value))
ALLOCATES(char, json_dumps, (const json_t *value, size_t flags), (value, flags))

int __real_json_array_append_new(json_t *array, json_t *value);
int __wrap_json_array_append_new(json_t *array, json_t *value);
int __wrap_json_array_append_new(json_t *array, json_t *value)
{
    if (!fails(PLACES_MEMORY, "json_array_append_new", ENOMEM))
        return __real_json_array_append_new(array, value);
    json_decref(value);
    return -1;
}

int __real_json_object_set_new(json_t *object, const char *name, json_t *value);
int __wrap_json_object_set_new(json_t *object, const char *name, json_t *value);
int __wrap_json_object_set_new(json_t *object, const char *name, json_t *value)
{
    if (!fails(PLACES_MEMORY, "json_object_set_new", ENOMEM))
        return __real_json_object_set_new(object, name, value);
    json_decref(value);
    return -1;
}

json_t *__wrap_json_pack(const char *format, ...);
json_t *__wrap_json_pack(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    json_t *value = json_vpack_ex(NULL, 0, format, arguments);
    va_end(arguments);
    if (!fails(PLACES_MEMORY, "json_pack", ENOMEM))
        return value;
    json_decref(value);
    return NULL;
}

void places_begin(int callers, unsigned one_of)
{
    each = one_of;
    extern char etext[];
    void *one[1];
    depth = callers < PLACES_CALLERS ? callers : PLACES_CALLERS;
    backtrace(one, 1); /* loads what it needs, once */
    own += (char *)one[0] < __executable_start || (char *)one[0] >= etext;
    failed = __real_mmap64(NULL, PLACES * sizeof *failed, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (failed == MAP_FAILED)
        abort();
}
