/* pin, unpin: a snapshot is to stay, whatever the rules of retention say; or is not to any more. */
#ifndef COFRE_JOB_PIN_H
#define COFRE_JOB_PIN_H

#include <stdbool.h>
#include <stdint.h>

#include "format/vault.h"

struct config_instance;
struct engine;
struct error;
struct snapshot_selector;

struct pin_request {
    const struct snapshot_selector *selector;
    const struct config_instance *sink; /* NULL = all of the job that have the snapshot */
    bool remove;
    int64_t until;    /* ns; VAULT_PIN_FOREVER */
    const char *note; /* free text, VAULT_NOTE_MAX bytes at most; NULL = none */
};
/* Of each sink that has the snapshot. was: unpin: there was a pin. why: ERROR_NONE, or what went wrong there. */
typedef void pin_told(void *context, const char *sink, const struct vault_name *name, bool was,
                      const struct error *why);

/* 0: in all sinks that could be reached it is as it should be, but for those of which told was told an error;
 * *unreachable: how many could not. -1: there is no such snapshot, or nothing could be looked at. */
int pin_run(const struct engine *engine, const struct pin_request *request, pin_told *told, void *context,
            size_t *unreachable, struct error *e);

#endif
