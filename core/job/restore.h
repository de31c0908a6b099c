/* restore, ls, cat: from a snapshot back to the world. */
#ifndef COFRE_JOB_RESTORE_H
#define COFRE_JOB_RESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "job/services.h"

struct record;
struct config_instance;
struct config_job;
struct engine;
struct error;
struct vault;
struct manifest;
struct manifest_source;

/* Something that was not put back, or not whole. */
struct restore_problem {
    const char *source;
    const char *path; /* NULL = all of it */
    size_t path_length;
    const struct error *why;
};
#define RESTORE_PROBLEMS 1000 /* of a source that are named; further ones are counted */

/* A source, or what is at and below a path inside it. */
struct restore_part {
    const struct manifest_source *source;
    const char *path; /* NULL = all of it */
};

/* What became of a source, or of the parts of it that were asked for. */
enum restore_outcome {
    RESTORE_WHOLE,
    RESTORE_INCOMPLETE, /* entries, or some of their metadata, are not back; each was named */
    RESTORE_MISSING,    /* nothing of it is in the snapshot */
    RESTORE_FAILED,     /* what is in the target is not to be trusted */
    RESTORE_UNTOUCHED   /* its turn did not come */
};
struct restore_source {
    const char *name;
    enum restore_outcome outcome;
    uint64_t entries, partly, bytes, problems; /* as in restore_result */
};

struct restore_request {
    const struct restore_part *parts; /* in any order; what is named twice comes back once */
    size_t part_count;                /* 0 = all sources */
    const char *into;                 /* directory; NULL = to the configured source */
    bool in_place;                    /* there, replacing what is there; else nothing is replaced */
    bool yes;                         /* a target that has content may be written into */
    char *const *overrides;           /* --set */
    size_t override_count;
    const struct config_job *job; /* in place: whose order it is; NULL = as in the snapshot */
    struct services *services;    /* stopped around it; NULL = none */
    bool keep_stopped;            /* they are not started again */
    void (*problem)(void *context, const struct restore_problem *); /* beside the log; may be NULL */
    void (*source)(void *context, const struct restore_source *);   /* in the order of the restore; may be NULL */
    void *context;
};

struct restore_result {
    uint64_t entries;  /* put back */
    uint64_t partly;   /* of them, without some of their metadata; the plugin said what is lost */
    uint64_t bytes;    /* read and given to the plugins */
    size_t held;       /* sources that are not as they were before the restore: thaw failed, and was logged */
    uint64_t problems; /* entries not put back, or not whole; each was named */
    enum services_state services;
};

/* Is every part that is asked for in the snapshot? Touches nothing. */
int restore_check(struct vault *vault, const struct manifest *manifest, const struct restore_request *request,
                  struct error *e);

/* Nothing is touched when a part is not in the snapshot, or the services cannot be stopped. What was stopped is started
 * again also when the restore failed, and *result says so. 0: every entry was given to the plugin, every byte checked,
 * counts as in the manifest; *result tells whether the target took all of it. -1: otherwise; what is in the target is
 * then not to be trusted and the message says so. */
int restore_run(const struct engine *engine, struct vault *vault, const struct manifest *manifest,
                const struct restore_request *request, struct restore_result *result, struct error *e);

/* The entries of a source at and below path (NULL = all), in order, read only as far as needed. entry returns 0, or -1
 * with *e set. */
int restore_list(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                 const char *path, int (*entry)(void *context, const struct record *record, struct error *e),
                 void *context, struct error *e);

/* The content of one file or stream, every piece checked before it is given. */
int restore_cat(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                const char *path, int (*piece)(void *context, const void *p, size_t n, struct error *e), void *context,
                struct error *e);

#endif
