#include "common/child.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/failure.h"

#define LOOK 50 /* ms between looks whether it has ended */
#define TEMPORARY 75

struct running {
    const struct child *child;
    struct cofre_call *call;
    pid_t pid;
    int input, output; /* our ends; -1 = closed */
    size_t sent;
    char said[CHILD_SAID_MAX + 1];
    size_t said_length;
};

static void close_end(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- starting ---- */

/* In the child, where nothing but what a signal handler may do is allowed. Only returns when it cannot be executed. */
static void become(const struct child *child, int input, int output)
{
    sigset_t none;
    sigemptyset(&none);
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* it has left the group that ends with us */
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
        return;
    execv(child->program, child->words);
}

static int32_t start(struct running *r, struct cofre_error *error)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1};
    int32_t class = COFRE_OK;
    if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || fcntl(in[1], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(out[0], F_SETFL, O_NONBLOCK) < 0 || (r->pid = fork()) < 0)
        class = cofre_fail_errno(error, errno, "start '%s'", r->child->program);
    if (class == COFRE_OK && r->pid == 0) {
        become(r->child, in[0], out[1]);
        _exit(errno == ENOENT ? 127 : 126);
    }
    if (class == COFRE_OK)
        setpgid(r->pid, r->pid); /* whoever of the two is first */
    close_end(&in[0]);
    close_end(&out[1]);
    r->input = in[1];
    r->output = out[0];
    return class;
}

/* ---- while it runs ---- */

/* It may close its input, or not care for it at all. */
static void feed(struct running *r)
{
    ssize_t n = write(r->input, r->child->input + r->sent, r->child->length - r->sent);
    if (n > 0)
        r->sent += (size_t)n;
    if (r->sent == r->child->length || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_end(&r->input);
}

static void take(struct running *r)
{
    char piece[65536];
    ssize_t n = read(r->output, piece, sizeof piece);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        close_end(&r->output);
    for (ssize_t i = 0; i < n && r->said_length < CHILD_SAID_MAX; i++)
        r->said[r->said_length++] = piece[i];
}

/* Until it has ended, and has not been waited for. */
static int32_t watch(struct running *r, struct cofre_error *error)
{
    int cancel = cofre->cancel_fd(r->call);
    for (;;) {
        struct pollfd fds[3] = {{r->input, POLLOUT, 0}, {r->output, POLLIN, 0}, {cancel, POLLIN, 0}};
        siginfo_t ended = {.si_pid = 0};
        if (waitid(P_PID, (id_t)r->pid, &ended, WEXITED | WNOHANG | WNOWAIT) < 0)
            return cofre_fail_errno(error, errno, "wait for '%s'", r->child->program);
        if (ended.si_pid == r->pid)
            return COFRE_OK;
        int32_t class = cofre->cancelled(r->call, error);
        if (class != COFRE_OK)
            return class;
        if (poll(fds, 3, LOOK) < 0 && errno != EINTR)
            return cofre_fail_errno(error, errno, "watch '%s'", r->child->program);
        if (fds[0].revents)
            feed(r);
        if (fds[1].revents)
            take(r);
        if (fds[2].revents) /* seen above, or of an earlier call: no reason to wake again and again */
            cancel = -1;
    }
}

/* ---- its end ---- */

/* The program, and what it has left behind. As long as it has not been waited for, the number of the group is no
 * other's. */
static void end_group(const struct running *r, int *status)
{
    kill(-r->pid, SIGKILL);
    while (waitpid(r->pid, status, 0) < 0 && errno == EINTR)
        ;
}

static void first_line(struct running *r, char out[FAILURE_QUOTE_MAX])
{
    const char *at = r->said;
    while (*at == '\n')
        at++;
    failure_quote(at, strcspn(at, "\r\n"), out);
}

static int32_t judge(struct running *r, int status, struct cofre_error *error)
{
    char said[FAILURE_QUOTE_MAX];
    int exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    first_line(r, said);
    if (exit == 0)
        return COFRE_OK;
    if (exit < 0)
        return cofre_fail(error, COFRE_E_PERMANENT, "'%s' was killed by signal %d%s%s", r->child->program,
                          WTERMSIG(status), said[0] ? ": " : "", said);
    if ((exit == 126 || exit == 127) && r->said_length == 0)
        return cofre_fail(error, COFRE_E_CONFIG, "'%s' cannot be executed", r->child->program);
    return cofre_fail(error, exit == TEMPORARY ? COFRE_E_RETRY : COFRE_E_PERMANENT, "'%s' ended with status %d%s%s",
                      r->child->program, exit, said[0] ? ": " : "", said);
}

int32_t child_run(struct cofre_call *call, const struct child *child, struct cofre_error *error)
{
    struct running r = {.child = child, .call = call, .pid = -1, .input = -1, .output = -1};
    int status = 0;
    int32_t class = start(&r, error);
    if (class == COFRE_OK) {
        class = watch(&r, error);
        end_group(&r, &status);
        if (r.output >= 0)
            take(&r);
    }
    close_end(&r.input);
    close_end(&r.output);
    return class == COFRE_OK ? judge(&r, status, error) : class;
}
