/* A program of the operator's that is told. */
#include <stdbool.h>
#include <stdlib.h>

#include "common/child.h"

struct conf {
    const char *program;
    struct cofre_list arguments;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, program, PATH, COFRE_O_REQUIRED | COFRE_O_TRUSTED, NULL,
                 "what is run for each event, with the event as JSON on its input"),
    COFRE_OPTION(struct conf, arguments, LIST, 0, NULL, "its arguments, as they are: there is no shell"),
};

struct command {
    const struct conf *conf;
    char **words;
};

static int32_t command_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    const struct conf *c = conf;
    struct command *command = calloc(1, sizeof *command);
    if (command)
        command->words = calloc(c->arguments.count + 2, sizeof *command->words);
    if (!command || !command->words) {
        free(command);
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    }
    command->conf = c;
    memcpy(&command->words[0], &c->program, sizeof c->program);
    for (size_t i = 0; i < c->arguments.count; i++)
        memcpy(&command->words[i + 1], &c->arguments.items[i], sizeof c->arguments.items[i]);
    *instance = command;
    return COFRE_OK;
}

static void command_close(void *instance)
{
    struct command *command = instance;
    free(command->words);
    free(command);
}

static int32_t command_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    const struct command *command = instance;
    char text[600];
    if (depth != COFRE_CHECK_OFFLINE && depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    if (depth == COFRE_CHECK_OFFLINE)
        return COFRE_OK;
    bool fine = access(command->conf->program, X_OK) == 0;
    if (fine)
        snprintf(text, sizeof text, "'%s' is there, and was not run", command->conf->program);
    else
        snprintf(text, sizeof text, "'%s' cannot be executed: %s", command->conf->program, strerror(errno));
    cofre->finding(call, fine ? COFRE_LOG_INFO : COFRE_LOG_ERROR, text,
                   fine ? NULL : "is the path right, and the file executable (chmod 755)?");
    return COFRE_OK;
}

static int32_t command_notify(void *instance, struct cofre_call *call, const struct cofre_event *event,
                              struct cofre_error *error)
{
    const struct command *command = instance;
    const struct child child = {.program = command->conf->program,
                                .words = command->words,
                                .input = event->json,
                                .length = strlen(event->json)};
    return child_run(call, &child, error);
}

static const struct cofre_notifier notifier = {
    .struct_size = sizeof notifier,
    .open = command_open,
    .close = command_close,
    .check = command_check,
    .notify = command_notify,
};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = 2,
    .name = "command",
    .version = "0.1.0",
    .summary = "a program of yours, which gets each event as JSON on its input",
    .license = "MIT",
    .example = "program = /usr/local/bin/tell-us\narguments = --channel, ops\n",
    .options = COFRE_OPTIONS(struct conf, rows),
    .notifier = &notifier,
};

COFRE_PLUGIN(plugin)
