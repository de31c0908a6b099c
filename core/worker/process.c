#include "worker/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "flow/task.h"
#include "wire/greeting.h"
#include "wire/wire.h"

extern char **environ;

#define PROGRAM_FD (GREETING_MEMORY + 1)
#define FREE_FD 16 /* where descriptors are out of the way of the fixed numbers */
#define ENVIRONMENT 64

/* A worker sees where programs are, which language and which time zone; nothing else of the engine's environment. */
static bool passed_on(const char *variable)
{
    static const char *const prefixes[] = {
        "PATH=",         "LANG=",          "LC_",           "TZ=",
#ifdef COFRE_SANITIZED
        "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS=", "LSAN_OPTIONS=",
#endif
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    return false;
}

static void make_environment(char **out)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    size_t n = 0;
    bool has_path = false;
    for (char **v = environ; v && *v && n < ENVIRONMENT - 2; v++)
        if (passed_on(*v)) {
            has_path = has_path || strncmp(*v, "PATH=", 5) == 0;
            out[n++] = *v;
        }
    if (!has_path)
        out[n++] = path;
    out[n] = NULL;
}

/* ---- between fork and exec: async-signal-safe calls only ---- */

/* Signals as a fresh program has them, whatever the engine does with them. */
static void reset_signals(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &plain, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Those of the worker from 0 on, and PROGRAM_FD. */
static int settle_descriptors(int socket, int memory, int output, int program)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    const int given[] = {null, output, output, socket, memory, program};
    int from[PROGRAM_FD + 1];
    /* First out of the way: a source number may be another one's target. */
    for (int i = 0; i <= PROGRAM_FD; i++)
        from[i] = fcntl(given[i], F_DUPFD_CLOEXEC, FREE_FD);
    for (int i = 0; i <= PROGRAM_FD; i++)
        if (from[i] < 0 || dup3(from[i], i, i == PROGRAM_FD ? O_CLOEXEC : 0) < 0)
            return -1;
    return close_range(PROGRAM_FD + 1, ~0u, 0);
}

/* By the system calls themselves: the C library's functions want all threads to follow, and here is but one. */
static int become_user(const struct process_user *user)
{
    if (!user || !user->change)
        return 0;
    if (syscall(SYS_setgroups, user->group_count, user->groups) < 0 ||
        syscall(SYS_setresgid, user->gid, user->gid, user->gid) < 0)
        return -1;
    return (int)syscall(SYS_setresuid, user->uid, user->uid, user->uid);
}

static _Noreturn void become_worker(int socket, int memory, int output, int program, const struct process_user *user,
                                    char **environment)
{
    char name[] = "cofre", argument[] = "worker"; /* for people who look at processes */
    char *const arguments[] = {name, argument, NULL};
    setpgid(0, 0);
    reset_signals();
    if (settle_descriptors(socket, memory, output, program) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
        become_user(user) == 0)
        execveat(PROGRAM_FD, "", arguments, environment, AT_EMPTY_PATH);
    uint32_t failed[2] = {WIRE_EXEC_FAILED, (uint32_t)errno};
    /* The greeting does not come either way; this only says why. */
    if (write(GREETING_SOCKET, failed, sizeof failed) < 0)
        _exit(126);
    _exit(127);
}

/* ---- the engine's side ---- */

/* The descriptor stays open as long as the process. */
static int open_program(struct error *e)
{
    static const char *const places[] = {"/cofre-worker", "/../lib/cofre/cofre-worker"};
    static _Atomic int program = -1;
    int none = -1, fd = atomic_load(&program);
    if (fd >= 0)
        return fd;
    AUTO_FREE char *found = file_beside_program(places, sizeof places / sizeof places[0]);
    const char *path = found ? found : COFRE_WORKER;
    if ((fd = open(path, O_PATH | O_CLOEXEC)) < 0) {
        error_system(e, errno, "open '%s', in which plugins run", path);
        return error_hint(e, "cofre is more than one file: install all of it, or copy that one too");
    }
    if (atomic_compare_exchange_strong(&program, &none, fd))
        return fd;
    close(fd);
    return none;
}

int process_start(int socket, int memory, const struct process_user *user, pid_t *pid, int *output, struct error *e)
{
    char *environment[ENVIRONMENT];
    int pipes[2], program = open_program(e);
    if (program < 0)
        return -1;
    make_environment(environment);
    if (pipe2(pipes, O_CLOEXEC) < 0)
        return error_system(e, errno, "make a pipe for a worker");
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    pid_t child = fork();
    if (child == 0)
        become_worker(socket, memory, pipes[1], program, user, environment);
    int failed = errno;
    close(pipes[1]);
    if (child < 0) {
        close(pipes[0]);
        return error_system(e, failed, "start a worker");
    }
    /* Both sides set the group, so that it is there whoever comes first. It fails after the exec, when it is done. */
    setpgid(child, child);
    *pid = child;
    *output = pipes[0];
    return 0;
}

#define LANDLOCK_NEEDED 2 /* its version; core/host/confine_paths.c */

const char *process_unconfined(void)
{
    bool calls = prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0;
    bool files = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= LANDLOCK_NEEDED;
    return !calls && !files ? "this kernel has neither seccomp nor Landlock (Linux 5.19): what a plugin may do is a "
                              "matter of its user's rights alone"
           : !calls         ? "this kernel has no seccomp: a plugin may make any system call"
           : !files ? "this kernel has no Landlock, or an older one than Linux 5.19: a sink may reach every file"
                    : NULL;
}

/* Is this "NAME=VALUE" one of the names? */
static bool is_named(const char *variable, const char *names)
{
    size_t length = strcspn(variable, "=");
    for (const char *name = names + strspn(names, " "); *name; name += strspn(name, " ")) {
        size_t n = strcspn(name, " ");
        bool begins = name[n - 1] == '*';
        if ((begins ? length >= n - 1 : length == n) && strncmp(variable, name, begins ? n - 1 : n) == 0)
            return true;
        name += n;
    }
    return false;
}

void process_environment(const char *names, void (*give)(void *context, const char *variable), void *context)
{
    for (char **v = environ; names && v && *v; v++)
        if (is_named(*v, names))
            give(context, *v);
}

void process_signal(pid_t pid, int number)
{
    kill(-pid, number);
}

bool process_ended(pid_t pid, char *how, size_t size)
{
    siginfo_t info = {.si_pid = 0};
    /* Looked at before it is reaped: as long as it is not, its group's number cannot be anybody else's. */
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
        return false;
    process_signal(pid, SIGKILL);
    int status = 0;
    if (waitpid(pid, &status, 0) != pid)
        snprintf(how, size, "went away");
    else if (WIFSIGNALED(status))
        snprintf(how, size, "was killed by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(how, size, "called exit(%d)", WEXITSTATUS(status));
    return true;
}
