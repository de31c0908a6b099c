#include "common/ownfile.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FLAGS (O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

static int refuse(int fd, int why)
{
    if (fd >= 0)
        close(fd);
    errno = why;
    return -1;
}

int ownfile_open(const char *path, int flags)
{
    struct stat st;
    int fd = open(path, flags | FLAGS, 0600);
    if (fd < 0)
        return refuse(fd, errno == ENXIO || errno == ELOOP || errno == EISDIR ? EINVAL : errno);
    if (fstat(fd, &st) != 0)
        return refuse(fd, errno);
    if (!S_ISREG(st.st_mode))
        return refuse(fd, EINVAL);
    return st.st_uid == 0 || st.st_uid == geteuid() ? fd : refuse(fd, EPERM);
}

FILE *ownfile_read(const char *path)
{
    int fd = ownfile_open(path, O_RDONLY);
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    if (fd >= 0 && !file)
        refuse(fd, errno);
    return file;
}

int ownfile_make(const char *path)
{
    if (unlink(path) != 0 && errno != ENOENT)
        return -1;
    return open(path, O_WRONLY | O_CREAT | O_EXCL | FLAGS, 0600);
}
