/* The runs of rsync. Each is given the names it is about as a list, so nothing is ever matched by a pattern, and each
 * begins in the root of the place: where that is missing, nothing is made beside it.
 *
 * The place holds, beside the objects under their keys:
 *
 *   .tmp/     where rsync writes an object before it gets its name (as the plugin 'local' does); its being there tells
 *             a place from the mount point of a disk that is not mounted
 *   ~cofre/   flush marks. rsync --fsync flushes a file before it is renamed, and never a directory. So each sending
 *             ends with one more small file, which sorts last: its flush makes the renames before it durable on file
 *             systems with one ordered journal (ext4, xfs, zfs, btrfs)
 */
#ifndef COFRE_RSYNC_TRANSFER_H
#define COFRE_RSYNC_TRANSFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofre/plugin.h>

#include "rsync/link.h"

#define TRANSFER_TEMPORARY ".tmp"
#define TRANSFER_MARKS "~cofre"

enum transfer_kind {
    TRANSFER_CREATE,  /* make the place */
    TRANSFER_SEND,    /* objects from WORKSPACE_OUT; those that are there already are passed over */
    TRANSFER_REPLACE, /* the same, but what is there is replaced */
    TRANSFER_PROBE,   /* would a replacing be carried out? Nothing is changed. "<f... NAME" in the text: it would */
    TRANSFER_COMPARE, /* the far side reads them and both sides compare hashes: ".f... NAME" in the text: the same */
    TRANSFER_FETCH,   /* into WORKSPACE_IN; absent ones are passed over */
    TRANSFER_LIST,    /* what is below the names, without .tmp and ~cofre */
    TRANSFER_DEBRIS,  /* the same with them */
    TRANSFER_LOOK,    /* the names themselves; absent ones are passed over */
    TRANSFER_REMOVE,  /* absent ones are passed over */
};

/* Names, each ended by NUL. */
struct transfer_names {
    char *text;
    size_t length, room;
};
/* COFRE_E_MEMORY when there is no memory. */
int32_t transfer_name(struct transfer_names *names, const char *name, struct cofre_error *error);
/* Add a flush mark, made in that folder; nothing with fsync = no. Each has a name of its own: an append-only far side
 * replaces nothing, and what is passed over is not flushed. */
int32_t transfer_add_mark(const struct link *link, const char *folder, struct transfer_names *names,
                          struct cofre_error *error);
/* The run is over: what transfer_add_mark made here, if anything, goes. */
void transfer_remove_mark(const struct link *link, const char *folder, const struct transfer_names *names);
void transfer_free_names(struct transfer_names *names);

struct transfer {
    enum transfer_kind kind;
    const struct transfer_names *names;
    int64_t work;        /* bytes that the far side must read before it answers */
    const char *subject; /* for messages: "object 'packs/ab/1'" */
    int slot;            /* of the runs that are under way, each has its own */
};

/* Start one; the connection is made when there is none. */
int32_t transfer_start(struct link *link, const struct transfer *transfer, struct program *program,
                       struct cofre_call *call, struct cofre_error *error);
/* It has ended: close it and say what came of it. text: what it printed, allocated; NULL = not wanted. */
int32_t transfer_finish(struct link *link, const struct transfer *transfer, struct program *program, char **text,
                        struct cofre_error *error);
/* Both, and the waiting between them. */
int32_t transfer_run(struct link *link, const struct transfer *transfer, struct cofre_call *call, char **text,
                     struct cofre_error *error);

/* The place is not there, in words. COFRE_E_NOT_FOUND. */
int32_t transfer_no_place(const struct link *link, struct cofre_error *error);

#endif
