#include "local/inspection.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "local/temporary.h"

#define LOW_SPACE ((int64_t)1 << 30)

static void find(struct cofre_call *call, int32_t level, const char *hint, const char *format, ...) COFRE_PRINTF_(4, 5);
static void find(struct cofre_call *call, int32_t level, const char *hint, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    cofre->finding(call, level, text, hint);
}

static int64_t multiply(uint64_t blocks, uint64_t bytes)
{
    uint64_t product;
    return __builtin_mul_overflow(blocks, bytes, &product) || product > INT64_MAX ? INT64_MAX : (int64_t)product;
}

int32_t inspection_space(struct place *place, struct cofre_space *space, struct cofre_error *error)
{
    struct statvfs st;
    int32_t result = place_need(place, error);
    if (result)
        return result;
    if (fstatvfs(place->root, &st))
        return place_fail(error, errno, "look at the file system of '%s'", place->path);
    /* Some network file systems say 0 for "I do not know". */
    space->total = st.f_blocks ? multiply(st.f_blocks, st.f_frsize) : -1;
    space->available = st.f_blocks ? multiply(st.f_bavail, st.f_frsize) : -1;
    return COFRE_OK;
}

static void look_at_mode(struct place *place, struct cofre_call *call, const struct stat *st)
{
    if (!(st->st_mode & 077))
        return;
    char hint[COFRE_MAX_KEY + 100];
    snprintf(hint, sizeof hint, "chmod 0700 '%.*s'", COFRE_MAX_KEY, place->path);
    find(call, COFRE_LOG_WARNING, hint, "directory '%s' can be %s by others (mode %04o)", place->path,
         st->st_mode & 022 ? "changed" : "read", st->st_mode & 07777u);
}

static void look_at_disk(struct place *place, struct cofre_call *call, const struct stat *st)
{
    struct stat system;
    if (stat("/", &system) == 0 && system.st_dev == st->st_dev)
        find(call, COFRE_LOG_WARNING, "a backup belongs on another disk; is it mounted?",
             "directory '%s' is on the same file system as '/'", place->path);
}

static void look_at_space(struct place *place, struct cofre_call *call)
{
    struct cofre_space space = {.struct_size = sizeof space};
    struct cofre_error error = {.struct_size = sizeof error};
    if (inspection_space(place, &space, &error))
        find(call, COFRE_LOG_ERROR, error.hint, "%s", error.message);
    else if (space.available >= 0 && (space.available < LOW_SPACE || space.available < space.total / 20))
        find(call, COFRE_LOG_WARNING, "make room, or use a larger disk", "only %lld MiB of %lld MiB are free in '%s'",
             (long long)(space.available >> 20), (long long)(space.total >> 20), place->path);
}

static int write_probe(int fd, const char *text, size_t n)
{
    ssize_t written = write(fd, text, n);
    if (written >= 0 && written < (ssize_t)n)
        errno = ENOSPC;
    return written == (ssize_t)n ? fsync(fd) : -1;
}

/* What a put does, where puts begin: what stays if we are killed is swept. Nothing was ever put yet: in the root. */
static int32_t probe(struct place *place, struct cofre_error *error)
{
    char name[TEMPORARY_NAME_MAX], other[TEMPORARY_NAME_MAX + 8];
    PLACE_CLOSE int made = -1;
    int32_t result = place_temporary(place, false, &made, error);
    if (result && result != COFRE_E_NOT_FOUND)
        return result;
    int temporary = made >= 0 ? made : place->root;
    PLACE_CLOSE int fd = temporary_make(temporary, name);
    if (fd < 0)
        return place_fail(error, errno, "write in directory '%s'", place->path);
    snprintf(other, sizeof other, "%s.probe", name);
    int failed = write_probe(fd, name, sizeof name) ? errno : temporary_publish(temporary, name, temporary, other);
    unlinkat(temporary, failed ? name : other, 0);
    if (failed == ENOTSUP)
        return temporary_no_publishing(error, place->path);
    return failed ? place_fail(error, failed, "write in directory '%s'", place->path) : COFRE_OK;
}

static void look_at_writing(struct place *place, struct cofre_call *call)
{
    struct cofre_error error = {.struct_size = sizeof error};
    if (probe(place, &error)) {
        find(call, COFRE_LOG_ERROR, error.hint, "%s", error.message);
    } else {
        find(call, COFRE_LOG_INFO, "", "directory '%s' can be written", place->path);
    }
}

int32_t inspection_run(struct place *place, struct cofre_call *call, struct cofre_error *error)
{
    struct stat st;
    struct cofre_error missing = {.struct_size = sizeof missing};
    if (place_need(place, &missing)) {
        find(call, COFRE_LOG_ERROR, missing.hint, "%s", missing.message);
        return COFRE_OK;
    }
    if (fstat(place->root, &st))
        return place_fail(error, errno, "look at directory '%s'", place->path);
    look_at_mode(place, call, &st);
    look_at_disk(place, call, &st);
    look_at_space(place, call);
    look_at_writing(place, call);
    return COFRE_OK;
}
