/* The sinks that a verb looks at: each is opened when it is needed, once, and what is not kept is closed in the end. */
#ifndef COFRE_JOB_VAULTS_H
#define COFRE_JOB_VAULTS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

struct config_instance;
struct engine;
struct vault;

struct vaults_item {
    const struct config_instance *sink;
    struct vault *vault; /* NULL = not opened, or not any more */
    struct error why;    /* what went wrong with it last; ERROR_NONE = nothing */
};
struct vaults {
    const struct engine *engine;
    struct vaults_item *items; /* in the order of the configuration */
    size_t count;
    bool only; /* one sink was asked for by name: there is no other to turn to */
};

/* sink, or, when it is NULL, those that the job writes to (NULL = any job); on a new machine no job is configured: all
 * sinks then. Nothing is opened. To be closed also after an error. */
int vaults_choose(const struct engine *engine, const char *job, const struct config_instance *sink,
                  struct vaults *vaults, struct error *e);

/* The vault of the item, opened by the first call. One that could not be opened is not tried again: it fails the same
 * way. */
int vaults_open(struct vaults *vaults, size_t item, struct vault **vault, struct error *e);

/* The item of this sink, which is one of them. */
size_t vaults_find(const struct vaults *vaults, const struct config_instance *sink);

/* Close all but this one, which is the caller's now; NULL = all. */
void vaults_close(struct vaults *vaults, const struct vault *but);

#endif
