/* cofre accept: what the last run found to be otherwise than before is as it should be. */
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/command.h"
#include "config/config.h"
#include "job/expect.h"
#include "job/state.h"

struct acceptance {
    struct output *out;
    const struct config_job *job;
    size_t count;
};

static void accepted(void *context, const char *source, const char *text)
{
    struct acceptance *a = context;
    a->count++;
    output_print(a->out, "accepted: source '%s': %s\n", source, output_escape(a->out, text, strlen(text)));
    output_object(a->out, "accepted",
                  a->out->json ? json_pack("{s:s, s:s, s:o}", "job", a->job->name, "source", source, "difference",
                                           output_text(a->out, text))
                               : NULL);
}

static int accept_all(struct acceptance *a, const char *directory, struct error *e)
{
    struct expect *expect;
    if (expect_load(directory, &expect, e) < 0)
        return -1;
    int result = expect_accept(expect, accepted, a, e);
    if (result == 0 && a->count > 0)
        result = expect_save(expect, e);
    expect_free(expect);
    return result;
}

static int run(struct cli *cli, struct error *e)
{
    struct acceptance a = {.out = &cli->output};
    char directory[PATH_MAX];
    AUTO_CLOSE int lock = -1;
    if (command_job(cli, cli->arguments.words[0], &a.job, e) < 0 ||
        state_directory(cli->engine.config, a.job->name, directory, e) < 0 ||
        state_lock(directory, a.job->name, &lock, e) < 0 || accept_all(&a, directory, e) < 0)
        return -1;
    if (a.count == 0)
        output_print(a.out, "nothing to accept: the last run of job '%s' found its sources as they were before\n",
                     a.job->name);
    output_flush(a.out);
    return EXIT_DONE;
}

const struct command cmd_accept = {
    .name = "accept",
    .usage = "accept JOB",
    .summary = "say that what the last run found changed is as it should be",
    .help = "A run compares its sources with what they were before: is it still the same server, is there anything in\n"
            "it, is more left out? What differs is named, and the snapshot is incomplete, in each run, until it is as\n"
            "before or accepted. The snapshots that are there already stay as they are.",
    .example = "cofre accept nightly",
    .statuses = "0   accepted, or there was nothing to accept\n"
                "11  a run of the job is active",
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
