/* What the files of exec.h share. Nobody else includes this. */
#ifndef COFRE_DOCKER_EXEC_INSIDE_H
#define COFRE_DOCKER_EXEC_INSIDE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/docker/daemon_inside.h"
#include "common/docker/exec.h"
#include "common/docker/exec_frame.h"
#include "cofre/plugin.h"

#define EXEC_IN ((size_t)256 << 10) /* bytes taken from the connection at once */
#define EXEC_OUT ((size_t)64 << 10) /* and given to it */

/* One connection, after the daemon has agreed to carry streams over it. */
struct exec {
    struct daemon *daemon; /* of its own, for the thread */
    struct daemon_transfer connection;
    curl_socket_t socket;
    char id[130], container[130], what[300];

    /* The thread's, while it runs. */
    int input, output, errors; /* its ends of the pipes; -1 = none, or closed */
    uint8_t *in, *out;         /* from the connection, and to it */
    size_t in_at, in_length, out_at, out_length;
    struct exec_frame frame;
    struct exec_frame_piece piece; /* of `in`, not yet in its pipe */
    bool over;                     /* nothing more comes */
    int32_t broken;                /* class of *cause, with which it ended */
    struct cofre_error cause;

    pthread_t thread;
    bool has_thread;
    int stop, end;                               /* eventfds */
    int given_input, given_output, given_errors; /* the caller's ends, until they are taken */
    /* Set before `ended`. */
    atomic_bool ended;
    int code;
    int32_t class;
    struct cofre_error error;
};

/* What inspect says of the program. */
struct exec_state {
    bool running, has_code;
    int64_t pid, code;
};
int32_t exec_inspect(struct exec *exec, struct daemon *daemon, struct cofre_call *call, struct exec_state *state,
                     struct cofre_error *error);

/* Connect, and have the daemon start it; then the first bytes may be in `in` already. */
int32_t exec_connect(struct exec *exec, struct cofre_call *call, struct cofre_error *error);
/* Until it runs, or has run. COFRE_E_NOT_FOUND, ...: it was not started. */
int32_t exec_connect_wait(struct exec *exec, struct cofre_call *call, struct cofre_error *error);

/* Take what has come, into `in` from its beginning. COFRE_OK with in_length 0: the end; COFRE_E_BUSY: nothing yet. */
int32_t exec_receive(struct exec *exec, struct cofre_error *error);

/* The thread. */
void *exec_relay(void *exec);

#endif
