/* One entry, put into a directory that is held by descriptor. */
#ifndef COFRE_COMMON_PLACE_H
#define COFRE_COMMON_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/finish.h"
#include "cofre/plugin.h"

#define PLACE_TEMPORARY_MAX 32

struct place {
    struct cofre_call *call;
    struct finish_rules rules;
    bool devices;                        /* make devices, if we are root */
    bool overwrite;                      /* replace what is there, atomically */
    struct timespec start;               /* by the clock of the file system: nothing older was made by this run */
    char temporary[PLACE_TEMPORARY_MAX]; /* name that nothing else has */
    struct cofre_error *why;             /* of the entry at hand */
    struct cofre_error *error;           /* of the host's calls */
};

struct place_spot {
    int dir;
    const char *name;
    bool inherits; /* the directory hands ACLs or its group down to what is made in it */
};

/* Learn what the file system under dir does: which clock it has, whose files we make. Fails when nothing can be made in
 * it. */
int32_t place_begin(struct place *place, int dir, const char *path);

/* The functions below return what the host's calls return; *result is for done(), its text in place->why. After a
 * failure nothing of the entry is left, and what was there before is untouched. */

/* FILE and STREAM: takes the content. */
int32_t place_file(struct place *place, const struct place_spot *spot, const struct cofre_entry *entry,
                   int32_t *result);

/* SYMLINK, FIFO, CHARACTER, BLOCK; a SOCKET is nothing to put back. */
void place_node(struct place *place, const struct place_spot *spot, const struct cofre_entry *entry, int32_t *result);

/* HARDLINK: the first name is target_name in target_dir, and must have been made by this run. */
void place_link(struct place *place, const struct place_spot *spot, int target_dir, const char *target_name,
                int32_t *result);

#endif
