/* One entry, put into a directory that is held by descriptor. */
#ifndef COFRE_COMMON_PLACE_H
#define COFRE_COMMON_PLACE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/finish.h"
#include "common/record.h"
#include "cofre/plugin.h"

#define PLACE_TEMPORARY_MAX 48

struct place {
    struct cofre_call *call;
    struct finish_rules rules;
    bool devices;                        /* make devices, if we are root */
    bool overwrite;                      /* replace what is there, atomically */
    struct timespec start;               /* by the clock of the file system: nothing older was made by this run */
    char temporary[PLACE_TEMPORARY_MAX]; /* name that nothing else has */
    struct cofre_error *why;             /* of the entry at hand */
    struct losses lost;                  /* of it, with COFRE_PARTLY */
    struct cofre_error *error;           /* of the host's calls */
};

struct place_spot {
    int dir;
    const char *name;
    bool inherits; /* the directory hands ACLs or its group down to what is made in it */
    bool fresh;    /* the directory was made by this run, and is closed to others: nothing is in the way in it */
};

/* Learn what the file system under dir does: which clock it has, whose files we make. Fails when nothing can be made in
 * it. */
int32_t place_begin(struct place *place, int dir, const char *path);

/* *result, or what is returned, is for done(), its text in place->why or, with COFRE_PARTLY, in place->lost. After a
 * failure nothing of the entry is left, and what was there before is untouched. Several places may be at work at once
 * in one directory, each in a thread of its own, when they differ in `temporary`. */

/* FILE and STREAM, with all of their content. */
int32_t place_file(struct place *place, const struct place_spot *spot, const struct record *record, const void *content,
                   size_t length);

/* The same in steps. A descriptor for place_write, or -1. */
int place_open(const struct place *place, const struct place_spot *spot, int32_t *result);

/* Write past the system's cache, or not. While on, offset, length and memory of place_write are multiples of
 * PLACE_DIRECT_ALIGN; where the system will not have that either, place_write turns it off by itself. false: it cannot.
 */
#define PLACE_DIRECT_ALIGN 4096u
bool place_direct(int fd, bool on);

/* 0 or an errno. */
int place_write(int fd, const void *bytes, size_t length, int64_t offset);
int32_t place_not_written(const struct place *place, int errnum, int64_t offset);

/* length: set it to that; -1 = it is right. With a *result that is not COFRE_OK the file is removed. */
void place_close(struct place *place, const struct place_spot *spot, int fd, const struct record *record,
                 int64_t length, int32_t *result);

/* SYMLINK, FIFO, CHARACTER, BLOCK; a SOCKET is nothing to put back. */
void place_node(struct place *place, const struct place_spot *spot, const struct cofre_entry *entry, int32_t *result);

/* HARDLINK: the first name is target_name in target_dir, and must have been made by this run. Where the file system
 * makes no links the file is copied. */
void place_link(struct place *place, const struct place_spot *spot, int target_dir, const char *target_name,
                int32_t *result);

#endif
