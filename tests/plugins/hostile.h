/* What a plugin with bad intentions tries: when it is loaded, before anybody has called it, and when it is checked. Each
 * try is a line on stderr: "hostile WHEN WHAT RESULT", where the result is 0 or the name of an errno. The paths stand in
 * the file `targets` beside the plugin: lines of NAME PATH.
 */
#ifndef TESTS_PLUGINS_HOSTILE_H
#define TESTS_PLUGINS_HOSTILE_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cofre/plugin.h>

static char hostile_targets[16][2][PATH_MAX];

static void hostile_say(const char *when, const char *what, long result)
{
    fprintf(stderr, "hostile %s %s %s\n", when, what, result < 0 ? strerrorname_np(errno) : "0");
}

static const char *hostile_target(const char *name)
{
    for (size_t i = 0; i < 16; i++)
        if (strcmp(hostile_targets[i][0], name) == 0)
            return hostile_targets[i][1];
    return "/nonexistent";
}

static void hostile_read_targets(void)
{
    char path[PATH_MAX] = "";
    Dl_info info;
    if (!dladdr((void *)hostile_targets, &info) || readlink(info.dli_fname, path, sizeof path - 16) < 0)
        return;
    strcpy(strrchr(path, '/'), "/targets");
    FILE *f = fopen(path, "re");
    for (size_t i = 0; f && i < 16; i++)
        if (fscanf(f, "%4095s %4095s", hostile_targets[i][0], hostile_targets[i][1]) != 2)
            break;
    if (f)
        fclose(f);
}

static long hostile_read(const char *path)
{
    char byte;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    long result = fd < 0 ? -1 : read(fd, &byte, 1);
    if (fd >= 0)
        close(fd);
    return result;
}

static long hostile_write(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    long result = fd < 0 ? -1 : write(fd, "x", 1);
    if (fd >= 0)
        close(fd);
    return result;
}

/* A byte of the engine's memory: where its program is. */
static long hostile_memory(pid_t pid, bool by_call)
{
    char path[64], byte;
    struct iovec here = {&byte, 1}, there = {(void *)&hostile_targets, 1};
    if (by_call)
        return process_vm_readv(pid, &here, 1, &there, 1, 0);
    snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    long result = fd;
    if (fd >= 0)
        close(fd);
    return result;
}

static long hostile_socket(int domain)
{
    int fd = socket(domain, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0)
        close(fd);
    return fd;
}

/* Of a file system that there is not: nothing stays, where it is allowed. */
static long hostile_mount(void)
{
    long result = mount("none", hostile_target("elsewhere"), "no-such-fs", 0, NULL);
    return result < 0 && errno == ENODEV ? 0 : result;
}

static long hostile_module(void)
{
    long result = syscall(SYS_finit_module, -1, "", 0);
    return result < 0 && errno == EBADF ? 0 : result; /* it got that far */
}

static long hostile_namespace(void)
{
    pid_t child = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, 0L);
    if (child == 0)
        _exit(0);
    if (child > 0)
        waitpid(child, NULL, 0);
    return child;
}

/* What a program of root's with the set-user-id bit has, started from here. */
static long hostile_setuid(void)
{
    pid_t child = fork();
    int status = 0;
    if (child == 0) {
        execl(hostile_target("setuid"), "id", "-u", (char *)NULL);
        _exit(127);
    }
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}

static unsigned long long hostile_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {0};
    syscall(SYS_capget, &header, data);
    return data[0].permitted | (unsigned long long)data[1].permitted << 32;
}

static void hostile_try_calls(const char *when)
{
    pid_t engine = getppid();
    hostile_say(when, "engine-mem", hostile_memory(engine, false));
    hostile_say(when, "engine-vm", hostile_memory(engine, true));
    hostile_say(when, "ptrace", ptrace(PTRACE_SEIZE, engine, 0, 0));
    hostile_say(when, "signal-engine", kill(engine, 0));
    hostile_say(when, "network", hostile_socket(AF_INET));
    hostile_say(when, "socket-here", hostile_socket(AF_UNIX));
    hostile_say(when, "mount", hostile_mount());
    hostile_say(when, "module", hostile_module());
    hostile_say(when, "bpf", syscall(SYS_bpf, -1, NULL, 0));
    hostile_say(when, "keyctl", syscall(SYS_keyctl, 0, 0, 0, 0, 0));
    hostile_say(when, "io-uring", syscall(SYS_io_uring_setup, 0, NULL));
    hostile_say(when, "handle", syscall(SYS_open_by_handle_at, -1, NULL, 0));
    hostile_say(when, "namespace", hostile_namespace());
    hostile_say(when, "unshare", unshare(CLONE_NEWUSER));
    hostile_say(when, "type", ioctl(0, TIOCSTI, "x"));
#ifdef __x86_64__
    hostile_say(when, "x32", syscall(0x40000000L | SYS_getpid));
#endif
}

static void hostile_try(const char *when)
{
    static const char *const read_from[] = {"key", "config", "state", "other", "shadow"};
    char path[PATH_MAX + 32];
    hostile_read_targets();
    for (size_t i = 0; i < sizeof read_from / sizeof read_from[0]; i++)
        hostile_say(when, read_from[i], hostile_read(hostile_target(read_from[i])));
    snprintf(path, sizeof path, "%s/%s", hostile_target("elsewhere"), when);
    hostile_say(when, "elsewhere", hostile_write(path));
    snprintf(path, sizeof path, "%s/%s", hostile_target("place"), when);
    hostile_say(when, "place", hostile_write(path));
    hostile_say(when, "system", hostile_read("/etc/hosts"));
    hostile_try_calls(when);
    fprintf(stderr, "hostile %s setuid %ld\n", when, hostile_setuid());
    fprintf(stderr, "hostile %s capabilities %llx\n", when, hostile_capabilities());
}

__attribute__((constructor)) static void hostile_load(void)
{
    hostile_try("load");
}

#endif
