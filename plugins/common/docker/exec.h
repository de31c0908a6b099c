/* A program in a container that runs, by the daemon's exec: started where the container's own processes are, with its
 * files, its user and its limits. Its streams come as pipes; a thread of ours carries them.
 * https://docs.docker.com/reference/api/engine/version/v1.41/#tag/Exec */
#ifndef COFRE_DOCKER_EXEC_H
#define COFRE_DOCKER_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/docker/daemon.h"
#include "cofre/plugin.h"

struct exec;

struct exec_spec {
    const char *container;          /* id */
    const char *const *words;       /* the program and its arguments, ended by NULL; no secret: the daemon shows them */
    const char *const *environment; /* NAME=VALUE, ended by NULL; may be NULL; no secret either */
    const char *user;               /* NULL = the container's own */
    bool input, output;             /* stdin (else it is empty), stdout (else it is thrown away); stderr always */
};

/* Returns when it runs, or has run. The daemon is used for other calls meanwhile. COFRE_E_NOT_FOUND: no such program,
 * or no such container; not running: COFRE_E_PERMANENT. */
int32_t exec_start(struct daemon *daemon, struct cofre_call *call, const struct exec_spec *spec, struct exec **exec,
                   struct cofre_error *error);

/* Our ends, non-blocking, O_CLOEXEC. They are taken: the caller closes them. -1 = taken already, or none. Output and
 * errors come over one connection: while one of their pipes is full, nothing comes through the other, so read both. To
 * close the input ends the program's; what is written to a program that has ended is EPIPE. */
int exec_take_input(struct exec *exec);
int exec_take_output(struct exec *exec);
int exec_take_errors(struct exec *exec);

/* A descriptor that becomes readable when it has ended. */
int exec_end_fd(const struct exec *exec);
/* Has it ended? *ended with *code, its exit status, once all of its output has gone into the pipes. An error: the
 * connection broke, or the daemon cannot say how it ended. Never waits. The pipes end a moment before: only this says
 * whether what they gave was all. (A connection that is ended cleanly just when the program ends, by something between
 * us and the daemon, cannot be told from the real end: what matters should bear an end of its own.) */
int32_t exec_look(struct exec *exec, bool *ended, int *code, struct cofre_error *error);
/* Give up what still runs: its streams are closed, and where the daemon is local, and its process to be seen from here,
 * it is killed; elsewhere it ends when it reads its input or not at all. Takes 2 seconds at most. NULL is fine. */
void exec_free(struct exec *exec);

#endif
