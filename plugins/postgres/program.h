/* One of PostgreSQL's programs, run beside us or in the server's container: no secret in its arguments or environment,
 * English messages, every line that it writes to stderr kept. */
#ifndef COFRE_POSTGRES_PROGRAM_H
#define COFRE_POSTGRES_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "cofre/plugin.h"

#define PROGRAM_LINE 300
#define PROGRAM_LINES 40 /* kept; further ones are only counted */

struct exec;
struct inside;
struct session;

struct program {
    pid_t pid;         /* 0 = none */
    struct exec *exec; /* in a container; NULL = none */
    struct inside *inside;
    int in, file; /* in a container: our end of its stdin, and what goes there; -1 = closed */
    off_t fed;
    bool lost; /* how it ended will never be known: why */
    struct cofre_error why;
    int out, err; /* ends to read from, non-blocking; -1 = closed */
    char name[64];
    char lines[PROGRAM_LINES][PROGRAM_LINE];
    size_t line_count;
    char partial[PROGRAM_LINE];
    size_t partial_length;
    /* Set after program_start: every line, as it comes, also those that are not kept. NULL = nobody. */
    void (*heard)(void *context, const char *line);
    void *context;
};

/* Start path with these arguments. The descriptors in `kept` (ended by -1) stay open in it under their numbers. Without
 * `output` its stdout is thrown away. */
int32_t program_start(struct program *program, const char *path, char *const *arguments, const int *kept, bool output,
                      struct cofre_error *error);

struct program_inside {
    struct inside *inside;
    struct cofre_call *call;
    char *const *words;   /* the program and its arguments, ended by NULL */
    const char *password; /* for every server, in a file that the program finds as PROGRAM_PASSFILE; NULL = none */
    int input;            /* a file that is its stdin, from the beginning, while program_wait waits; -1 = none */
    bool output;
};
#define PROGRAM_PASSFILE "/proc/self/fd/9"
/* The same in a container. COFRE_E_NOT_FOUND: it has no such program. */
int32_t program_start_inside(struct program *program, const struct program_inside *spec, struct cofre_error *error);

/* Does it still run, as far as was looked? */
bool program_runs(const struct program *program);
/* Take what there is on stderr; never waits. */
void program_listen(struct program *program);
/* Wait for its end, listening. COFRE_OK: it said 0; *code is then 0. An end otherwise is COFRE_OK too, with *code its
 * status, or 128 + the signal, or -1 when it will never be known. Only a cancellation is an error. alive: feed the
 * host's watchdog meanwhile. */
int32_t program_wait(struct program *program, struct cofre_call *call, bool alive, int *code,
                     struct cofre_error *error);
/* It failed with this code, and these lines say why. what: what failed. */
int32_t program_fail(const struct program *program, int code, const char *what, struct cofre_error *error);
/* End it if it runs, and close everything. Any state that program_start left; zeroed: nothing to do. */
void program_stop(struct program *program);
#define PROGRAM_AUTO __attribute__((cleanup(program_stop))) struct program

/* Run, wait, and give the first bytes of stdout, terminated: for --version. -1 = could not be run or failed. */
int program_ask(const char *path, const char *argument, char *out, size_t size);

/* The line of a passfile that gives `password` to every server, with its line break; malloc'ed. NULL and *error on
 * failure. */
char *program_passline(const char *password, size_t length, struct cofre_error *error);
/* A file in memory that holds `password` as libpq's passfile, mode 0600, for every server. -1 and *error on failure. */
int program_passfile(const struct cofre_secret *password, struct cofre_error *error);

#endif
