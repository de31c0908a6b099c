/* What is due in a world whose clock somebody else sets: tests/system/test_due_year.py drives it, and compares.
 *
 *   due_cases CONFIG_DIR, and then, line by line:
 *   look T                  prints what is due and may be begun at T (s since 1970), one line; as cofre due does it
 *   begin T WHAT NAME       it is begun, and at work until it ends
 *   end T WHAT NAME STATUS CLASS
 *   kill T WHAT NAME        it is begun, and killed at once
 *   lose                    what is in the state directory is gone
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt/attempt.h"
#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "operation/due.h"
#include "worker/engine.h"

#define MOST 16

static struct engine engine;
static struct due_list list;
static struct due_marks marks;
static struct {
    char name[DUE_NAME_MAX];
    struct attempt *attempt;
} at_work[MOST];

static void stop(const char *why)
{
    fprintf(stderr, "due_cases: %s\n", why);
    exit(1);
}

/* Everything is read anew each time: another process would be there. */
static void look(int64_t now)
{
    struct error e;
    char name[DUE_NAME_MAX];
    due_list_free(&list);
    due_marks_free(&marks);
    attempt_recover(engine.config);
    if (due_marks_load(engine.config, &marks, &e) < 0 || due_look(engine.config, &marks, now, &list, &e) < 0 ||
        due_marks_save(&marks, &e) < 0)
        stop(e.message);
    for (size_t i = 0; i < list.count; i++)
        if (list.items[i].decision.now && !list.items[i].busy)
            printf("%s;", due_name(&list.items[i], name));
    printf("\n");
    fflush(stdout);
}

static const struct due_thing *find(const char *wanted)
{
    char name[DUE_NAME_MAX];
    for (size_t i = 0; i < list.count; i++)
        if (strcmp(due_name(&list.items[i], name), wanted) == 0)
            return &list.items[i];
    stop(wanted);
    return NULL;
}

static json_t *sinks_of(const struct config_job *job)
{
    json_t *sinks = json_array();
    for (size_t i = 0; i < job->sink_count; i++)
        if (json_array_append_new(sinks, json_pack("{s:s}", "name", job->sinks[i]->name)) < 0)
            stop("out of memory");
    return sinks;
}

static struct attempt *begin(const char *name)
{
    const struct due_thing *thing = find(name);
    json_t *members = json_object();
    if (thing->what == DUE_VERIFY)
        members = json_pack("{s:b, s:o}", "quick", 0, "sinks", sinks_of(thing->job));
    return attempt_begin(&engine, due_command(thing->what), thing->job ? thing->job->name : NULL,
                         thing->sink ? thing->sink->name : NULL, members);
}

static void mark(const char *name, int64_t now)
{
    struct error e;
    if (due_mark(&marks, name, now, &e) < 0)
        stop(e.message);
}

static void keep(const char *name)
{
    for (size_t i = 0; i < MOST; i++)
        if (!at_work[i].attempt) {
            snprintf(at_work[i].name, sizeof at_work[i].name, "%s", name);
            at_work[i].attempt = begin(name);
            return;
        }
    stop("too much is at work");
}

static void end(const char *name, const char *status, const char *class)
{
    struct error why = {.class = ERROR_RETRY};
    if (strcmp(class, "permanent") == 0)
        why.class = ERROR_PERMANENT;
    for (size_t i = 0; i < MOST; i++)
        if (at_work[i].attempt && strcmp(at_work[i].name, name) == 0) {
            attempt_end(at_work[i].attempt, status, 0, strcmp(class, "-") == 0 ? NULL : &why);
            at_work[i].attempt = NULL;
            return;
        }
    stop("it is not at work");
}

static void kill_at_once(const char *name)
{
    pid_t pid = fork();
    if (pid == 0) {
        begin(name);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) < 0)
        stop("no child");
}

static void lose(void)
{
    char command[4200];
    snprintf(command, sizeof command, "find '%s' -mindepth 1 -delete", engine.config->state_dir);
    if (system(command) != 0)
        stop("lose");
}

static void handle(const char *line)
{
    char verb[16], what[16], subject[64], name[DUE_NAME_MAX], status[32], class[32];
    int64_t seconds = 0;
    int got = sscanf(line, "%15s %" SCNd64 " %15s %63s %31s %31s", verb, &seconds, what, subject, status, class);
    if (got >= 2)
        clock_set(seconds * DUE_SECOND);
    if (got >= 4)
        snprintf(name, sizeof name, "%s %s", what, subject);
    if (strcmp(verb, "lose") == 0) {
        lose();
    } else if (strcmp(verb, "look") == 0) {
        look(seconds * DUE_SECOND);
    } else if (strcmp(verb, "end") == 0 && got == 6) {
        end(name, status, class);
    } else if (got == 4) {
        mark(name, seconds * DUE_SECOND);
        if (strcmp(verb, "kill") == 0)
            kill_at_once(name);
        else
            keep(name);
    } else {
        stop(line);
    }
}

int main(int argc, char **argv)
{
    char line[256];
    struct error e;
    struct config *config;
    if (argc != 2)
        stop("due_cases CONFIG_DIR");
    if (config_load(argv[1], &config, &e) < 0)
        stop(e.message);
    engine.config = config;
    while (fgets(line, sizeof line, stdin))
        handle(line);
    due_list_free(&list);
    due_marks_free(&marks);
    config_free(config);
    return 0;
}
