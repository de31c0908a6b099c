#include "local/temporary.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "local/place.h"

#define BOOT_LENGTH 32

/* This boot's id without its dashes; zeros when /proc does not tell, and then nothing is ever dead for certain. */
static void boot_id(char out[BOOT_LENGTH + 1])
{
    memset(out, '0', BOOT_LENGTH);
    out[BOOT_LENGTH] = '\0';
    char text[64] = "";
    PLACE_CLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    size_t used = 0;
    for (ssize_t i = 0; i < n && used < BOOT_LENGTH; i++) {
        if (strchr("0123456789abcdef", text[i]))
            out[used++] = text[i];
    }
}

int temporary_make(int directory, char name[TEMPORARY_NAME_MAX])
{
    char boot[BOOT_LENGTH + 1];
    uint64_t random;
    boot_id(boot);
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return -1;
    snprintf(name, TEMPORARY_NAME_MAX, "%s.%ld.%016llx", boot, (long)getpid(), (unsigned long long)random);
    int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    /* Not every network file system has locks; without one the process id and the age still protect the file. */
    flock(fd, LOCK_EX | LOCK_NB);
    if (fchmod(fd, 0600)) {
        int saved = errno;
        close(fd);
        unlinkat(directory, name, 0);
        errno = saved;
        return -1;
    }
    return fd;
}

int temporary_publish(int temporary, const char *name, int directory, const char *leaf)
{
    if (renameat2(temporary, name, directory, leaf, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
        return errno;
    /* Then a second name does it. */
    if (linkat(temporary, name, directory, leaf, 0))
        return errno == EPERM || errno == ENOSYS || errno == EOPNOTSUPP || errno == EMLINK ? ENOTSUP : errno;
    return unlinkat(temporary, name, 0) ? errno : 0;
}

int32_t temporary_no_publishing(struct cofre_error *error, const char *path)
{
    cofre_fail(error, COFRE_E_UNSUPPORTED,
               "the file system of '%s' can neither rename without replacing nor make hard links", path);
    cofre_hint(error, "a sink needs one of the two, so that nothing is ever replaced: choose another file system, or "
                      "reach the place with the plugin rsync or s3");
    return COFRE_E_UNSUPPORTED;
}

/* Killed, and not yet waited for by whoever has to. */
static bool is_zombie(long pid)
{
    char path[40], text[400];
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    PLACE_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return false;
    text[n] = '\0';
    const char *name_end = strrchr(text, ')'); /* "PID (NAME) STATE", proc(5) */
    return name_end && strncmp(name_end, ") Z", 3) == 0;
}

static bool owner_is_gone(const char *name)
{
    char boot[BOOT_LENGTH + 1];
    boot_id(boot);
    if (strspn(boot, "0") == BOOT_LENGTH || strncmp(name, boot, BOOT_LENGTH) != 0 || name[BOOT_LENGTH] != '.')
        return false;
    long pid = strtol(name + BOOT_LENGTH + 1, NULL, 10);
    return pid > 0 && ((kill((pid_t)pid, 0) && errno == ESRCH) || is_zombie(pid));
}

static bool is_debris(int directory, const char *name, int64_t older_than)
{
    struct stat st;
    PLACE_CLOSE int fd = openat(directory, name, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode))
        return false;
    /* Held: alive, perhaps in a container where its process id means nothing to us. */
    if (flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
        return false;
    int64_t written = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
    return owner_is_gone(name) || written < older_than;
}

int32_t temporary_sweep(int directory, int64_t older_than, struct cofre_error *error)
{
    int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *list = copy < 0 ? NULL : fdopendir(copy);
    if (!list) {
        int saved = errno;
        place_close_fd(&copy);
        return place_fail(error, saved, "read directory '%s'", PLACE_TEMPORARY);
    }
    int32_t result = COFRE_OK;
    struct dirent *entry;
    while (!result && (errno = 0, entry = readdir(list))) {
        if (is_debris(directory, entry->d_name, older_than) && unlinkat(directory, entry->d_name, 0) && errno != ENOENT)
            result = place_fail(error, errno, "remove '%s/%s'", PLACE_TEMPORARY, entry->d_name);
        errno = 0;
    }
    if (!result && errno)
        result = place_fail(error, errno, "read directory '%s'", PLACE_TEMPORARY);
    closedir(list);
    return result;
}
