#include "attempt/hook_program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "attempt/hook.h"
#include "base/error.h"
#include "base/file.h"

struct start {
    const char *program;
    char *const *words;
    char **environment;
    int input, output, failed; /* descriptors; failed: an errno is written there when there is no program */
    pid_t runner;
};

static int make_input(const struct hook *hook, struct error *e)
{
    AUTO_FREE char *text = json_dumps(hook->record, JSON_COMPACT);
    if (!text)
        return error_memory(e);
    int fd = memfd_create("cofre-record", MFD_CLOEXEC);
    if (fd < 0)
        return error_system(e, errno, "make a file in memory");
    if (file_write_all(fd, text, strlen(text), "the record", e) == 0 &&
        file_write_all(fd, "\n", 1, "the record", e) == 0 && lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    close(fd);
    return -1;
}

/* ---- between fork and exec: async-signal-safe calls only ---- */

static void reset_signals(void)
{
    struct sigaction plain = {.sa_handler = SIG_DFL};
    sigset_t none;
    for (int i = 1; i < NSIG; i++)
        sigaction(i, &plain, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void become(const struct start *s)
{
    /* A runner that has died already kills nobody. */
    if (setpgid(0, 0) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == s->runner) {
        reset_signals();
        if (dup2(s->input, STDIN_FILENO) >= 0 && dup2(s->output, STDOUT_FILENO) >= 0 &&
            dup2(s->output, STDERR_FILENO) >= 0 && close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) == 0 &&
            chdir("/") == 0)
            execve(s->program, s->words, s->environment);
    }
    int failed = errno;
    if (write(s->failed, &failed, sizeof failed) < 0)
        _exit(126);
    _exit(127);
}

/* ---- the runner's side ---- */

static int fork_program(struct start *s, pid_t *pid, struct error *e)
{
    int ends[2], failed = 0;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_system(e, errno, "make a pipe");
    s->failed = ends[1];
    s->runner = getpid();
    *pid = fork();
    if (*pid == 0)
        become(s);
    int result = *pid < 0 ? error_system(e, errno, "start a process") : 0;
    close(ends[1]);
    ssize_t n = result < 0 ? 0 : 1;
    while (n > 0 && (n = read(ends[0], &failed, sizeof failed)) < 0 && errno == EINTR)
        n = 1;
    close(ends[0]);
    return result < 0 ? -1 : failed ? error_system(e, failed, "start '%s'", s->program) : 0;
}

static int start(struct start *s, pid_t *pid, int *output, struct error *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_system(e, errno, "make a pipe");
    s->output = ends[1];
    int result =
        fcntl(ends[0], F_SETFL, O_NONBLOCK) < 0 ? error_system(e, errno, "make a pipe") : fork_program(s, pid, e);
    close(ends[1]);
    if (result < 0)
        close(ends[0]);
    else
        *output = ends[0];
    return result;
}

int hook_program_start(const struct hook *hook, pid_t *pid, int *output, struct error *e)
{
    AUTO_FREE char *program = config_hook_program(hook->words[0], e);
    if (!program)
        return -1;
    AUTO_CLOSE int input = make_input(hook, e);
    if (input < 0)
        return -1;
    struct start s = {.program = program, .words = hook->words, .environment = hook_environment(hook), .input = input};
    if (!s.environment)
        return error_memory(e);
    int result = start(&s, pid, output, e);
    hook_environment_free(s.environment);
    return result;
}
