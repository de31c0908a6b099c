/* One of PostgreSQL's programs on its way to the server of a session: which one fits, what it is told of the
 * connection, and where it runs: on this machine, or in the server's container. */
#ifndef COFRE_POSTGRES_LAUNCH_H
#define COFRE_POSTGRES_LAUNCH_H

#include "postgres/namelist.h"
#include "postgres/program.h"
#include "postgres/session.h"
#include "postgres/stage.h"
#include "postgres/tool.h"

struct launch {
    struct session *session;
    const struct options *options;
    struct tool tool;
    struct namelist words; /* the program, and how it connects; its other arguments are for the caller to add */
    int passfile;          /* on this machine; -1 = none */
};

/* Find the program, and tell it to connect to `database`. launch_free is due also after failure. */
int32_t launch_prepare(struct launch *launch, struct session *session, const struct options *options, const char *name,
                       const char *database, struct cofre_error *error);
/* Start it. stage: what it reads, NULL = nothing; in a container while program_wait waits, from beginning to end: it
 * comes through a pipe. Without `output` its stdout is thrown away. */
int32_t launch_start(struct launch *launch, struct program *program, const struct stage *stage, bool output,
                     struct cofre_error *error);
void launch_free(struct launch *launch);
#define LAUNCH_AUTO __attribute__((cleanup(launch_free))) struct launch
#define LAUNCH_NONE                                                                                                    \
    {                                                                                                                  \
        .passfile = -1                                                                                                 \
    }

#endif
