/* The command of a secret: what it prints is the secret. */
#ifndef COFRE_CONFIG_SECRET_COMMAND_H
#define COFRE_CONFIG_SECRET_COMMAND_H

#include <stddef.h>
#include <stdint.h>

struct error;

/* Run by /bin/sh in a process group of its own, stdin /dev/null, stderr ours. Its output, at most size bytes, goes to
 * out (from secret_alloc: it is never copied elsewhere). ERROR_CONFIG when it cannot be run, its status is not 0, it
 * writes more or is not done after timeout milliseconds; then the whole group is killed. No message holds command or
 * output. */
int secret_command_run(const char *command, int64_t timeout, uint8_t *out, size_t size, size_t *length,
                       struct error *e);

#endif
