/* A tar archive on its way to the daemon, which unpacks it: what a volume is filled with whose files cannot be reached
 * from here. And what such a volume holds, counted. */
#ifndef COFRE_DOCKER_VOLUME_CASK_H
#define COFRE_DOCKER_VOLUME_CASK_H

#include <stdbool.h>
#include <stdint.h>

#include "common/docker/daemon.h"
#include "common/finish.h"
#include "common/losses.h"
#include "cofre/plugin.h"

struct archive;

struct cask {
    struct cofre_call *call;
    struct daemon_stream *stream;
    struct archive *archive;
    const char *prefix;        /* of entries: the volume; it becomes `root` */
    const char *root;          /* in the archive */
    struct finish_rules rules; /* owners, setuid */
    bool devices;
    struct losses_tally tally;
    uint64_t entries, bytes; /* out: that were sent; without sockets and devices that are left out */
    int32_t class;           /* of the stream's own failure */
    struct cofre_error why;
};

/* stream is lent: what is sent goes into it. cask_close is due, also after an error. */
int32_t cask_open(struct cask *cask, struct cofre_error *error);
/* Send one entry with its content. *result is for done(), its text in cask->why; what is returned ends the restore: an
 * entry that was begun and not sent whole, too. */
int32_t cask_put(struct cask *cask, const struct cofre_entry *entry, int32_t *result, struct cofre_error *error);
/* The end of the archive. */
int32_t cask_finish(struct cask *cask, struct cofre_error *error);
void cask_close(struct cask *cask);

/* Read an archive from a stream: how many entries it has below its first one, which is the root, and that; and the
 * bytes of its files. most: give up after so many entries; 0 = never. */
int32_t cask_count(struct cofre_call *call, struct daemon_stream *stream, uint64_t most, uint64_t *entries,
                   uint64_t *bytes, struct cofre_error *error);

#endif
