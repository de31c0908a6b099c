#include "attempt/hook_runner.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt/hook.h"
#include "attempt/hook_program.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

#define REQUEST_MAX (4u << 20) /* bytes */
#define GRACE 10000            /* ms between SIGTERM and SIGKILL */
#define LOOK_AGAIN 20          /* ms */
#define TRIES 5
#define TRY_AGAIN 1000   /* ms */
#define LINES 1000       /* of output that come into the log; further ones are counted */
#define LINE 1024        /* bytes */
#define DRAIN_MAX 262144 /* bytes in one go: more than a pipe holds */

struct request {
    struct hook hook;
    char *hold;  /* NULL = it is not owed */
    int level;   /* enum log_level */
    int service; /* enum log_service */
};

/* A hook at work. */
struct run {
    const struct hook *hook;
    char title[HOOK_TITLE];
    pid_t pid;
    int child, output, engine, signals; /* descriptors; -1 = not looked at (any more) */
    int64_t deadline;                   /* ms, monotonic */
    bool ending, killed;                /* it was sent SIGTERM, SIGKILL */
    struct error why;                   /* it is ended */
    char line[LINE + 1];
    size_t length;
    unsigned long long lines;
};

bool hook_runner_is_one(int argc, char **argv)
{
    char target[64];
    if (argc != 2 || strcmp(argv[1], HOOK_RUNNER_ARGUMENT) != 0)
        return false;
    ssize_t n = readlink("/proc/self/fd/3", target, sizeof target - 1);
    if (n <= 0)
        return false;
    target[n] = '\0';
    return strncmp(target, "/memfd:" HOOK_RUNNER_REQUEST, strlen("/memfd:" HOOK_RUNNER_REQUEST)) == 0;
}

static const char *name(const struct run *r)
{
    return config_hook_names[r->hook->kind];
}

/* ---- its output ---- */

static void end_line(struct run *r)
{
    r->line[r->length] = '\0';
    if (r->length > 0 && r->lines++ < LINES)
        log_line(LOG_NOTICE, "%s: %s", r->title, r->line);
    r->length = 0;
}

static void drain(struct run *r)
{
    char piece[4096];
    ssize_t n = 0;
    size_t total = 0;
    while (r->output >= 0 && total < DRAIN_MAX &&
           ((n = read(r->output, piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR))) {
        for (ssize_t i = 0; i < n; i++) {
            if (piece[i] == '\n' || r->length == LINE)
                end_line(r);
            if (piece[i] != '\n' && piece[i] != '\0')
                r->line[r->length++] = piece[i];
        }
        total += n > 0 ? (size_t)n : 0;
    }
    if (r->output >= 0 && n == 0)
        file_close_pointer(&r->output);
}

static void settle_output(struct run *r)
{
    drain(r);
    end_line(r);
    if (r->lines > LINES)
        log_line(LOG_WARNING, "%s: %llu further lines were dropped", r->title, r->lines - LINES);
    file_close_pointer(&r->output);
}

/* ---- its end ---- */

static void end_it(struct run *r, enum error_class class, const char *why)
{
    if (r->ending)
        return;
    error_set(&r->why, class, "hook '%s' %s, and was ended", name(r), why);
    r->ending = true;
    r->engine = r->signals = -1;
    r->deadline = clock_monotonic() + GRACE;
    kill(-r->pid, SIGTERM);
}

static void look_at_deadline(struct run *r)
{
    char why[64], time[TEXT_ELAPSED_MAX];
    if (clock_monotonic() < r->deadline)
        return;
    if (!r->ending) {
        snprintf(why, sizeof why, "was not done after %s", text_elapsed(r->hook->timeout, time));
        end_it(r, ERROR_TIMEOUT, why);
        error_hint(&r->why, "if it may take longer, say so in hook_timeout");
    } else if (!r->killed) {
        r->killed = true;
        r->deadline = INT64_MAX;
        kill(-r->pid, SIGKILL);
    }
}

/* Until the program itself has ended. */
static void follow(struct run *r)
{
    for (bool ended = false; !ended;) {
        struct pollfd fds[] = {{.fd = r->child, .events = POLLIN},
                               {.fd = r->output, .events = POLLIN},
                               {.fd = r->engine, .events = POLLIN},
                               {.fd = r->signals, .events = POLLIN}};
        int64_t left = r->deadline - clock_monotonic();
        if (poll(fds, 4, left > INT_MAX ? INT_MAX : left > 0 ? (int)left : 0) < 0)
            continue;
        if (fds[1].revents)
            drain(r);
        ended = fds[0].revents != 0;
        if (fds[2].revents && !ended)
            end_it(r, ERROR_CANCELLED, "lost what it ran for, which was killed");
        if (fds[3].revents && !ended)
            end_it(r, ERROR_CANCELLED, "was asked to end");
        look_at_deadline(r);
    }
}

/* One that was ended has its time for the rest of its group, too; one that ended by itself may have started a service.
 */
static int reap(struct run *r)
{
    int status = 0;
    while (waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!r->ending) {
        if (kill(-r->pid, 0) == 0)
            log_line(LOG_INFO, "%s has left processes that run on", r->title);
        return status;
    }
    while (kill(-r->pid, 0) == 0 && !r->killed) {
        drain(r);
        clock_sleep(LOOK_AGAIN);
        look_at_deadline(r);
    }
    return status;
}

static void judge(const struct run *r, int status, struct hook_outcome *outcome)
{
    struct error *e = &outcome->error;
    if (r->ending)
        *e = r->why;
    else if (WIFSIGNALED(status))
        error_set(e, ERROR_PERMANENT, "hook '%s' was ended by signal %d (%s)", name(r), WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
    else if ((outcome->status = WEXITSTATUS(status)) != 0)
        error_set(e, ERROR_PERMANENT, "hook '%s' ended with status %d", name(r), outcome->status);
}

/* ---- the whole ---- */

static int watch(struct run *r, bool owed, struct error *e)
{
    sigset_t requests;
    sigemptyset(&requests);
    sigaddset(&requests, SIGINT);
    sigaddset(&requests, SIGTERM);
    sigaddset(&requests, SIGHUP);
    r->engine = owed ? -1 : HOOK_RUNNER_ENGINE;
    r->signals = owed ? -1 : signalfd(-1, &requests, SFD_CLOEXEC | SFD_NONBLOCK);
    r->child = pidfd_open(r->pid, 0);
    if (r->child >= 0 && (owed || r->signals >= 0))
        return 0;
    error_system(e, errno, "watch hook '%s'", name(r));
    kill(-r->pid, SIGKILL);
    waitpid(r->pid, NULL, 0);
    return -1;
}

/* Without memory or processes one that is owed is tried again. */
static int start_program(struct run *r, bool owed, struct error *e)
{
    int result = -1;
    for (int tries = owed ? TRIES : 1; tries > 0 && result < 0; tries--) {
        result = hook_program_start(r->hook, &r->pid, &r->output, e);
        if (result < 0 && e->class == ERROR_CONFIG)
            break;
        if (result < 0 && tries > 1)
            clock_sleep(TRY_AGAIN);
    }
    return result < 0 ? error_context(e, "hook '%s' could not be started: ", name(r)) : 0;
}

/* Is the engine gone? */
static bool is_alone(void)
{
    struct pollfd engine = {.fd = HOOK_RUNNER_ENGINE, .events = POLLIN};
    return poll(&engine, 1, 0) > 0;
}

static int run_program(const struct request *request, struct hook_outcome *outcome, struct error *e)
{
    struct run r = {.hook = &request->hook, .child = -1, .output = -1};
    int64_t began = clock_monotonic();
    hook_title(r.hook, r.title);
    if (!request->hold && is_alone())
        return error_set(e, ERROR_CANCELLED, "hook '%s' was not started: what it was for is gone", name(&r));
    if (start_program(&r, request->hold != NULL, e) < 0)
        return -1;
    r.deadline = began + r.hook->timeout;
    if (watch(&r, request->hold != NULL, e) < 0)
        return -1;
    follow(&r);
    int status = reap(&r);
    settle_output(&r);
    judge(&r, status, outcome);
    outcome->elapsed = clock_monotonic() - began;
    return 0;
}

static int remove_hold(char *path, struct error *e)
{
    if (unlink(path) < 0)
        return error_system(e, errno, "remove '%s'", path);
    AUTO_CLOSE int directory = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return directory < 0 || fsync(directory) < 0 ? error_system(e, errno, "sync the directory of the holds") : 0;
}

static int decode_request(const char *text, size_t length, struct request *request)
{
    json_t *json = json_loadb(text, length, 0, NULL), *hook, *hold = NULL;
    int result = json_unpack(json, "{s:o, s:o, s:i, s:i}", "hook", &hook, "hold", &hold, "level", &request->level,
                             "service", &request->service) < 0
                     ? -1
                     : hook_decode(hook, &request->hook);
    if (result == 0 && json_is_string(hold) && !(request->hold = text_copy(json_string_value(hold))))
        result = -1;
    json_decref(json);
    return result;
}

static int read_request(struct request *request, struct error *e)
{
    off_t length = lseek(HOOK_RUNNER_REQUEST_FD, 0, SEEK_END);
    *request = (struct request){.level = LOG_NOTICE};
    AUTO_FREE char *text = length > 0 && length < REQUEST_MAX ? malloc((size_t)length) : NULL;
    if (!text)
        return error_set(e, ERROR_BUG, "what a hook is to do could not be read");
    if (file_read_at(HOOK_RUNNER_REQUEST_FD, text, (size_t)length, 0, "what a hook is to do", e) < 0)
        return -1;
    return decode_request(text, (size_t)length, request) < 0
               ? error_set(e, ERROR_BUG, "what a hook is to do could not be read")
               : 0;
}

int hook_runner_main(void)
{
    struct hook_outcome outcome;
    struct request request;
    struct error e;
    memset(&outcome, 0, sizeof outcome);
    outcome.status = -1;
    log_set_timestamps(!isatty(STDERR_FILENO));
    if (read_request(&request, &e) < 0) {
        log_error(LOG_ERROR, &e);
        return 1;
    }
    log_set_level((enum log_level)request.level);
    log_set_service((enum log_service)request.service);
    if (run_program(&request, &outcome, &e) < 0)
        outcome.error = e;
    if (outcome.error.class != ERROR_NONE)
        error_subject(&outcome.error, "job", request.hook.job);
    if (request.hold && remove_hold(request.hold, &e) < 0)
        log_error(LOG_ERROR, &e);
    if (outcome.error.class != ERROR_NONE && is_alone()) /* nobody else says it */
        log_error(LOG_ERROR, &outcome.error);
    int result = file_write_all(HOOK_RUNNER_RESULT, &outcome, sizeof outcome, "what came of a hook", &e);
    hook_free(&request.hook);
    free(request.hold);
    return result < 0 ? 1 : 0;
}
