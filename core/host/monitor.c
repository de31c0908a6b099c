#include "host/monitor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "cofre/plugin.h"
#include "host/confine.h"
#include "wire/greeting.h"

#define MONITOR_SOCKET 5

struct question {
    int64_t pid;
    uint32_t what;
};

static int monitor_socket = -1;

static int open_of(const struct question *q)
{
    static const struct {
        const char *name;
        int flags;
    } things[] = {
        [COFRE_PROCESS_DIRECTORY] = {"cwd", O_PATH},
        [COFRE_PROCESS_ROOT] = {"root", O_PATH},
        [COFRE_PROCESS_NETWORK] = {"ns/net", O_RDONLY},
    };
    char path[64];
    if (q->what >= sizeof things / sizeof things[0] || q->pid <= 0) {
        errno = EINVAL;
        return -1;
    }
    snprintf(path, sizeof path, "/proc/%lld/%s", (long long)q->pid, things[q->what].name);
    return open(path, things[q->what].flags | O_CLOEXEC);
}

/* ---- the child ---- */

union control {
    struct cmsghdr header;
    char room[CMSG_SPACE(sizeof(int))];
};

static void answer(int socket, const struct question *q)
{
    union control control = {.room = {0}};
    int fd = open_of(q), failed = fd < 0 ? errno : 0;
    struct iovec text = {&failed, sizeof failed};
    struct msghdr message = {.msg_iov = &text, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    if (sendmsg(socket, &message, MSG_NOSIGNAL) < 0)
        _exit(1);
    if (fd >= 0)
        close(fd);
}

static _Noreturn void serve(int socket)
{
    struct error e;
    struct question q;
    /* Nothing of the worker's: its channel would stay open, and the engine would wait for its end. */
    if (dup2(socket, MONITOR_SOCKET) < 0 || close_range(GREETING_SOCKET, MONITOR_SOCKET - 1, 0) < 0 ||
        close_range(MONITOR_SOCKET + 1, ~0u, 0) < 0 || confine_rights(CONFINE_MONITOR, &e) < 0 ||
        confine_calls(CONFINE_MONITOR, &e) < 0)
        _exit(1);
    while (recv(MONITOR_SOCKET, &q, sizeof q, 0) == (ssize_t)sizeof q)
        answer(MONITOR_SOCKET, &q);
    _exit(0);
}

/* ---- the worker ---- */

/* The right to look into any process. */
static bool has_right(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    return syscall(SYS_capget, &header, data) == 0 && (data[0].effective & 1u << CAP_SYS_PTRACE);
}

int monitor_start(struct error *e)
{
    int ends[2];
    if (!has_right())
        return 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        return error_system(e, errno, "make a socket for a worker's monitor");
    pid_t child = fork();
    int failed = errno;
    if (child == 0)
        serve(ends[1]);
    close(ends[1]);
    if (child < 0) {
        close(ends[0]);
        return error_system(e, failed, "start the monitor of a worker");
    }
    monitor_socket = ends[0];
    return 0;
}

/* The descriptor of the answer, or -1 with errno. */
static int take_answer(void)
{
    union control control = {.room = {0}};
    int failed = EIO, fd = -1;
    struct iovec text = {&failed, sizeof failed};
    struct msghdr message = {
        .msg_iov = &text, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    ssize_t n;
    do
        n = recvmsg(monitor_socket, &message, MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    const struct cmsghdr *c = n == (ssize_t)sizeof failed ? CMSG_FIRSTHDR(&message) : NULL;
    if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
        memcpy(&fd, CMSG_DATA(c), sizeof fd);
    if (fd < 0)
        errno = n == (ssize_t)sizeof failed && failed ? failed : EIO;
    return fd;
}

int monitor_open(int64_t pid, uint32_t what)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    const struct question q = {.pid = pid, .what = what};
    int fd = -1;
    if (monitor_socket < 0)
        return open_of(&q);
    pthread_mutex_lock(&mutex);
    if (send(monitor_socket, &q, sizeof q, MSG_NOSIGNAL) == (ssize_t)sizeof q)
        fd = take_answer();
    int failed = errno;
    pthread_mutex_unlock(&mutex);
    errno = failed;
    return fd;
}
