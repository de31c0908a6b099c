/* A child: this program once more, at one thing, with its output read line by line. */
#ifndef COFRE_CLI_CHILD_H
#define COFRE_CLI_CHILD_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

#define CHILD_LINE_MAX 4096  /* bytes; longer lines come in pieces */
#define CHILD_PATIENCE 60000 /* ms that what a dead child has left behind may still say something */

/* Its standard output, or its standard error. */
struct child_stream {
    int fd; /* -1 = it has ended */
    char text[CHILD_LINE_MAX];
    size_t length;
};

struct child {
    pid_t pid;
    struct child_stream streams[2]; /* output, errors */
    int64_t began, ended;           /* ms, monotonic; ended -1: it is at work */
    int status;                     /* what it ended with; 128 + the number of the signal that ended it */
};

/* arguments: ends with NULL. mask: the signals that are blocked in it. It gets a process group of its own: a signal
 * that a terminal sends to all reaches it once, from us. After an error there is none. */
int child_start(struct child *child, const char *program, char *const *arguments, const sigset_t *mask,
                struct error *e);

/* Whatever there is to read now: line is called for each line, without its newline, which is lent. */
typedef void child_line(void *context, const struct child *child, bool error, const char *line);
void child_read(struct child *child, child_line *line, void *context);

/* It has ended, as waitpid says. */
void child_end(struct child *child, int wait_status);
/* Has it ended, and has nobody of its own (its watchdog, which undoes what it left) anything more to say? */
bool child_is_over(const struct child *child);
/* Say the rest of its lines, and let go of it. */
void child_close(struct child *child, child_line *line, void *context);

#endif
