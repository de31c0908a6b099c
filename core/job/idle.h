/* Idle keys: what a section may say already, and this version does nothing about. */
#ifndef COFRE_JOB_IDLE_H
#define COFRE_JOB_IDLE_H

#include <stdbool.h>
#include <stddef.h>

struct config_job;

/* The idle keys that the job's sections set, "schedule", into out; cut at its end. False: there are none.
 */
bool idle_keys(const struct config_job *job, char *out, size_t size);

#endif
