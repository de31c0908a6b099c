/* The history of snapshots of each host and job: is any missing, replaced, or rolled back? */
#ifndef COFRE_JOB_VERIFY_HISTORY_H
#define COFRE_JOB_VERIFY_HISTORY_H

#include "format/vault.h"

struct engine;
struct manifest;

struct verify_history {
    const struct engine *engine;
    const char *sink, *id; /* the sink's name, and what it holds */
    /* The manifest of a link, whole; NULL when nothing at hand opens manifests. */
    int (*read)(void *place, const struct verify_link *link, struct manifest **manifest, struct error *e);
    void *place;
    /* A removal record says that it was removed: is it there no more, and was only when it was read? NULL = no. */
    bool (*went)(void *context, const struct verify_link *link);
    void (*damage)(void *context, const struct verify_damage *);
    void *context;
    struct verify_link *links; /* filled by verify_history_add; zero at first */
    size_t count;
    const struct verify_link **ranges; /* those of the links that are some: of verify_history_run */
    size_t range_count;
};

/* One manifest, or one that a removal record names, in any order. */
int verify_history_add(struct verify_history *history, const struct verify_link *link, struct error *e);
/* All were added that the request touches: compare them with each other, and with what this machine remembers. A
 * manifest that is not readable has no place in the history; that it is damaged is for others to say. What a removal
 * record names leaves no gap; its words are held against its neighbours like those of a manifest. */
int verify_history_run(struct verify_history *history, const struct verify_request *request, struct error *e);
/* The links. */
void verify_history_free(struct verify_history *history);

#endif
