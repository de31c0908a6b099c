#include "postgres/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/docker/exec.h"
#include "common/docker/inside.h"
#include "common/failure.h"
#include "common/spawn.h"
#include "postgres/failing.h"

extern char **environ;

#define ENVIRONMENT 80
#define PIPE_BYTES (1 << 20)
#define PATIENCE 50        /* ms between two looks */
#define STOP_PATIENCE 2000 /* ms from SIGTERM to SIGKILL */

/* ---- starting ---- */

/* As ours, in English; where to connect is said in the arguments, and a password in no case here. */
static void make_environment(char **out)
{
    static const char *const left_out[] = {"LANG=", "LANGUAGE=", "LC_", "PGPASSWORD=", "PGDATABASE=", "PGAPPNAME="};
    static char english[] = "LC_ALL=C.UTF-8";
    size_t n = 0;
    out[n++] = english;
    for (char **v = environ; *v && n < ENVIRONMENT - 1; v++) {
        bool wanted = true;
        for (size_t i = 0; i < sizeof left_out / sizeof left_out[0]; i++)
            wanted = wanted && strncmp(*v, left_out[i], strlen(left_out[i])) != 0;
        if (wanted)
            out[n++] = *v;
    }
    out[n] = NULL;
}

static int spawn(struct program *p, const char *path, char *const *arguments, const int *kept, int out, int err)
{
    char *environment[ENVIRONMENT];
    make_environment(environment);
    const struct spawn program = {.program = path,
                                  .words = arguments,
                                  .environment = environment,
                                  .input = -1,
                                  .output = out,
                                  .errors = err,
                                  .kept = kept};
    int failed = spawn_start(&program, &p->pid);
    if (failed)
        p->pid = 0;
    return failed;
}

int32_t program_start(struct program *p, const char *path, char *const *arguments, const int *kept, bool output,
                      struct cofre_error *error)
{
    int out[2] = {-1, -1}, err[2] = {-1, -1};
    memset(p, 0, sizeof *p);
    p->out = p->err = p->in = p->file = -1;
    snprintf(p->name, sizeof p->name, "%s", strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    if (pipe2(err, O_CLOEXEC) < 0 || (output && pipe2(out, O_CLOEXEC) < 0)) {
        int32_t status = cofre_fail_errno(error, errno, "make a pipe for %s", p->name);
        if (err[0] >= 0) {
            close(err[0]);
            close(err[1]);
        }
        return status;
    }
    int failed = spawn(p, path, arguments, kept, out[1], err[1]);
    p->err = err[0];
    p->out = out[0];
    close(err[1]);
    fcntl(p->err, F_SETFL, O_NONBLOCK);
    if (output) {
        close(out[1]);
        fcntl(p->out, F_SETFL, O_NONBLOCK);
        /* Larger, so that the program waits less often for us. Not allowed to everybody, and not needed. */
        fcntl(p->out, F_SETPIPE_SZ, PIPE_BYTES);
    }
    if (failed == 0)
        return COFRE_OK;
    program_stop(p);
    return cofre_fail_errno(error, failed, "run '%s'", path);
}

/* ---- listening ---- */

static void end_line(struct program *p)
{
    if (p->partial_length == 0)
        return;
    p->partial[p->partial_length] = '\0';
    if (p->line_count < PROGRAM_LINES)
        memcpy(p->lines[p->line_count], p->partial, p->partial_length + 1);
    if (p->heard)
        p->heard(p->context, p->partial);
    p->line_count++;
    p->partial_length = 0;
}

void program_listen(struct program *p)
{
    char buffer[4096];
    ssize_t n = 0;
    while (p->err >= 0 && ((n = read(p->err, buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR)))
        for (ssize_t i = 0; i < n; i++) {
            if (buffer[i] == '\n')
                end_line(p);
            else if (p->partial_length < PROGRAM_LINE - 1)
                p->partial[p->partial_length++] = buffer[i];
        }
    if (p->err >= 0 && !(n < 0 && errno == EAGAIN)) {
        end_line(p);
        close(p->err);
        p->err = -1;
    }
}

bool program_runs(const struct program *p)
{
    return p->pid > 0 || p->exec;
}

/* What it is fed with goes on; never waits. One that has ended takes no more, which its status explains. */
static void feed(struct program *p)
{
    ssize_t n = 0;
    if (p->in < 0)
        return;
    do
        n = splice(p->file, &p->fed, p->in, NULL, PIPE_BYTES, SPLICE_F_NONBLOCK);
    while (n > 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0 && errno != EPIPE)
        p->lost = cofre_fail_errno(&p->why, errno, "read the dump");
    close(p->in);
    p->in = -1;
}

static int32_t look(struct program *p, bool *ended, int *code, struct cofre_error *error)
{
    int state = 0;
    if (p->exec) {
        int32_t class = exec_look(p->exec, ended, code, &p->why);
        if (class != COFRE_OK) {
            p->lost = class;
            p->inside->abandoned = *ended = true;
        }
        if (*ended) {
            exec_free(p->exec);
            p->exec = NULL;
        }
        if (p->lost != COFRE_OK)
            *code = -1;
        return COFRE_OK;
    }
    pid_t found = waitpid(p->pid, &state, WNOHANG);
    if (found < 0 && errno != EINTR)
        return cofre_fail_errno(error, errno, "wait for %s", p->name);
    *ended = found == p->pid;
    if (*ended)
        p->pid = 0;
    *code = WIFSIGNALED(state) ? 128 + WTERMSIG(state) : WEXITSTATUS(state);
    return COFRE_OK;
}

int32_t program_wait(struct program *p, struct cofre_call *call, bool alive, int *code, struct cofre_error *error)
{
    uint64_t looks = 0;
    for (;;) {
        bool ended = false;
        program_listen(p);
        feed(p);
        int32_t status = look(p, &ended, code, error);
        if (status == COFRE_OK && ended) {
            program_listen(p);
            end_line(p);
            return COFRE_OK;
        }
        if (status == COFRE_OK)
            status = cofre->cancelled(call, error);
        if (status != COFRE_OK)
            return status;
        if (alive)
            cofre->progress(call, ++looks, 0);
        struct pollfd fds[3] = {{.fd = p->err, .events = POLLIN},
                                {.fd = p->in, .events = POLLOUT},
                                {.fd = p->exec ? exec_end_fd(p->exec) : -1, .events = POLLIN}};
        poll(fds, 3, PATIENCE);
    }
}

/* The program's name, or a remark on what was being done, in front of a line is nothing that an operator needs. */
static const char *essence(const struct program *p, const char *line)
{
    size_t n = strlen(p->name);
    if (strncmp(line, p->name, n) == 0 && strncmp(line + n, ": ", 2) == 0)
        line += n + 2;
    return line;
}

/* Lines that only lead to others. */
static bool says_nothing(const char *line)
{
    /* Of a wait that was too long this is the line that names the table. */
    if (strstr(line, "Query was: LOCK TABLE"))
        return false;
    static const char *const idle[] = {
        "while ", "from TOC entry", "detail: Query was:", "Query was:", "Command was:", "warning: errors ignored"};
    for (size_t i = 0; i < sizeof idle / sizeof idle[0]; i++)
        if (strncmp(line, idle[i], strlen(idle[i])) == 0)
            return true;
    return false;
}

int32_t program_fail(const struct program *p, int code, const char *what, struct cofre_error *error)
{
    char said[600] = "";
    size_t used = 0;
    if (p->lost != COFRE_OK) {
        cofre_fail(error, p->lost, "%s: %s: %.300s", what, p->name, p->why.message);
        return p->lost;
    }
    for (size_t i = 0; i < p->line_count && i < PROGRAM_LINES; i++) {
        const char *line = essence(p, p->lines[i]);
        if (says_nothing(line))
            continue;
        int n = snprintf(said + used, sizeof said - used, "%s%s", used ? "; " : "", line);
        used = n < 0 || used + (size_t)n >= sizeof said ? sizeof said - 1 : used + (size_t)n;
    }
    if (code > 128) {
        snprintf(said + used, sizeof said - used, "%sit was killed by signal %d", used ? "; " : "", code - 128);
    } else if (used == 0) {
        snprintf(said, sizeof said, "it ended with status %d, without a word", code);
    }
    char whole[FAILURE_QUOTE_MAX + 64];
    snprintf(whole, sizeof whole, "%s: %s", what, p->name);
    return failing_set(error, NULL, whole, said);
}

/* ---- ending ---- */

static bool reap(struct program *p, int options)
{
    pid_t ended;
    do
        ended = waitpid(p->pid, NULL, options);
    while (ended < 0 && errno == EINTR);
    if (ended == 0)
        return false;
    p->pid = 0;
    return true;
}

static void close_ends(struct program *p)
{
    if (p->out >= 0)
        close(p->out);
    if (p->err >= 0)
        close(p->err);
    if (p->in >= 0)
        close(p->in);
    p->out = p->err = p->in = p->file = -1;
}

void program_stop(struct program *p)
{
    /* Zeroed and never started: descriptor 0 is not ours. */
    if (p->name[0] == '\0')
        return;
    close_ends(p);
    if (p->exec) {
        p->inside->abandoned = true;
        exec_free(p->exec);
        p->exec = NULL;
    }
    if (p->pid > 0)
        kill(p->pid, SIGTERM);
    for (int waited = 0; p->pid > 0 && !reap(p, WNOHANG) && waited < STOP_PATIENCE; waited += PATIENCE / 2)
        poll(NULL, 0, PATIENCE / 2);
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        reap(p, 0);
    }
}

/* ---- small things ---- */

int program_ask(const char *path, const char *argument, char *out, size_t size)
{
    PROGRAM_AUTO p = {.pid = 0};
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    char *name = strdup(path), *word = strdup(argument);
    char *const arguments[] = {name, word, NULL};
    size_t n = 0;
    bool started = name && word && program_start(&p, path, arguments, NULL, true, &ignored) == COFRE_OK;
    for (int looks = 0; started && p.out >= 0 && looks < 200; looks++) {
        struct pollfd fd = {.fd = p.out, .events = POLLIN};
        poll(&fd, 1, PATIENCE);
        ssize_t got = read(p.out, out + n, size - 1 - n);
        if (got == 0 || n == size - 1)
            break;
        n += got > 0 ? (size_t)got : 0;
    }
    out[n] = '\0';
    free(name);
    free(word);
    return n > 0 ? 0 : -1;
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno != EINTR)
            return false;
        p += written > 0 ? written : 0;
        n -= written > 0 ? (size_t)written : 0;
    }
    return true;
}

char *program_passline(const char *password, size_t length, struct cofre_error *error)
{
    static const char everywhere[] = "*:*:*:*:";
    if (memchr(password, '\n', length) || memchr(password, '\0', length)) {
        cofre_fail(error, COFRE_E_CONFIG, "option 'password': a passfile cannot hold a line break or a zero byte");
        return NULL;
    }
    char *line = malloc(sizeof everywhere + 2 * length + 1), *to = line;
    if (!line) {
        cofre_fail_errno(error, ENOMEM, "make a passfile");
        return NULL;
    }
    to = stpcpy(to, everywhere);
    for (size_t i = 0; i < length; i++) {
        if (password[i] == ':' || password[i] == '\\')
            *to++ = '\\';
        *to++ = password[i];
    }
    memcpy(to, "\n", 2);
    return line;
}

int program_passfile(const struct cofre_secret *password, struct cofre_error *error)
{
    char *line = program_passline((const char *)password->bytes, password->length, error);
    if (!line)
        return -1;
    /* Nobody finds it by a name, and it goes with the last process that has it open. */
    int fd = memfd_create("cofre-passfile", MFD_CLOEXEC);
    bool fine = fd >= 0 && fchmod(fd, 0600) == 0 && write_all(fd, line, strlen(line));
    int failed = errno;
    explicit_bzero(line, strlen(line));
    free(line);
    if (fine)
        return fd;
    cofre_fail_errno(error, failed, "make a passfile in memory");
    if (fd >= 0)
        close(fd);
    return -1;
}
