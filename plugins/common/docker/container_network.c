#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "common/docker/container_inside.h"
#include "common/failure.h"
#include "common/process.h"

#define CGROUP_MAX ((size_t)16 << 10)

static int open_of(int64_t pid, const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%lld/%s", (long long)pid, name);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static size_t read_all(int fd, char *p, size_t room)
{
    size_t have = 0;
    while (have < room) {
        ssize_t n = read(fd, p + have, room - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        have += (size_t)n;
    }
    return have;
}

/* The name of a container's cgroup bears its id, with whatever its driver puts around it. */
static bool is_in_cgroup(int64_t pid, const char *id)
{
    char text[CGROUP_MAX];
    int fd = open_of(pid, "cgroup");
    if (fd < 0)
        return false;
    size_t n = read_all(fd, text, sizeof text), length = strlen(id);
    close(fd);
    /* A shortened id could be a part of something else. */
    return length >= 32 && memmem(text, n, id, length) != NULL;
}

static bool is_alive(int handle)
{
    struct pollfd end = {.fd = handle, .events = POLLIN};
    return poll(&end, 1, 0) == 0;
}

int container_open_process(int64_t pid, const char *id)
{
    int handle = pidfd_open((pid_t)pid, 0);
    if (handle < 0)
        return -1;
    /* Alive after its cgroup was read: that was its own, and not that of a process that has its number now. */
    if (is_in_cgroup(pid, id) && is_alive(handle))
        return handle;
    close(handle);
    errno = ESRCH;
    return -1;
}

static int32_t refuse(const struct daemon *daemon, const char *what, int32_t class, const char *why,
                      struct cofre_error *error)
{
    return daemon_refusal_say(daemon, what, error, class, "%s", why);
}

static int32_t enter(const struct daemon *daemon, const char *what, int fd, struct cofre_error *error)
{
    if (setns(fd, CLONE_NEWNET) == 0)
        return COFRE_OK;
    int errnum = errno;
    refuse(daemon, what, cofre_errno_class(errnum), strerrordesc_np(errnum), error);
    error->os_errno = errnum;
    if (errnum == EPERM)
        cofre_hint(error, "run cofre as root: a network is entered by root alone");
    return cofre_errno_class(errnum);
}

int32_t container_enter_network(struct daemon *daemon, const struct container *container, struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX], what[FAILURE_QUOTE_MAX + 48];
    snprintf(what, sizeof what, "enter the network of container '%.100s'",
             failure_quote(container->name, strlen(container->name), shown));
    if (!daemon_is_local(daemon))
        return refuse(daemon, what, COFRE_E_UNSUPPORTED, "the daemon may be on another machine", error);
    if (container->pid == 0)
        return refuse(daemon, what, COFRE_E_UNSUPPORTED, "it does not run", error);
    int handle = container_open_process(container->pid, container->id);
    if (handle < 0)
        return refuse(daemon, what, COFRE_E_UNSUPPORTED, "none of its processes is to be seen from here", error);
    int fd = process_open(container->pid, COFRE_PROCESS_NETWORK), errnum = errno;
    int32_t class;
    if (fd < 0)
        class = refuse(daemon, what, errnum == EACCES || errnum == EPERM ? COFRE_E_DENIED : COFRE_E_UNSUPPORTED,
                       strerrordesc_np(errnum), error);
    else if (!is_alive(handle))
        class = refuse(daemon, what, COFRE_E_UNSUPPORTED, "it has ended meanwhile", error);
    else
        class = enter(daemon, what, fd, error);
    if (fd >= 0)
        close(fd);
    close(handle);
    return class;
}
