#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/docker/daemon_inside.h"
#include "common/docker/volume.h"
#include "common/failure.h"
#include "common/process.h"

static int32_t refuse(const struct daemon *daemon, const struct volume *volume, const char *why,
                      struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX], what[FAILURE_QUOTE_MAX + 32];
    snprintf(what, sizeof what, "open volume '%s'", failure_quote(volume->name, strlen(volume->name), shown));
    return daemon_refusal_say(daemon, what, error, COFRE_E_UNSUPPORTED, "%s", why);
}

/* The process that listens on the daemon's socket: the daemon, or whoever opened the socket for it, such as systemd,
 * which sees the same files. 0 = it is none that can be seen from here. */
static pid_t who_listens(const struct daemon *daemon)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct ucred peer = {.pid = 0};
    socklen_t size = sizeof peer;
    strcpy(address.sun_path, daemon->address.path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return 0;
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        peer.pid = 0;
    close(fd);
    return peer.pid > 0 ? peer.pid : 0;
}

/* The path as that process sees it, symlinks too. */
static int open_as(pid_t pid, const char *path)
{
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    int root = process_open(pid, COFRE_PROCESS_ROOT);
    if (root < 0)
        return -1;
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    close(root);
    return fd;
}

static bool is_what_daemon_sees(const struct daemon *daemon, const char *path, int fd)
{
    struct stat ours, theirs;
    pid_t pid = who_listens(daemon);
    int other = pid ? open_as(pid, path) : -1;
    bool same = other >= 0 && fstat(fd, &ours) == 0 && fstat(other, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
                ours.st_ino == theirs.st_ino;
    if (other >= 0)
        close(other);
    return same;
}

/* ".../NAME/_data", with Docker and with Podman: another directory is not the volume's, whoever says so. */
static bool is_named_after(const struct volume *volume)
{
    const char *end = strrchr(volume->mountpoint, '/');
    size_t before = (size_t)(end - volume->mountpoint), length = strlen(volume->name);
    return before > length && end[-(ptrdiff_t)length - 1] == '/' && memcmp(end - length, volume->name, length) == 0;
}

int32_t volume_open(const struct daemon *daemon, const struct volume *volume, int *fd, struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX];
    *fd = -1;
    if (!daemon_is_local(daemon))
        return refuse(daemon, volume, "the daemon may be on another machine", error);
    if (!volume->plain)
        return refuse(daemon, volume, "its driver, or an option, decides what is in it", error);
    if (volume->mountpoint[0] != '/' || strstr(volume->mountpoint, "/../"))
        return refuse(daemon, volume, "the daemon does not say where it is", error);
    if (!is_named_after(volume))
        return refuse(daemon, volume, "the directory that the daemon names is not named after it", error);
    *fd = open(volume->mountpoint, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return refuse(daemon, volume, "its directory is not on this machine, or not to be seen from here", error);
    if (*fd < 0)
        return cofre_fail_errno(error, errno, "open volume '%.150s' at '%.150s'", volume->name,
                                failure_quote(volume->mountpoint, strlen(volume->mountpoint), shown));
    if (is_what_daemon_sees(daemon, volume->mountpoint, *fd))
        return COFRE_OK;
    close(*fd);
    *fd = -1;
    return refuse(daemon, volume, "its directory here may be another one than the daemon's", error);
}
