#include "cli/help.h"

#include <string.h>

#include "cli/command.h"

#define HELP_COLUMN 24

static void print_options(const struct argument_option *options, FILE *to)
{
    for (const struct argument_option *o = options; o && o->name; o++) {
        char left[80], letter[8] = "    ";
        if (o->letter)
            snprintf(letter, sizeof letter, "-%c, ", o->letter);
        snprintf(left, sizeof left, "%s--%s%s%s", letter, o->name, o->value ? " " : "", o->value ? o->value : "");
        fprintf(to, "  %-*s  %s%s\n", HELP_COLUMN, left, o->help, o->repeated ? "; may be repeated" : "");
    }
}

/* Each line of text behind an indent. */
static void print_lines(const char *text, FILE *to)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        fprintf(to, n ? "  %.*s\n" : "\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

void help_program(FILE *to)
{
    fprintf(to, "usage: cofre [OPTION]... COMMAND ...\n\n"
                "cofre saves what applications keep (files, databases) as snapshots, in one or more places, and gives "
                "it back.\n\n"
                "Commands:\n");
    for (const struct command *const *c = command_table; *c; c++)
        fprintf(to, "  %-10s  %s\n", (*c)->name, (*c)->summary);
    fprintf(to, "  %-10s  %s\n", "help", "explain a command: cofre help COMMAND");
    fprintf(to, "\nOptions, before or after the command:\n");
    print_options(command_global_options, to);
    fprintf(to,
            "\nJOB[@ID] is the newest snapshot of a job, or JOB@latest, JOB@latest~N, JOB@complete, JOB@ID,\n"
            "JOB@START-OF-ID.\n"
            "Exit status: 0 all done, 1 failed, 2 usage, 3 incomplete, 10 no repository, 11 job is running already,\n"
            "12 wrong key or credentials, 13 verification failed, 14 older than max_age, 78 configuration,\n"
            "128+N ended by signal N.\n"
            "The manual: man 8 cofre\n");
}

void help_command(const struct command *command, FILE *to)
{
    const char *usage = command->usage;
    const char *lead = "usage: cofre ";
    while (*usage) {
        size_t n = strcspn(usage, "\n");
        fprintf(to, "%s%.*s\n", lead, (int)n, usage);
        usage += n + (usage[n] == '\n');
        lead = "       cofre ";
    }
    fprintf(to, "\n");
    print_lines(command->help, to);
    if (command->options && command->options->name) {
        fprintf(to, "\nOptions:\n");
        print_options(command->options, to);
    }
    fprintf(to, "\nExamples:\n");
    print_lines(command->example, to);
    fprintf(to, "\nExit status:\n");
    print_lines(command->statuses, to);
    fprintf(to, "\ncofre --help lists the options that every command takes.\n");
}
