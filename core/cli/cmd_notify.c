/* cofre notify: tell somebody, to see whether it arrives. */
#include <string.h>

#include "base/error.h"
#include "cli/command.h"
#include "operation/notify.h"

static int notify(struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    const struct config_instance *notifier = NULL;
    if (strcmp(a->words[0], "test") != 0) {
        error_set(e, ERROR_USAGE, "there is no 'cofre notify %.100s'", a->words[0]);
        return error_hint(e, "write cofre notify test NAME");
    }
    if (config_find_notifier(cli->engine.config, a->words[1], &notifier, e) < 0) {
        e->class = notifier ? e->class : ERROR_USAGE;
        return -1;
    }
    if (notify_test(&cli->engine, notifier, e) < 0)
        return -1;
    output_object(&cli->output, "notification", json_pack("{s:s, s:s}", "notifier", notifier->name, "event", "test"));
    if (!cli->quiet)
        output_print(&cli->output, "notifier '%s' was told; look whether it arrived\n", notifier->name);
    return EXIT_DONE;
}

static const struct argument_option options[] = {{0}};

const struct command cmd_notify = {
    .name = "notify",
    .usage = "notify test NAME",
    .summary = "tell a notifier something, to see whether it arrives",
    .help =
        "Tells the notifier of a [notify NAME] section an event named test. Nothing else is told by it, and nothing\n"
        "is remembered. What happens to backups is told by the commands themselves, at their end.",
    .example = "cofre notify test ops",
    .statuses = "0   whoever passes it on has taken it over\n"
                "1   it could not be told; the reason is said\n"
                "2   there is no notifier of that name\n"
                "12  wrong credentials",
    .options = options,
    .words_min = 2,
    .words_max = 2,
    .flags = COMMAND_RESULT,
    .run = notify,
};
