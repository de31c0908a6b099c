/* cofre init: a repository, a key, and the sheet of paper that brings both back (sheet.c). */
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/sheet.h"
#include "format/vault.h"
#include "job/formats.h"
#include "job/init.h"

static json_t *describe(struct output *out, const struct config_instance *sink, const struct init_result *result)
{
    return json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:b, s:b}", "sink", output_text(out, sink->name), "plugin",
                     output_text(out, sink->plugin), "repository", result->repository, "encryption",
                     sink->encryption == CONFIG_PLAIN ? "none" : "sealed", "key_file", output_text(out, sink->key),
                     "key", output_text(out, result->key[0] ? result->key : NULL), "key_created", result->key_created,
                     "existed", result->existed);
}

static int init(struct cli *cli, struct error *e)
{
    const struct config_instance *sink;
    struct init_result result = {0};
    if (command_sink(cli, cli->arguments.words[0], &sink, e) < 0 || init_run(&cli->engine, sink, &result, e) < 0)
        return -1;
    if (result.existed)
        log_line(LOG_NOTICE, "sink '%s' has its %s already; nothing was changed", sink->name, formats_of(sink)->name);
    else
        log_line(LOG_NOTICE, "sink '%s' has its %s now%s", sink->name, formats_of(sink)->name,
                 result.key_created ? ", with a new key" : "");
    output_object(&cli->output, "repository", cli->output.json ? describe(&cli->output, sink, &result) : NULL);
    if (cli->output.json)
        return EXIT_DONE;
    sheet_print(cli, sink, &result);
    return EXIT_DONE;
}

static const struct argument_option options[] = {{0}};

const struct command cmd_init = {
    .name = "init",
    .usage = "init SINK",
    .summary = "make the repository of a sink, and its key if there is none",
    .help = "Makes the repository in the place that the section [sink SINK] names. When the section's key file\n"
            "does not exist, a new full key is made there, mode 0600. Prints the recovery sheet: keep it, and a\n"
            "copy of the key file, away from this machine. Done again, it changes nothing and prints the sheet\n"
            "again; what an interrupted init left is completed.",
    .example = "cofre init nas > recovery-nas.txt",
    .statuses = "0   the repository is there, made with this key\n"
                "1   the place holds a repository of another key, or something else, or cannot be written to",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .flags = COMMAND_RESULT,
    .run = init,
};
