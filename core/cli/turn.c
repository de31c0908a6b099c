#include "cli/turn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt/attempt.h"
#include "attempt/undo.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/stop.h"
#include "config/config.h"

#define ARGUMENTS_MAX 11

/* ---- opening ---- */

static void on_child(int number)
{
    (void)number; /* that it came ends the wait */
}

static void block_signals(struct turn *t)
{
    sigset_t blocked;
    struct sigaction action = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
    sigemptyset(&action.sa_mask);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGHUP);
    sigaddset(&blocked, SIGCHLD);
    ASSERT(sigaction(SIGCHLD, &action, NULL) == 0 && sigprocmask(SIG_BLOCK, &blocked, &t->unblocked) == 0);
    sigdelset(&t->unblocked, SIGCHLD);
}

/* By its path: after an upgrade children are of the new version. */
static int find_program(struct turn *t, struct error *e)
{
    ssize_t n = readlink("/proc/self/exe", t->program, sizeof t->program - 1);
    if (n < 0)
        return error_system(e, errno, "find this program");
    t->program[n] = '\0';
    return 0;
}

static int lock(struct turn *t, struct error *e)
{
    const struct config *config = t->cli->engine.config;
    char path[PATH_MAX];
    long holder;
    if (snprintf(path, sizeof path, "%s/due.lock", config->state_dir) >= PATH_MAX - 128)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", config->state_dir);
    if (file_make_trusted(config->state_dir, e) < 0)
        return -1;
    if (file_lock(path, &t->lock, &holder, e) == 0)
        return 0;
    if (e->class == ERROR_BUSY)
        error_set(e, ERROR_BUSY, "another cofre (process %ld) does what is due", holder);
    return -1;
}

int turn_open(struct turn *t, size_t *held, struct error *e)
{
    t->lock = t->timer = -1;
    t->next = INT64_MAX;
    if (find_program(t, e) < 0 || lock(t, e) < 0 || due_marks_load(t->cli->engine.config, &t->marks, e) < 0)
        return -1;
    attempt_recover(t->cli->engine.config);
    *held = undo_recover(&t->cli->engine);
    t->timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    if (t->timer < 0)
        return error_system(e, errno, "make a timer");
    block_signals(t);
    return 0;
}

void turn_close(struct turn *t)
{
    ASSERT(t->child_count == 0);
    due_marks_free(&t->marks);
    if (t->timer >= 0)
        close(t->timer);
    if (t->lock >= 0)
        close(t->lock);
}

/* ---- beginning ---- */

static const char *subject_of(const struct due_thing *thing)
{
    return thing->job ? thing->job->name : thing->sink->name;
}

static bool is_at_work(const struct turn *t, const struct due_thing *thing)
{
    for (size_t i = 0; i < t->child_count; i++)
        if (t->children[i]->of_job == (thing->job != NULL) && strcmp(t->children[i]->subject, subject_of(thing)) == 0)
            return true;
    return false;
}

bool turn_is_wanted(char *const *jobs, size_t job_count, const struct due_thing *thing)
{
    bool wanted = job_count == 0;
    for (size_t i = 0; i < job_count && thing->job; i++)
        wanted = wanted || strcmp(jobs[i], thing->job->name) == 0;
    return wanted;
}

static int start(const struct turn *t, struct turn_child *c, struct error *e)
{
    const char *words[ARGUMENTS_MAX] = {"cofre"};
    char *arguments[ARGUMENTS_MAX + 1] = {NULL};
    size_t n = 1;
    if (t->cli->config_dir) {
        words[n++] = "--config-dir";
        words[n++] = t->cli->config_dir;
    }
    if (t->cli->engine.in_process)
        words[n++] = "--in-process";
    if (arguments_has(&t->cli->arguments, "utc"))
        words[n++] = "--utc";
    if (log_get_level() >= LOG_DEBUG)
        words[n++] = "-v";
    else if (t->quiet)
        words[n++] = "-q";
    words[n++] = due_command(c->what);
    if (c->what == DUE_PRUNE) {
        words[n++] = "--other-hosts";
        words[n++] = "--sink";
    }
    words[n++] = c->subject;
    for (size_t i = 0; i < n; i++)
        arguments[i] = (char *)(uintptr_t)words[i];
    return child_start(&c->child, t->program, arguments, &t->unblocked, e);
}

static int begin(struct turn *t, const struct due_thing *thing, int64_t now, struct error *e)
{
    struct error ignored;
    struct turn_child *c = calloc(1, sizeof *c);
    if (!c)
        return error_memory(e);
    c->what = thing->what;
    c->of_job = thing->job != NULL;
    due_name(thing, c->name);
    snprintf(c->subject, sizeof c->subject, "%s", subject_of(thing));
    c->since = thing->known.since;
    if (due_mark(&t->marks, c->name, now, e) == 0) {
        if (start(t, c, e) == 0) {
            t->children[t->child_count++] = c;
            return 0;
        }
        (void)due_mark(&t->marks, c->name, c->since, &ignored); /* the failure is what counts */
    }
    free(c);
    return -1;
}

static int begin_due(struct turn *t, const struct due_list *list, int64_t now, struct error *e)
{
    size_t most = (size_t)t->cli->engine.config->parallel_jobs;
    t->left = 0;
    for (size_t i = 0; i < list->count; i++) {
        const struct due_thing *thing = &list->items[i];
        if (!thing->decision.now) {
            t->next = thing->decision.when < t->next ? thing->decision.when : t->next;
        } else if (turn_is_wanted(t->jobs, t->job_count, thing) && !is_at_work(t, thing)) {
            t->left += thing->busy;
            if (!thing->busy && t->child_count < most && begin(t, thing, now, e) < 0)
                return -1;
        }
    }
    return 0;
}

static void pass_on(struct turn *t)
{
    for (size_t i = 0; i < t->child_count && !t->passed_on; i++)
        if (t->children[i]->child.ended < 0)
            kill(t->children[i]->child.pid, SIGTERM);
    t->passed_on = true;
}

int turn_take(struct turn *t, struct error *e)
{
    struct due_list list;
    int64_t now = clock_now(), looked = t->marks.looked;
    t->next = INT64_MAX;
    if (stop_signal()) {
        pass_on(t);
        return 0;
    }
    if (due_look(t->cli->engine.config, &t->marks, now, &list, e) < 0)
        return -1;
    if (t->job_count > 0)
        t->marks.looked = looked; /* who looks at some jobs looks not after all */
    int result = due_marks_save(&t->marks, e);
    if (result == 0)
        result = begin_due(t, &list, now, e);
    due_list_free(&list);
    return result;
}

/* ---- what children say ---- */

struct saying {
    struct turn *turn;
    const struct turn_child *child;
};

static void say_line(void *context, const struct child *child, bool error, const char *line)
{
    const struct saying *s = context;
    char text[CHILD_LINE_MAX + DUE_NAME_MAX + 8];
    struct error ignored;
    (void)child;
    int n = snprintf(text, sizeof text, "%s: %s\n", s->child->name, line);
    if (!error) {
        output_print(&s->turn->cli->output, "%s", text);
        return;
    }
    output_flush(&s->turn->cli->output);
    (void)file_write_all(STDERR_FILENO, text, (size_t)n, "standard error", &ignored);
}

/* Somebody else came between the look and the beginning. */
static bool is_busy(const struct turn_child *c)
{
    return c->child.status == error_exit_status(ERROR_BUSY);
}

static void say_end(const struct turn *t, const struct turn_child *c)
{
    struct output *out = &t->cli->output;
    char took[TEXT_ELAPSED_MAX], now[CLOCK_TEXT_MAX] = "";
    int64_t elapsed = c->child.ended - c->child.began;
    text_elapsed(elapsed, took);
    if (t->timed)
        clock_format_shown(clock_now(), now);
    if (is_busy(c))
        log_line(LOG_NOTICE, "%s: something else is at work there: left for later", c->name);
    else if (c->child.status != EXIT_DONE)
        log_line(c->child.status == EXIT_INCOMPLETE ? LOG_WARNING : LOG_ERROR, "%s: ended with status %d after %s",
                 c->name, c->child.status, took);
    else if (!t->cli->quiet)
        output_print(out, "%s%s%s: done in %s\n", now, t->timed ? " " : "", c->name, took);
    output_object(out, "done",
                  json_pack("{s:s, s:o, s:o, s:i, s:o}", "what", due_command(c->what), "job",
                            output_text(out, c->of_job ? c->subject : NULL), "sink",
                            output_text(out, c->of_job ? NULL : c->subject), "status", c->child.status, "elapsed",
                            json_real((double)elapsed / 1000)));
    output_flush(out);
}

/* Ended because we are ended: what it did stands in its record; where it came to none, it was not done. */
static void take_back(struct turn *t, const struct turn_child *c)
{
    struct error e;
    if (t->passed_on && c->child.status == 128 + SIGTERM && due_mark(&t->marks, c->name, c->since, &e) < 0)
        log_error(LOG_WARNING, &e);
}

static void end_child(struct turn *t, size_t i)
{
    struct turn_child *c = t->children[i];
    int status = is_busy(c) ? EXIT_DONE : c->child.status;
    struct saying saying = {.turn = t, .child = c};
    child_close(&c->child, say_line, &saying);
    say_end(t, c);
    take_back(t, c);
    if (t->status == EXIT_DONE || (t->status == EXIT_INCOMPLETE && status != EXIT_DONE))
        t->status = status;
    free(c);
    t->children[i] = t->children[--t->child_count];
}

/* ---- waiting ---- */

/* Of all children: as process 1 of a container we get those of others, too. */
static void reap(struct turn *t)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (size_t i = 0; i < t->child_count; i++)
            if (t->children[i]->child.pid == pid && t->children[i]->child.ended < 0)
                child_end(&t->children[i]->child, status);
}

static int arm(const struct turn *t, struct error *e)
{
    int64_t far = clock_now() + 24 * 3600 * DUE_SECOND, when = t->next < far ? t->next : far;
    const struct itimerspec spec = {.it_value = {when / DUE_SECOND, when % DUE_SECOND}};
    if (timerfd_settime(t->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &spec, NULL) < 0 && errno != ECANCELED)
        return error_system(e, errno, "set a timer");
    return 0;
}

static void read_all(struct turn *t)
{
    uint64_t times;
    for (size_t i = 0; i < t->child_count; i++) {
        struct saying saying = {.turn = t, .child = t->children[i]};
        child_read(&t->children[i]->child, say_line, &saying);
    }
    /* ECANCELED: the clock was set, which is reason enough to look again. */
    (void)!read(t->timer, &times, sizeof times);
    for (size_t i = t->child_count; i-- > 0;)
        if (child_is_over(&t->children[i]->child))
            end_child(t, i);
}

int turn_wait(struct turn *t, int64_t milliseconds, struct error *e)
{
    struct pollfd fds[2 * TURN_PARALLEL_MAX + 1] = {{.fd = t->timer, .events = POLLIN}};
    const struct timespec timeout = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    nfds_t count = 1;
    if (arm(t, e) < 0)
        return -1;
    for (size_t i = 0; i < t->child_count; i++)
        for (size_t k = 0; k < 2; k++)
            fds[count++] = (struct pollfd){.fd = t->children[i]->child.streams[k].fd, .events = POLLIN};
    if (ppoll(fds, count, &timeout, &t->unblocked) < 0 && errno != EINTR)
        return error_system(e, errno, "wait");
    reap(t);
    read_all(t);
    return 0;
}
