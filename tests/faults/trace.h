/* Run a command with all its threads and children under ptrace, and be called at each of their system calls. */
#ifndef FAULTS_TRACE_H
#define FAULTS_TRACE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct trace_stop {
    pid_t pid;       /* of the thread */
    bool entry;      /* else the call is over */
    uint64_t number; /* SYS_*; at entry only */
    uint64_t arguments[6];
};

enum trace_verdict { TRACE_GO_ON, TRACE_KILL_ALL };

/* Returns the command's exit status as a shell would say it (128 + signal), 137 when visit asked to kill, 127 when the
 * command could not be started. All processes that the command made have ended when it returns. */
int trace_run(char **command, enum trace_verdict (*visit)(void *context, const struct trace_stop *), void *context);

/* Programs that are started with this first argument are let go: they are not traced, and killed by nobody here. At the
 * beginning none is; each call, of a few, adds one. */
void trace_let_go(const char *argument);

/* The text at an address of the traced thread; false when it cannot be read, or is longer than n - 1 bytes. */
bool trace_read_text(pid_t pid, uint64_t address, char *out, size_t n);

/* At entry: the call will not be made. At the exit that follows, trace_set_result says what it gave. */
void trace_skip(pid_t pid);
void trace_set_result(pid_t pid, long result);

#endif
