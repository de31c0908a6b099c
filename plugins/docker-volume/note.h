/* What a restore has begun, written down before each step and durably, in the source's own directory under the id of
 * the restore: so that another process can finish it, or take it back. */
#ifndef COFRE_DOCKER_VOLUME_NOTE_H
#define COFRE_DOCKER_VOLUME_NOTE_H

#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/docker/volume.h"
#include "cofre/plugin.h"

/* FILLING: what was made goes again. EXCHANGING: all of it is whole; every exchange is made, also by whoever comes
 * later. BACK: one of them could not be made: those that were are undone, and what was made goes. */
enum note_phase { NOTE_FILLING, NOTE_EXCHANGING, NOTE_BACK };

enum note_way {
    NOTE_MADE,   /* the volume was not there, and was made */
    NOTE_BESIDE, /* filled in a directory beside its own */
    NOTE_POURED  /* it was there, empty, and is filled through the daemon */
};

struct note_item {
    char volume[VOLUME_NAME_MAX + 1];
    enum note_way way;
    bool empty;                       /* what is filled through the daemon: it was seen empty before */
    char place[PATH_MAX];             /* the directory that the volume's own directory is in; "" = not known */
    char leaf[NAME_MAX + 1];          /* the name of that one */
    uint64_t inode;                   /* of what is filled, beside it or, MADE, itself; 0 = not known */
    char before[VOLUME_NAME_MAX + 1]; /* what the old content becomes */
    json_t *description;              /* of that volume; NULL = none */
};

struct note {
    char path[PATH_MAX];
    char directory[PATH_MAX]; /* of the source */
    char id[COFRE_MAX_ID + 1];
    bool own; /* this process wrote it, and knows what it did */
    enum note_phase phase;
    struct note_item *items;
    size_t count;
};

/* The note of this id, empty when there is none. */
int32_t note_open(struct note *note, struct cofre_call *call, const char *id, struct cofre_error *error);
/* Zeroed is fine. */
void note_close(struct note *note);
#define NOTE_AUTO __attribute__((cleanup(note_close))) struct note

/* One more, valid until the next one is added; NULL: out of memory. It is on the disk after the next note_write. */
struct note_item *note_add(struct note *note, const char *volume, enum note_way way);

/* Durable afterwards. */
int32_t note_write(const struct note *note, struct cofre_error *error);
/* Nothing is left to be done. */
int32_t note_drop(const struct note *note, struct cofre_error *error);

/* "_cofre_ID": the directory that is filled beside; after the exchange it holds what the volume held. */
#define NOTE_NAME_MAX (COFRE_MAX_ID + 16)
const char *note_beside(const struct note *note, char name[NOTE_NAME_MAX]);

#endif
