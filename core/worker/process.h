/* The process of a worker: a program of its own (core/host/host_main.c), which needs none of the engine's libraries, in
 * its own process group, with nothing of ours but its channel. */
#ifndef COFRE_WORKER_PROCESS_H
#define COFRE_WORKER_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;

/* As whom a worker runs. */
struct process_user {
    bool change; /* to somebody else than we are; else the rest does not matter */
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    size_t group_count;
};
/* ERROR_CONFIG: there is none of that name, or only root could become him. To be freed. */
int process_user_find(const char *name, struct process_user *user, struct error *e);
void process_user_free(struct process_user *user);

/* What of the confinement of workers (core/host/confine.h) this kernel does not have, in words; NULL = nothing. */
const char *process_unconfined(void);

/* All workers of a process are of one build, whatever is installed meanwhile: the program is looked for once, beside
 * our own, and kept open. socket and memory stay the caller's. user: NULL = as we are. *output is what the worker
 * writes to stdout and stderr, non-blocking. */
int process_start(int socket, int memory, const struct process_user *user, pid_t *pid, int *output, struct error *e);

/* The variables of our environment that are meant by names, such as "HOME AWS_*" (NULL = none), as "NAME=VALUE", one
 * after another: each is given to a function. They are no part of a worker's own environment: that can be read in
 * /proc.
 */
void process_environment(const char *names, void (*give)(void *context, const char *variable), void *context);

/* Signal the whole group, the plugin's children too. */
void process_signal(pid_t pid, int number);

/* Has it ended? Then it is reaped, its group is killed, and how has words: "was killed by signal 11 (Segmentation
 * fault)". */
bool process_ended(pid_t pid, char *how, size_t size);
#define PROCESS_HOW 80

#endif
