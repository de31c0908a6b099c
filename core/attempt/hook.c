#include "attempt/hook.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt/beside.h"
#include "attempt/hook_runner.h"
#include "base/cancel.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

#define LOOK_EVERY 100 /* ms: whether everything is cancelled */

void hook_free(struct hook *hook)
{
    for (size_t i = 0; i < hook->word_count; i++)
        free(hook->words[i]);
    free(hook->words);
    free(hook->job);
    json_decref(hook->record);
    *hook = (struct hook){0};
}

int hook_make(const struct config_job *job, enum config_hook_kind kind, json_t *record, struct hook *hook,
              struct error *e)
{
    const struct config_hook *from = &job->hooks[kind];
    *hook = (struct hook){.kind = kind,
                          .job = text_copy(job->name),
                          .words = calloc(from->word_count + 1, sizeof(char *)),
                          .timeout = job->hook_timeout,
                          .record = record};
    if (!hook->job || !hook->words || !record)
        return error_memory(e);
    for (; hook->word_count < from->word_count; hook->word_count++)
        if (!(hook->words[hook->word_count] = text_copy(from->words[hook->word_count])))
            return error_memory(e);
    return 0;
}

const char *hook_title(const struct hook *hook, char *out)
{
    snprintf(out, HOOK_TITLE, "hook '%s' of job '%.64s'", config_hook_names[hook->kind], hook->job);
    return out;
}

int hook_check(const struct config_job *job, enum config_hook_kind first, enum config_hook_kind last, struct error *e)
{
    for (enum config_hook_kind kind = first; kind <= last; kind++) {
        char *program = job->hooks[kind].word_count ? config_hook_program(job->hooks[kind].words[0], e) : NULL;
        if (!program && job->hooks[kind].word_count) {
            error_context(e, "hook '%s': ", config_hook_names[kind]);
            return error_subject(e, "job", job->name);
        }
        free(program);
    }
    return 0;
}

/* ---- starting the runner ---- */

/* What it is to do, in a file in memory. */
static int write_request(const struct hook *hook, const char *hold, int *fd, struct error *e)
{
    json_t *encoded = hook_encode(hook);
    json_t *json = encoded ? json_pack("{s:o, s:s?, s:i, s:i}", "hook", encoded, "hold", hold, "level", log_get_level(),
                                       "service", log_get_service())
                           : NULL;
    AUTO_FREE char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text)
        return error_memory(e);
    *fd = memfd_create(HOOK_RUNNER_REQUEST, MFD_CLOEXEC);
    if (*fd < 0)
        return error_system(e, errno, "make a file in memory");
    return file_write_all(*fd, text, strlen(text), "a file in memory", e);
}

/* Asked to end is the engine, and it passes that on; or the runner itself, when it is sent to all of a service. result:
 * our end is closed by the caller. */
static int start(int result, int request, int lock, pid_t *pid, struct error *e)
{
    AUTO_CLOSE int own = pidfd_open(getpid(), 0);
    const int fds[] = {request, own, lock};
    int failed = own < 0 ? errno : beside_start(HOOK_RUNNER_ARGUMENT, NULL, result, fds, lock < 0 ? 2 : 3, pid);
    return failed ? error_system(e, failed, "start a process for a hook") : 0;
}

/* ---- waiting for it ---- */

/* The outcome is written at once, or not at all. asked: it is not to be asked to end when everything is cancelled. */
static int wait_for(pid_t pid, int result, bool asked, struct hook_outcome *outcome, struct error *e)
{
    ssize_t n = -1;
    while (n < 0) {
        struct pollfd end = {.fd = result, .events = POLLIN};
        if (!asked && cancel_requested()) {
            kill(pid, SIGTERM);
            asked = true;
        }
        if (poll(&end, 1, LOOK_EVERY) > 0 && (n = read(result, outcome, sizeof *outcome)) < 0 && errno != EINTR)
            break;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    if (n == (ssize_t)sizeof *outcome)
        return 0;
    return error_set(e, ERROR_PERMANENT, "the process that runs it was killed");
}

int hook_run(const struct hook *hook, int lock, const char *hold, struct hook_outcome *outcome, struct error *e)
{
    char title[HOOK_TITLE];
    AUTO_CLOSE int request = -1;
    /* One that is owed goes on, and so does what is begun after everything was cancelled. */
    const bool goes_on = hold || cancel_requested();
    int ends[2];
    pid_t pid;
    *outcome = (struct hook_outcome){.status = -1};
    if (write_request(hook, hold, &request, e) < 0)
        return error_consequence(e, "%s was not run: ", hook_title(hook, title));
    if (pipe2(ends, O_CLOEXEC) < 0) {
        error_system(e, errno, "make a pipe");
        return error_consequence(e, "%s was not run: ", hook_title(hook, title));
    }
    log_line(LOG_INFO, "running %s", hook_title(hook, title));
    int result = start(ends[1], request, lock, &pid, e);
    close(ends[1]);
    if (result < 0)
        error_consequence(e, "%s was not run: ", hook_title(hook, title));
    else if ((result = wait_for(pid, ends[0], goes_on, outcome, e)) < 0)
        error_context(e, "%s: ", hook_title(hook, title));
    close(ends[0]);
    return result;
}

void hook_tell(const struct config_job *job, bool success, const json_t *record)
{
    struct error e;
    struct hook hook;
    struct hook_outcome outcome = {.error = {.class = ERROR_NONE}};
    enum config_hook_kind kind = success ? CONFIG_ON_SUCCESS : CONFIG_ON_FAILURE;
    if (job->hooks[kind].word_count == 0)
        return;
    int result = hook_make(job, kind, record ? json_deep_copy(record) : NULL, &hook, &e);
    if (result == 0)
        result = hook_run(&hook, -1, NULL, &outcome, &e);
    if (result < 0 || outcome.error.class != ERROR_NONE)
        log_error(LOG_WARNING, result < 0 ? &e : &outcome.error);
    hook_free(&hook);
}
