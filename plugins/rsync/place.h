/* An instance. */
#ifndef COFRE_RSYNC_PLACE_H
#define COFRE_RSYNC_PLACE_H

#include "rsync/inbox.h"
#include "rsync/link.h"
#include "rsync/outbox.h"

struct place {
    struct link link;
    struct outbox outbox;
    struct inbox inbox;
};

#endif
