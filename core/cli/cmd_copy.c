/* cofre copy: bring a sink up to date from its sibling. */
#include "attempt/attempt.h"
#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/view.h"
#include "format/vault.h"
#include "job/copy.h"
#include "job/formats.h"

static void give_result(struct cli *cli, const struct manifest *manifest, const struct config_instance *const *sinks,
                        const struct copy_result *r)
{
    struct output *out = &cli->output;
    char size[TEXT_SIZE_MAX], objects[VIEW_COUNT_MAX];
    output_object(out, "summary",
                  json_pack("{s:s, s:o, s:s, s:s, s:s, s:b, s:o, s:o}", "snapshot", manifest->id, "job",
                            output_text(out, manifest->job), "from", sinks[0]->name, "to", sinks[1]->name, "status",
                            "complete", "existed", r->existed, "objects", output_number(r->objects), "bytes",
                            output_number(r->bytes)));
    if (cli->quiet)
        return;
    if (r->existed)
        output_print(out, "sink '%s' has %s already, whole\n", sinks[1]->name, manifest->id);
    else
        output_print(out, "copied %s from '%s' to '%s': %s objects, %s\n", manifest->id, sinks[0]->name, sinks[1]->name,
                     view_count(r->objects, objects), text_size(r->bytes, size));
}

static int choose(const struct cli *cli, const struct config_instance **sinks, struct error *e)
{
    static const char *const names[] = {"from", "to"};
    for (int i = 0; i < 2; i++) {
        const char *name = arguments_value(&cli->arguments, names[i]);
        if (!name)
            return error_set(e, ERROR_USAGE, "copy needs both --from SINK and --to SINK");
        if (command_sink(cli, name, &sinks[i], e) < 0)
            return -1;
    }
    if (sinks[0] == sinks[1])
        return error_set(e, ERROR_USAGE, "--from and --to are the same sink '%s'", sinks[0]->name);
    return 0;
}

static int copy_snapshot(struct cli *cli, struct attempt *attempt, const struct snapshot_selector *selector,
                         const struct config_instance *const *sinks, struct error *e)
{
    struct vault *from, *to;
    struct manifest *manifest;
    struct copy_result result = {0};
    if (snapshot_open(&cli->engine, selector, NULL, sinks[0], &from, &manifest, &cli->passed, e) < 0)
        return -1;
    command_tell_snapshot(attempt, manifest);
    int status = formats_open(&cli->engine, sinks[1], &to, e);
    if (status == 0) {
        status = copy_run(from, to, manifest, &result, e);
        vault_close(to);
    }
    if (status == 0)
        give_result(cli, manifest, sinks, &result);
    attempt_tell(attempt, json_pack("{s:I}", "bytes", (json_int_t)result.bytes));
    manifest_free(manifest);
    vault_close(from);
    return status;
}

static int copy(struct cli *cli, struct error *e)
{
    const struct config_instance *sinks[2];
    struct snapshot_selector selector;
    if (choose(cli, sinks, e) < 0 || snapshot_parse(cli->arguments.words[0], &selector, e) < 0)
        return -1;
    struct attempt *attempt =
        attempt_begin(&cli->engine, "copy", selector.job, NULL,
                      json_pack("{s:s, s:[{s:s}]}", "from", sinks[0]->name, "sinks", "name", sinks[1]->name));
    int status = copy_snapshot(cli, attempt, &selector, sinks, e);
    command_attempt_result(cli, attempt, "complete", "incomplete", status, e);
    return status;
}

static const struct argument_option options[] = {
    {.name = "from", .value = "SINK", .help = "the sink that has the snapshot"},
    {.name = "to", .value = "SINK", .help = "the sink that is to have it; both have the same key"},
    {0},
};

const struct command cmd_copy = {
    .name = "copy",
    .usage = "copy JOB[@ID] --from SINK --to SINK",
    .summary = "bring a snapshot from one sink to another",
    .help = "Copies what the snapshot needs and the other sink lacks, and commits the snapshot there, as a run does.\n"
            "For a sink that failed during a run, or that is new. Needs the full key, the same for both sinks.",
    .example = "cofre copy nightly --from nas --to offsite\ncofre copy nightly@latest~1 --from nas --to offsite",
    .statuses = "0   the snapshot is in the other sink, committed\n"
                "1   failed; the other sink is as it was, but for objects that nobody refers to\n"
                "3   copied, but a newer snapshot cannot be read\n"
                "12  the full key is not at hand",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .flags = COMMAND_TELLS,
    .run = copy,
};
