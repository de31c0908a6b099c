/* Running rsync and ssh: without a shell, without a terminal's input, with the few variables they need. */
#ifndef COFRE_RSYNC_PROGRAM_H
#define COFRE_RSYNC_PROGRAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <cofre/plugin.h>

struct workspace;

#define PROGRAM_MANY 8 /* that can be waited for together */

/* The words of a command. What does not fit is remembered and refused at the start. */
#define PROGRAM_WORDS 48
struct program_words {
    char *words[PROGRAM_WORDS + 1];
    size_t count;
    bool failed;
};
void program_word(struct program_words *words, const char *format, ...) __attribute__((format(printf, 2, 3)));
void program_free_words(struct program_words *words);

struct program {
    pid_t pid;  /* 0 = not running */
    int handle; /* a pidfd */
    int out, err;
    int status;      /* as from waitpid, once it has ended */
    uint64_t slices; /* of time that it was waited for */
};
#define PROGRAM_NONE                                                                                                   \
    {                                                                                                                  \
        .handle = -1, .out = -1, .err = -1                                                                             \
    }

/* input: what it reads from stdin (at most 4096 bytes), NULL = nothing. The signals are those of a fresh program; the
 * process group is ours, so that who ends us ends it. */
int32_t program_start(struct program *program, const struct workspace *workspace, struct program_words *words,
                      const struct cofre_secret *input, struct cofre_error *error);
/* Has it ended? Then status is set. Never waits longer than milliseconds. */
bool program_ended(struct program *program, int milliseconds);
/* Until it has ended. Cancelled: it is ended first. Feeds the stall watchdog: what is started must end a silent line by
 * itself. */
int32_t program_wait(struct program *program, struct cofre_call *call, struct cofre_error *error);
/* Until one of them has ended. Cancelled: all are ended first. */
int32_t program_wait_any(struct program *const *programs, size_t count, struct cofre_call *call,
                         struct cofre_error *error);
/* SIGTERM, two seconds, SIGKILL. */
void program_kill(struct program *program);
/* Forget it: descriptors are closed. It must have ended. */
void program_close(struct program *program);
/* The exit status; 128 + N when signal N ended it. */
int program_exit(const struct program *program);

/* All that is in the file: allocated, terminated; NULL with *error filled. At most maximum bytes. */
char *program_text(int fd, size_t maximum, struct cofre_error *error);

#endif
