/* A turn: what is due (operation/due.h) is looked for, and as much of it begun as may be at work at once, each thing in
 * a child of its own, so that whatever becomes of one costs no other. `due` takes turns until nothing is due any more,
 * `daemon` without end. One process of a configuration does that at a time.
 */
#ifndef COFRE_CLI_TURN_H
#define COFRE_CLI_TURN_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli/child.h"
#include "operation/due.h"

struct cli;
struct error;

#define TURN_PARALLEL_MAX 64

/* One thing at work. The configuration may be another one by now: names alone. */
struct turn_child {
    struct child child;
    char name[DUE_NAME_MAX]; /* due_name */
    char subject[64];        /* the job, or, of a gc, the sink */
    bool of_job;
    enum due_what what;
    int64_t since; /* its mark before it was begun */
};

struct turn {
    struct cli *cli;
    char *const *jobs; /* do no other than these; none: everything */
    size_t job_count;
    bool quiet, timed; /* children say problems alone; lines have the time in front */
    /* what follows is turn.c's */
    struct due_marks marks;
    int lock, timer;
    char program[PATH_MAX];
    sigset_t unblocked;
    struct turn_child *children[TURN_PARALLEL_MAX];
    size_t child_count;
    int64_t next;   /* ns: when the next thing is due, as far as is known; INT64_MAX = nothing is */
    size_t left;    /* things that are due, and wait, since something of their job or sink is at work elsewhere */
    int status;     /* the worst of those that ended: 0, then 3, then the first of the others */
    bool passed_on; /* the signal that ends this process: to the children */
};

/* The members above are set. Signals are blocked from here on but while it waits, children are waited for, and what
 * killed processes left is put back; then *held is how many things could not be. ERROR_BUSY: another process does what
 * is due. To be closed also after an error. */
int turn_open(struct turn *turn, size_t *held, struct error *e);

/* Look, and begin. After a signal that ends this process nothing is begun, and the children get SIGTERM. */
int turn_take(struct turn *turn, struct error *e);

/* Until something may have to be done: a child has ended, the next thing is due, a signal came, the clock was set, and
 * at most so many ms. What children say is printed, and each that has ended gets a line. */
int turn_wait(struct turn *turn, int64_t milliseconds, struct error *e);

/* Is it of one of these jobs? None: everything is. */
bool turn_is_wanted(char *const *jobs, size_t job_count, const struct due_thing *thing);

/* No child is at work. */
void turn_close(struct turn *turn);

#endif
