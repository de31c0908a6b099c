/* pg_dump and its kin: the one that fits the server. */
#ifndef COFRE_POSTGRES_TOOL_H
#define COFRE_POSTGRES_TOOL_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "postgres/options.h"

struct tool {
    char path[PATH_MAX]; /* where it runs, which may be a container */
    char version[32];    /* "15.20" */
    int major;
};

/* The program `name` ("pg_dump") of the server's major version, or the next newer one that there is; an older one is
 * refused: it would leave out what it does not know. In the server's container, or on this machine, as the options say.
 * bin_dir: look nowhere else; NULL = where packages of PostgreSQL put it, and PATH. COFRE_E_NOT_FOUND, or
 * COFRE_E_CONFIG for one that is too old, with what to install. */
int32_t tool_find(struct tool *tool, struct cofre_call *call, const char *name, const struct options *options,
                  int server_major, struct cofre_error *error);

/* What "--version" says, to tool->version and tool->major. false: it is no program of PostgreSQL. */
bool tool_read_version(struct tool *tool, const char *said);
/* tool_find in the container. */
int32_t tool_find_inside(struct tool *tool, struct cofre_call *call, const char *name, const struct options *options,
                         int server_major, struct cofre_error *error);

#endif
