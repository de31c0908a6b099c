/* What is written down of a container before it is halted: COMMON/ID-OF-CONTAINER, as JSON, replaced as a whole and
 * durably. */
#ifndef COFRE_DOCKER_VOLUME_HALT_RECORD_H
#define COFRE_DOCKER_VOLUME_HALT_RECORD_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "docker-volume/halt.h"

/* Text is borrowed from `json`, and never NULL. */
struct halt_record {
    json_t *json; /* NULL = there is none */
    const char *container, *name;
    const char *project, *service, *waits; /* of compose; waits: its label depends_on */
    const char *started_at;                /* when it was halted; "" = it is not known to be, yet */
    enum halt_how how;
    bool healthy;  /* it had been */
    int64_t order; /* in which containers were halted */
};

struct halt_records {
    struct halt_record *items;
    size_t count;
};

/* The record of a container is read and changed, and the container halted and put back, by the one who has its lock.
 * Waits for it. *lock: a descriptor, the caller's; closing it, also by the end of the process, gives the lock back. */
int32_t halt_record_lock(const char *directory, struct cofre_call *call, const char *container, int *lock,
                         struct cofre_error *error);

/* record->json NULL: there is none. */
int32_t halt_record_read(const char *directory, const char *container, struct halt_record *record,
                         struct cofre_error *error);
void halt_record_free(struct halt_record *record);
#define HALT_RECORD_AUTO __attribute__((cleanup(halt_record_free))) struct halt_record

/* In memory only, on behalf of nobody. */
int32_t halt_record_make(const struct container *container, enum halt_how how, int64_t order,
                         struct halt_record *record, struct cofre_error *error);
/* It is to be stopped, and not paused. In memory only. */
int32_t halt_record_stop(struct halt_record *record, struct cofre_error *error);
/* When it was started last, before it was halted. In memory only. */
int32_t halt_record_started(struct halt_record *record, const char *started_at, struct cofre_error *error);

/* On whose behalf. In memory only. */
size_t halt_record_count(const struct halt_record *record);
bool halt_record_is_for(const struct halt_record *record, const char *id);
int32_t halt_record_add(struct halt_record *record, const char *id, struct cofre_error *error);
void halt_record_drop(struct halt_record *record, const char *id);

/* Write it, or remove it. Durable. Removing what is not there is fine. */
int32_t halt_record_write(const char *directory, const struct halt_record *record, struct cofre_error *error);
int32_t halt_record_remove(const char *directory, const char *container, struct cofre_error *error);

/* Those for id, NULL = all, the last halted first. What cannot be read is an error, and those that can are there. */
int32_t halt_record_list(const char *directory, const char *id, struct halt_records *records,
                         struct cofre_error *error);
void halt_record_list_free(struct halt_records *records);
#define HALT_RECORDS_AUTO __attribute__((cleanup(halt_record_list_free))) struct halt_records

#endif
