/* Starting the program of a hook: from its runner (attempt/hook.h). */
#ifndef COFRE_ATTEMPT_HOOK_PROGRAM_H
#define COFRE_ATTEMPT_HOOK_PROGRAM_H

#include <sys/types.h>

struct error;
struct hook;

/* In a process group of its own, in "/", with the record as JSON on its input, hook_environment, signals as a program
 * has them at its start, and nothing else of ours. It is killed when the calling thread ends. *output: what it writes
 * to stdout and stderr, non-blocking. ERROR_CONFIG: it is not there, or somebody else can change it. */
int hook_program_start(const struct hook *hook, pid_t *pid, int *output, struct error *e);

#endif
