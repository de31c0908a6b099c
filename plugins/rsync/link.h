/* The way to the far side: the options, the ssh connection, and the words that begin every rsync command. */
#ifndef COFRE_RSYNC_LINK_H
#define COFRE_RSYNC_LINK_H

#include <stdbool.h>
#include <stdint.h>

#include <cofre/plugin.h>

#include "rsync/program.h"
#include "rsync/target.h"
#include "rsync/workspace.h"

struct options {
    const char *target, *identity_file, *read_identity_file, *known_hosts, *rsync_path, *staging;
    int64_t ssh_port, bandwidth, io_timeout, staging_size;
    int32_t fsync;
    struct cofre_secret password;
};

/* Reading may have a key of its own, and then a connection of its own. */
enum link_way { LINK_WRITE = 0, LINK_READ = 1, LINK_WAYS = 2 };

struct link {
    const struct options *options;
    struct target target;
    struct workspace workspace;
    struct program masters[LINK_WAYS]; /* one ssh connection each, shared by all that run through it */
    bool checked;                      /* the rsync here is new enough */
    int pause;                         /* ms before each run: link_is_crowded */
};

/* Reaches nothing. After an error nothing is left. */
int32_t link_open(struct link *link, const struct options *options, struct cofre_error *error);
void link_close(struct link *link);

/* See that the ssh connection is there; to a daemon each run connects for itself, after the pause that it needs. */
int32_t link_need(struct link *link, enum link_way way, struct cofre_call *call, struct cofre_error *error);
/* End the connections: they may hang. The next need makes new ones. */
void link_drop(struct link *link);
/* The daemon had no room for a connection. It notices the end of one only after we do, so that a run that follows at
 * once may meet the one before it: from now on there is a pause before each, longer every time this is called. */
void link_is_crowded(struct link *link);

/* The words of "rsync" with what is the same for every run. work: bytes that the far side may have to read and compare
 * before it answers: it is given time for that. */
void link_words(const struct link *link, enum link_way way, int64_t work, struct program_words *words);
/* What goes to stdin: a daemon's password; NULL = nothing. */
const struct cofre_secret *link_input(const struct link *link);

#endif
