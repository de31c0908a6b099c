/* Containers that are paused or stopped for a while, and then put back into exactly the state that they had.
 *
 * What is done is written down first, in the directory that all sources of this plugin share, and durably: for each
 * container one record, COMMON/ID-OF-CONTAINER, with the state that it had before anybody here touched it, the order
 * in which it was halted, and the ids (cofre->id) on whose behalf it is. So two sources of a job, or two jobs, that
 * need the same container halt it once, and it is put back with the last of them; and a fresh process can put back what
 * a killed one left. A record is read and changed, and its container halted or put back, under the lock of that
 * container (halt_record.h). */
#ifndef COFRE_DOCKER_VOLUME_HALT_H
#define COFRE_DOCKER_VOLUME_HALT_H

#include <stdint.h>

#include "common/docker/container.h"
#include "cofre/plugin.h"

enum halt_how { HALT_PAUSE, HALT_STOP };

struct halt {
    struct daemon *daemon;
    const char *directory; /* cofre->common_directory */
    int64_t stop_timeout;  /* s until a container that does not stop is killed; -1 = its own */
    int64_t health_wait;   /* ms to wait for each container that had been healthy to be so again; 0 = not at all */
};

/* Halt those of the containers that run, users before what they depend on (the containers are in the order of
 * containers_order). Those that do not run are left as they are; those that are paused stay paused, also with HALT_STOP
 * of nobody else. One with --rm, which would be gone, is paused instead of stopped. A restart policy that starts one
 * again is met by looking twice. After an error halt_undo is due. */
int32_t halt_begin(const struct halt *halt, struct cofre_call *call, const char *id,
                   const struct containers *containers, enum halt_how how, struct cofre_error *error);

/* After what had to be done: is everything that was halted for id still so? COFRE_E_CHANGED names what somebody
 * started meanwhile. */
int32_t halt_check(const struct halt *halt, struct cofre_call *call, const char *id, struct cofre_error *error);

/* The same of one container, by its id. COFRE_OK also when it is not halted for id. */
int32_t halt_check_one(const struct halt *halt, struct cofre_call *call, const char *id, const char *container,
                       struct cofre_error *error);

/* Put back, in order, what is halted for id and for nobody else. With id alone, in a fresh process, twice, or where
 * there is nothing. A container that somebody removed, or started, meanwhile is fine and said in the log; one that
 * cannot be started does not keep the others from it, and makes an error in the end, its record kept for the next
 * try; one that does not become healthy is an error, and its record goes. */
int32_t halt_undo(const struct halt *halt, struct cofre_call *call, const char *id, struct cofre_error *error);

/* Leave halted what is halted for id alone, say with the log how it is started, and forget it. */
int32_t halt_keep(const struct halt *halt, struct cofre_call *call, const char *id, struct cofre_error *error);

#endif
