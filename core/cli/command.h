/* Commands: one row each. Everything that help, parsing and dispatch need stands in the row, beside the function. */
#ifndef COFRE_CLI_COMMAND_H
#define COFRE_CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/arguments.h"
#include "cli/output.h"
#include "job/snapshot.h"
#include "worker/engine.h"

struct attempt;
struct error;

/* Exit statuses that are not those of an error class. */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_INCOMPLETE = 3, EXIT_DAMAGED = 13, EXIT_STALE = 14 };

/* What a command gets. */
struct cli {
    struct arguments arguments; /* words: without the command itself */
    struct output output;
    struct engine engine;   /* config is NULL with COMMAND_NO_CONFIG */
    const char *config_dir; /* --config-dir, or NULL */
    bool quiet;
    size_t passed; /* snapshots newer than the one that an age was taken to mean, which could not be read */
};

enum {
    COMMAND_NO_CONFIG = 1,       /* looks at no configuration */
    COMMAND_OPTIONAL_CONFIG = 2, /* works with the defaults when there is none, or one that cannot be used */
    COMMAND_RESULT = 4,          /* what it prints is what it is for: if that cannot be written, it failed */
    COMMAND_NO_JSON = 8,
    COMMAND_TELLS = 16 /* afterwards the notifiers are told what came of it */
};

struct command {
    const char *name, *usage, *summary;
    const char *help;     /* what it does, in plain words */
    const char *example;  /* one command line per line */
    const char *statuses; /* the exit statuses that need a word */
    const struct argument_option *options;
    size_t words_min, words_max;
    unsigned flags;
    /* The exit status, or -1 with *e set. */
    int (*run)(struct cli *cli, struct error *e);
};

/* Ends with NULL. */
extern const struct command *const command_table[];
extern const struct argument_option command_global_options[];

/* ERROR_USAGE with a suggestion. */
int command_find(const char *name, const struct command **command, struct error *e);

/* A sink or job that a person named on the command line: ERROR_USAGE when there is none, with a suggestion. A NULL name
 * gives NULL. */
int command_sink(const struct cli *cli, const char *name, const struct config_instance **sink, struct error *e);
int command_job(const struct cli *cli, const char *name, const struct config_job **job, struct error *e);
/* The job (NULL = all) whose snapshots are asked for, on this sink (NULL = those of the job). With a sink, or on a new
 * machine where no job is configured at all, any name will do, and *job is NULL. */
int command_snapshots_of(const struct cli *cli, const char *name, const struct config_instance *sink,
                         const struct config_job **job, struct error *e);
/* What --since says, a date or how long ago, as ns; INT64_MIN when it was not given. ERROR_USAGE for anything else. */
int command_since(const struct cli *cli, int64_t *since, struct error *e);

/* What JOB[@ID] in text means, on the sink of --sink when that was given: both to be freed by the caller. what:
 * SOURCE[:PATH] as it was typed, or NULL: JOB alone then means the newest that has the source. What was passed over for
 * it is counted in cli->passed: the command ends with EXIT_INCOMPLETE at best. */
int command_open(struct cli *cli, const char *text, const char *what, struct vault **vault, struct manifest **manifest,
                 struct error *e);
/* The source of that name in the snapshot, of which something was saved (snapshot_source). The hint names the newest
 * snapshot that has it, when there is one. */
int command_source(const struct cli *cli, const struct manifest *manifest, const char *name,
                   const struct manifest_source **source, struct error *e);

/* SOURCE[:PATH] in place: the ':' ends the name. *path is NULL when none is given, without "/" at its ends
 * and "./" in front. */
void command_split(char *text, const char **source, char **path);

/* A path inside the source as it was typed, or was copied from what `ls` shows, which is escaped: where there is no
 * entry of the name as it stands, path becomes, in place, what it is the escaped form of. When both are there it stays,
 * and that is said. */
int command_path(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source, char *path,
                 struct error *e);

/* An attempt at JOB[@ID] in text, on the sink of --sink when that was given: begun when both can be meant, ERROR_USAGE
 * otherwise. members: as of attempt_begin. */
int command_attempt(struct cli *cli, const char *command, const char *text, json_t *members, struct attempt **attempt,
                    struct error *e);
/* As attempt_end; what a signal has ended has that for its exit status. */
void command_attempt_end(struct attempt *attempt, const char *word, int exit, const struct error *why);
/* It has ended with what the command returns, -1 with *e. done: the word for status 0, parts: that for 3. */
void command_attempt_result(const struct cli *cli, struct attempt *attempt, const char *done, const char *parts,
                            int status, const struct error *e);
/* Which snapshot the attempt is about. */
void command_tell_snapshot(struct attempt *attempt, const struct manifest *manifest);

/* Say an error on standard error, with its hint. */
void command_print_error(struct output *out, const struct error *e);
/* Say the error that ends a command: on standard error, and as an object with --json. */
void command_report(struct cli *cli, const struct error *e, int status);

/* The rows, each in its own file. */
extern const struct command cmd_init, cmd_check, cmd_discover, cmd_run, cmd_list, cmd_show, cmd_ls, cmd_cat,
    cmd_restore, cmd_verify, cmd_copy, cmd_gc, cmd_accept, cmd_pin, cmd_unpin, cmd_key, cmd_plugin, cmd_prune,
    cmd_status, cmd_report, cmd_log, cmd_find, cmd_diff, cmd_due, cmd_daemon, cmd_notify, cmd_version;

#endif
