#include "rsync/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/spawn.h"
#include "rsync/workspace.h"

#define SLICE 100 /* ms between looks at the cancellation */
#define GRACE 2000
#define INPUT_MAX 4096

/* ---- words ---- */

void program_word(struct program_words *words, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *word = NULL;
    if (words->count == PROGRAM_WORDS || vasprintf(&word, format, arguments) < 0)
        words->failed = true;
    else
        words->words[words->count++] = word;
    va_end(arguments);
}

void program_free_words(struct program_words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->words[i]);
    words->count = 0;
}

/* ---- start ---- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}
#define AUTO_CLOSE __attribute__((cleanup(close_fd)))

static int spawn(struct program *p, char **words, int input)
{
    char path[4096], language[] = "LC_ALL=C", zone[] = "TZ=UTC0";
    char *const environment[] = {path, language, zone, NULL};
    const char *where = getenv("PATH");
    snprintf(path, sizeof path, "PATH=%s", where ? where : "/usr/local/bin:/usr/bin:/bin");
    const struct spawn program = {.program = words[0],
                                  .words = words,
                                  .environment = environment,
                                  .input = input,
                                  .output = p->out,
                                  .errors = p->err};
    return spawn_start(&program, &p->pid);
}

/* A pipe that holds the input and has no writer any more: the text is in no file. */
static int32_t make_input(const struct cofre_secret *input, int *fd, struct cofre_error *error)
{
    int ends[2];
    if (input->length > INPUT_MAX)
        return cofre_fail(error, COFRE_E_CONFIG, "the password has more than %d bytes", INPUT_MAX);
    if (pipe2(ends, O_CLOEXEC))
        return cofre_fail_errno(error, errno, "make a pipe");
    *fd = ends[0];
    bool written = write(ends[1], input->bytes, input->length) == (ssize_t)input->length;
    int32_t class = written ? COFRE_OK : cofre_fail_errno(error, errno, "write into a pipe");
    close(ends[1]);
    return class;
}

static int32_t not_started(const char *name, int errnum, struct cofre_error *error)
{
    cofre_fail_errno(error, errnum, "run '%s'", name);
    if (errnum == ENOENT)
        cofre_hint(error, "install it: apt-get install %s", strcmp(name, "ssh") == 0 ? "openssh-client" : name);
    return errnum == ENOENT ? COFRE_E_CONFIG : cofre_errno_class(errnum);
}

int32_t program_start(struct program *p, const struct workspace *workspace, struct program_words *words,
                      const struct cofre_secret *input, struct cofre_error *error)
{
    AUTO_CLOSE int in = -1;
    *p = (struct program)PROGRAM_NONE;
    if (words->failed)
        return cofre_fail(error, COFRE_E_MEMORY, "run '%s': out of memory", words->words[0]);
    int32_t result = input ? make_input(input, &in, error) : COFRE_OK;
    if (result)
        return result;
    p->out = workspace_scratch(workspace, error);
    p->err = p->out < 0 ? -1 : workspace_scratch(workspace, error);
    int errnum = p->err < 0 ? errno : spawn(p, words->words, in);
    if (p->err >= 0 && errnum == 0) {
        p->handle = (int)syscall(SYS_pidfd_open, p->pid, 0);
        if (p->handle >= 0)
            return COFRE_OK;
        errnum = errno;
        program_kill(p);
    }
    result = p->err < 0 ? COFRE_E_PERMANENT : not_started(words->words[0], errnum, error);
    p->pid = 0;
    program_close(p);
    return result;
}

/* ---- end ---- */

bool program_ended(struct program *p, int milliseconds)
{
    if (p->pid == 0)
        return true;
    struct pollfd fd = {.fd = p->handle, .events = POLLIN};
    if (p->handle >= 0 && poll(&fd, 1, milliseconds) == 0)
        return false;
    pid_t got = waitpid(p->pid, &p->status, p->handle >= 0 ? WNOHANG : 0);
    if (got == 0 || (got < 0 && errno == EINTR))
        return false;
    p->pid = 0;
    return true;
}

void program_kill(struct program *p)
{
    if (p->pid == 0)
        return;
    kill(p->pid, SIGTERM);
    for (int waited = 0; waited < GRACE && p->handle >= 0; waited += SLICE)
        if (program_ended(p, SLICE))
            return;
    kill(p->pid, SIGKILL);
    while (!program_ended(p, SLICE))
        ;
}

/* One of them has ended, or the time is over. */
static bool has_one_ended(struct program *const *programs, size_t count, int milliseconds)
{
    struct pollfd fds[PROGRAM_MANY];
    for (size_t i = 0; i < count; i++)
        fds[i] = (struct pollfd){.fd = programs[i]->handle, .events = POLLIN};
    poll(fds, count, milliseconds);
    for (size_t i = 0; i < count; i++)
        if (program_ended(programs[i], 0))
            return true;
    return false;
}

int32_t program_wait_any(struct program *const *programs, size_t count, struct cofre_call *call,
                         struct cofre_error *error)
{
    while (!has_one_ended(programs, count, SLICE)) {
        int32_t result = cofre->cancelled(call, error);
        for (size_t i = 0; i < count && result; i++)
            program_kill(programs[i]);
        if (result)
            return result;
        /* A silent line is not waited for: rsync ends itself then, by its --timeout. */
        cofre->progress(call, ++programs[0]->slices, 0);
    }
    return COFRE_OK;
}

int32_t program_wait(struct program *p, struct cofre_call *call, struct cofre_error *error)
{
    return program_wait_any(&p, 1, call, error);
}

void program_close(struct program *p)
{
    close_fd(&p->handle);
    close_fd(&p->out);
    close_fd(&p->err);
}

int program_exit(const struct program *p)
{
    return WIFSIGNALED(p->status) ? 128 + WTERMSIG(p->status) : WEXITSTATUS(p->status);
}

char *program_text(int fd, size_t maximum, struct cofre_error *error)
{
    struct stat st;
    if (fstat(fd, &st)) {
        cofre_fail_errno(error, errno, "read what rsync printed");
        return NULL;
    }
    size_t length = (size_t)st.st_size < maximum ? (size_t)st.st_size : maximum, done = 0;
    char *text = malloc(length + 1);
    while (text && done < length) {
        ssize_t n = pread(fd, text + done, length - done, (off_t)done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    if (!text)
        cofre_fail(error, COFRE_E_MEMORY, "read what rsync printed: out of memory");
    else
        text[done] = '\0';
    return text;
}
