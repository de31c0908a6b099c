/* Objects that came from the far side. rsync fetches whole files only, so an object is fetched once and kept as long as
 * there is room: parts of it are then read from here. */
#ifndef COFRE_RSYNC_INBOX_H
#define COFRE_RSYNC_INBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cofre/plugin.h>

#include "rsync/link.h"
#include "rsync/transfer.h"

struct inbox_row {
    char key[COFRE_MAX_KEY + 1];
    int64_t size;
    uint64_t used;
};

struct inbox_rows {
    struct inbox_row *rows;
    size_t count, room;
};

struct inbox {
    struct link *link;
    struct inbox_rows kept;
    int64_t bytes;
    uint64_t clock;
    /* Small objects of the last listing, in its order: who asks for one after another gets more and more of them in one
     * run. */
    struct inbox_rows listed;
    size_t ahead;
};

void inbox_open(struct inbox *inbox, struct link *link);
void inbox_close(struct inbox *inbox);

/* A listing begins; one of its objects. Without memory it is forgotten, which costs time only. */
void inbox_forget_listing(struct inbox *inbox);
void inbox_remember(struct inbox *inbox, const char *key, int64_t size);

/* The object, open for reading; the caller closes. Absent, or the place is: COFRE_E_NOT_FOUND. */
int32_t inbox_get(struct inbox *inbox, struct cofre_call *call, const char *key, int *fd, int64_t *size,
                  struct cofre_error *error);
/* Keep what a run of TRANSFER_FETCH brought of these. */
int32_t inbox_keep(struct inbox *inbox, const char *names, size_t length, struct cofre_error *error);
/* Is it kept, with the content of that file? */
bool inbox_is_same(const struct inbox *inbox, const char *key, const char *path);
/* What is kept of the key is no longer what is there. */
void inbox_drop(struct inbox *inbox, const char *key);

#endif
