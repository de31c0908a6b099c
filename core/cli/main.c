/* cofre: the command line. main makes the process safe, finds the command in the table, and runs it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attempt/hook_runner.h"
#include "attempt/watchdog.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/help.h"
#include "cli/progress.h"
#include "cli/stop.h"
#include "host/host.h"
#include "operation/notify.h"
#include "repository/seal.h"

/* A closed descriptor 0, 1 or 2 would be given to the next file that is opened, and then be written to as standard
 * output. What stands in is opened the wrong way round, so that using it fails as using the closed one would. */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        if (open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            _exit(EXIT_FAILED);
    }
}

/* Secrets: in no core file, and out of reach of other processes of the same user. */
static void keep_secrets(void)
{
    const struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        log_line(LOG_WARNING, "switch off core files: %s", strerror(errno));
}

/* An index of many hosts is in many files, and all of them are open. */
#define FILES 16384
static void allow_files(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur >= FILES)
        return;
    files.rlim_cur = files.rlim_max < FILES ? files.rlim_max : FILES;
    if (setrlimit(RLIMIT_NOFILE, &files) < 0)
        log_line(LOG_WARNING, "allow more open files: %s", strerror(errno));
}

static int set_up(struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    cli->config_dir = arguments_value(a, "config-dir");
    cli->output.json = arguments_has(a, "json");
    cli->quiet = arguments_has(a, "quiet");
    cli->engine.in_process = arguments_has(a, "in-process") ? host_run : NULL;
    cli->engine.watched = true;
    if (arguments_has(a, "utc"))
        clock_show_utc();
    log_set_timestamps(!isatty(STDERR_FILENO));
    if (cli->quiet && arguments_has(a, "verbose"))
        return error_set(e, ERROR_USAGE, "--quiet and --verbose exclude each other");
    if (cli->quiet)
        log_set_level(LOG_WARNING);
    else if (arguments_has(a, "verbose"))
        log_set_level(LOG_DEBUG);
    return 0;
}

/* The first word, taken off; NULL when there is none. */
static const char *take_word(struct arguments *a)
{
    if (a->word_count == 0)
        return NULL;
    const char *word = a->words[0];
    memmove(a->words, a->words + 1, --a->word_count * sizeof *a->words);
    return word;
}

static int check_words(const struct cli *cli, const struct command *command, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    if (cli->output.json && command->flags & COMMAND_NO_JSON)
        return error_set(e, ERROR_USAGE, "cofre %s has no JSON form", command->name);
    if (a->word_count >= command->words_min && a->word_count <= command->words_max)
        return 0;
    if (a->word_count < command->words_min)
        error_set(e, ERROR_USAGE, "cofre %s needs more to work on", command->name);
    else
        error_set(e, ERROR_USAGE, "too many arguments: '%.200s'", a->words[command->words_max]);
    return error_hint(e, "usage: cofre %.*s; cofre help %s explains it", (int)strcspn(command->usage, "\n"),
                      command->usage, command->name);
}

/* People ask what can be configured before there is a configuration, and while half of it is written. */
static int load_config(const struct cli *cli, const struct command *command, struct config **config, struct error *e)
{
    if (command->flags & COMMAND_NO_CONFIG)
        return 0;
    if (!(command->flags & COMMAND_OPTIONAL_CONFIG))
        return config_load(cli->config_dir, config, e);
    if (cli->config_dir || config_exists(NULL)) {
        if (config_load(cli->config_dir, config, e) == 0)
            return 0;
        log_error(LOG_WARNING, e);
        log_line(LOG_WARNING, "the configuration cannot be used: plugins are looked for in the default place");
    }
    return config_defaults(config, e);
}

static int run(struct cli *cli, const struct command *command, struct error *e)
{
    struct config *config = NULL;
    if (!cli->engine.in_process)
        keep_secrets();
    allow_files();
    if (seal_init(e) < 0)
        return -1;
    if (load_config(cli, command, &config, e) < 0)
        return -1;
    cli->engine.config = config;
    log_set_service(config ? config->log_service : LOG_NO_SERVICE);
    progress_start(&cli->engine);
    stop_install();
    int status = command->run(cli, e);
    watchdog_end();
    progress_stop();
    if (command->flags & COMMAND_TELLS && !arguments_has(&cli->arguments, "dry-run"))
        notify_all(&cli->engine);
    config_free(config);
    return status == EXIT_DONE && cli->passed > 0 ? EXIT_INCOMPLETE : status;
}

/* The command's name and whether help is wanted: "help COMMAND" is "COMMAND --help". *name is NULL when there is none.
 */
static int take_command(struct arguments *a, size_t argc, char **argv, size_t *at, const char **name, bool *help,
                        struct error *e)
{
    const struct argument_option *const tables[] = {command_global_options, NULL};
    if (arguments_parse(a, argc, argv, at, true, tables, e) < 0)
        return -1;
    *name = take_word(a);
    *help = *name && strcmp(*name, "help") == 0;
    if (*help) {
        if (arguments_parse(a, argc, argv, at, true, tables, e) < 0)
            return -1;
        *name = take_word(a);
        if (*name && strcmp(*name, "help") == 0)
            *name = NULL;
    }
    *help = *help || arguments_has(a, "help");
    if (!*name && !*help && arguments_has(a, "version"))
        *name = cmd_version.name;
    if (*name || *help)
        return 0;
    error_set(e, ERROR_USAGE, "no command given");
    return error_hint(e, "cofre --help lists the commands");
}

/* Find the command and read its options; *command is NULL when help was asked for and given. */
static int prepare(struct cli *cli, size_t argc, char **argv, const struct command **command, struct error *e)
{
    struct arguments *a = &cli->arguments;
    const struct command *found = NULL;
    const char *name;
    size_t at = 1;
    bool help;
    /* Looked for first, so that an error anywhere is reported in the form that was asked for. */
    for (size_t i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
        cli->output.json = cli->output.json || strcmp(argv[i], "--json") == 0;
    if (arguments_init(a, argc, e) < 0 || take_command(a, argc, argv, &at, &name, &help, e) < 0 ||
        (name && command_find(name, &found, e) < 0))
        return -1;
    if (found) {
        cli->output.command = found->name;
        const struct argument_option *const tables[] = {command_global_options, found->options, NULL};
        if (arguments_parse(a, argc, argv, &at, false, tables, e) < 0)
            return -1;
    }
    if (arguments_has(a, "version")) {
        found = &cmd_version;
        a->word_count = 0;
    }
    if (!help && !arguments_has(a, "help")) {
        *command = found;
        return set_up(cli, e) < 0 ? -1 : check_words(cli, found, e);
    }
    cli->output.json = false;
    if (found)
        help_command(found, stdout);
    else
        help_program(stdout);
    return 0;
}

/* The exit status for the whole: the command's own, unless it failed, was stopped, or what it is for could not be
 * written. */
static int finish(struct cli *cli, const struct command *command, int status, struct error *e)
{
    int signal_number = stop_signal();
    if (status != EXIT_DONE && signal_number) {
        if (status > 0)
            error_set(e, ERROR_CANCELLED, "ended by signal %d (%s)", signal_number, strsignal(signal_number));
        command_report(cli, e, 128 + signal_number);
        return 128 + signal_number;
    }
    bool command_failed = status < 0;
    if (command_failed) {
        status = error_exit_status(e->class);
        command_report(cli, e, status);
    }
    struct error output;
    bool said = command_failed && cli->output.failed_errno;
    if (output_finish(&cli->output, &output) == 0 || said)
        return status;
    if (command && !(command->flags & COMMAND_RESULT)) {
        log_error(LOG_WARNING, &output);
        return status;
    }
    cli->output.json = false;
    command_report(cli, &output, EXIT_FAILED);
    return status ? status : EXIT_FAILED;
}

int main(int argc, char **argv)
{
    struct cli cli = {0};
    struct error e = {0};
    const struct command *command = NULL;
    fill_standard_descriptors();
    umask(S_IRWXG | S_IRWXO);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the write, not the end of us */
    if (watchdog_is_one(argc, argv)) {
        keep_secrets();
        return seal_init(&e) < 0 ? EXIT_FAILED : watchdog_main(argv);
    }
    if (hook_runner_is_one(argc, argv)) {
        keep_secrets();
        return hook_runner_main();
    }
    int status = prepare(&cli, (size_t)argc, argv, &command, &e);
    if (status == 0 && command)
        status = run(&cli, command, &e);
    status = finish(&cli, command, status, &e);
    arguments_free(&cli.arguments);
    output_free(&cli.output);
    return status;
}
