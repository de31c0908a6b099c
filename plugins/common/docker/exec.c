#include "common/docker/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "common/docker/container_inside.h"
#include "common/docker/exec_inside.h"
#include "common/docker/member.h"
#include "common/failure.h"

#define PIPE_BYTES (1 << 20)
#define KILL_PATIENCE 1000 /* ms for each of two questions: closing must not take long */

/* ---- making ---- */

static struct exec *exec_new(const struct exec_spec *spec)
{
    char shown[FAILURE_QUOTE_MAX];
    struct exec *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->input = e->output = e->errors = e->given_input = e->given_output = e->given_errors = -1;
    e->cause.struct_size = e->error.struct_size = sizeof e->error;
    e->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    e->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    e->in = malloc(EXEC_IN);
    e->out = malloc(EXEC_OUT);
    e->connection.multi = curl_multi_init();
    e->connection.easy = curl_easy_init();
    e->socket = CURL_SOCKET_BAD;
    snprintf(e->container, sizeof e->container, "%s", spec->container);
    snprintf(e->what, sizeof e->what, "run '%.150s' in container '%.12s'",
             failure_quote(spec->words[0], strlen(spec->words[0]), shown), spec->container);
    if (e->stop >= 0 && e->end >= 0 && e->in && e->out && e->connection.multi && e->connection.easy)
        return e;
    exec_free(e);
    return NULL;
}

static json_t *text_array(const char *const *words)
{
    json_t *array = json_array();
    for (; words && *words; words++)
        if (json_array_append_new(array, json_string(*words)) != 0) {
            json_decref(array);
            return NULL;
        }
    return array;
}

static json_t *body_of(const struct exec_spec *spec)
{
    return json_pack("{s:b,s:b,s:b,s:b,s:o,s:o,s:s*}", "AttachStdin", spec->input, "AttachStdout", spec->output,
                     "AttachStderr", 1, "Tty", 0, "Cmd", text_array(spec->words), "Env", text_array(spec->environment),
                     "User", spec->user);
}

/* Ask for a program that is not started yet. */
static int32_t create(struct exec *e, struct cofre_call *call, const struct exec_spec *spec, struct cofre_error *error)
{
    struct member m = {.wrong = NULL};
    json_t *answer = NULL, *body = body_of(spec);
    if (!body)
        return daemon_refusal_say(e->daemon, e->what, error, COFRE_E_PERMANENT,
                                  "the program, or an argument, is no UTF-8");
    const struct daemon_request request = {.method = "POST",
                                           .path = "/containers/%s/exec",
                                           .segments = DAEMON_WORDS(spec->container),
                                           .body = body,
                                           .what = e->what};
    int32_t class = daemon_ask(e->daemon, call, &request, &answer, error);
    const char *id = member_text(&m, answer, "Id", "");
    if (class == COFRE_OK && (m.wrong || !*id || strlen(id) >= sizeof e->id))
        class = daemon_refusal_say(e->daemon, e->what, error, COFRE_E_PERMANENT,
                                   "'Id' of its answer is not what the API says");
    if (class == COFRE_OK)
        strcpy(e->id, id);
    json_decref(answer);
    json_decref(body);
    return class;
}

/* ---- pipes ---- */

static int32_t make_pipe(struct exec *e, int *reads, int *writes, struct cofre_error *error)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return cofre_fail_errno(error, errno, "%s: make a pipe", e->what);
    /* Larger, so that each side waits less often for the other. Not allowed to everybody, and not needed. */
    fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
    *reads = ends[0];
    *writes = ends[1];
    return COFRE_OK;
}

static int32_t make_pipes(struct exec *e, const struct exec_spec *spec, struct cofre_error *error)
{
    int32_t class = make_pipe(e, &e->given_errors, &e->errors, error);
    if (class == COFRE_OK && spec->output)
        class = make_pipe(e, &e->given_output, &e->output, error);
    if (class == COFRE_OK && spec->input)
        class = make_pipe(e, &e->input, &e->given_input, error);
    return class;
}

static int32_t start_thread(struct exec *e, struct cofre_error *error)
{
    sigset_t all, before;
    /* Signals are the host's, and go to its thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errnum = pthread_create(&e->thread, NULL, exec_relay, e);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    e->has_thread = errnum == 0;
    return errnum ? cofre_fail_errno(error, errnum, "%s: make a thread", e->what) : COFRE_OK;
}

static int32_t run(struct exec *e, struct daemon *daemon, struct cofre_call *call, const struct exec_spec *spec,
                   struct cofre_error *error)
{
    int32_t class = daemon_ready(daemon, call, error);
    if (class == COFRE_OK)
        class = daemon_again(daemon, e->stop, &e->daemon, error);
    e->connection.daemon = e->daemon;
    if (class == COFRE_OK)
        class = make_pipes(e, spec, error);
    if (class == COFRE_OK)
        class = create(e, call, spec, error);
    if (class == COFRE_OK)
        class = exec_connect(e, call, error);
    if (class == COFRE_OK)
        class = exec_connect_wait(e, call, error);
    return class == COFRE_OK ? start_thread(e, error) : class;
}

int32_t exec_start(struct daemon *daemon, struct cofre_call *call, const struct exec_spec *spec, struct exec **exec,
                   struct cofre_error *error)
{
    *exec = NULL;
    struct exec *e = exec_new(spec);
    if (!e)
        return cofre_fail(error, COFRE_E_MEMORY, "run '%.150s' in container '%.12s': out of memory", spec->words[0],
                          spec->container);
    int32_t class = run(e, daemon, call, spec, error);
    if (class != COFRE_OK)
        exec_free(e);
    else
        *exec = e;
    return class;
}

/* ---- the caller's side ---- */

static int take(int *fd)
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

int exec_take_input(struct exec *exec)
{
    return take(&exec->given_input);
}

int exec_take_output(struct exec *exec)
{
    return take(&exec->given_output);
}

int exec_take_errors(struct exec *exec)
{
    return take(&exec->given_errors);
}

int exec_end_fd(const struct exec *exec)
{
    return exec->end;
}

int32_t exec_look(struct exec *exec, bool *ended, int *code, struct cofre_error *error)
{
    *ended = false;
    *code = 0;
    if (!atomic_load(&exec->ended))
        return COFRE_OK;
    if (exec->class != COFRE_OK) {
        *error = exec->error;
        return exec->class;
    }
    *ended = true;
    *code = exec->code;
    return COFRE_OK;
}

/* ---- giving up ---- */

/* Its number is the daemon's word, and may be another process's by now, or always: this one's cgroup is that of the
 * container, and the program has that number still when it cannot be given to another any more. */
static void kill_program(struct exec *e)
{
    struct exec_state before, after;
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    if (exec_inspect(e, e->daemon, NULL, &before, &ignored) != COFRE_OK || !before.running || before.pid <= 0)
        return;
    int handle = container_open_process(before.pid, e->container);
    if (handle < 0)
        return;
    if (exec_inspect(e, e->daemon, NULL, &after, &ignored) == COFRE_OK && after.running && after.pid == before.pid)
        pidfd_send_signal(handle, SIGKILL, NULL, 0);
    close(handle);
}

static void close_all(struct exec *e)
{
    int *const fds[] = {&e->input,        &e->output,       &e->errors, &e->given_input,
                        &e->given_output, &e->given_errors, &e->stop,   &e->end};
    for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
        if (*fds[i] >= 0)
            close(*fds[i]);
}

void exec_free(struct exec *exec)
{
    struct exec *e = exec;
    if (!e)
        return;
    if (e->has_thread) {
        eventfd_write(e->stop, 1);
        pthread_join(e->thread, NULL);
    }
    if (e->daemon && e->id[0] && daemon_is_local(e->daemon) && !(atomic_load(&e->ended) && e->class == COFRE_OK)) {
        e->daemon->stop = -1;
        e->daemon->patience = KILL_PATIENCE;
        kill_program(e);
    }
    if (e->connection.url)
        daemon_transfer_end(&e->connection);
    if (e->connection.easy)
        curl_easy_cleanup(e->connection.easy);
    if (e->connection.multi)
        curl_multi_cleanup(e->connection.multi);
    daemon_close(e->daemon);
    close_all(e);
    free(e->in);
    free(e->out);
    free(e);
}
