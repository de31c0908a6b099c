/* pg_dump and its kin: the one that fits the server. */
#ifndef COFRE_POSTGRES_TOOL_H
#define COFRE_POSTGRES_TOOL_H

#include <limits.h>
#include <stdint.h>

#include "cofre/plugin.h"

struct tool {
    char path[PATH_MAX];
    char version[32]; /* "15.20" */
    int major;
};

/* The program `name` ("pg_dump") of the server's major version, or the next newer one that there is; an older one is
 * refused: it would leave out what it does not know. bin_dir: look nowhere else; NULL = where packages of PostgreSQL
 * put it, then PATH. COFRE_E_NOT_FOUND, or COFRE_E_CONFIG for one that is too old, with the package to install. */
int32_t tool_find(struct tool *tool, const char *name, const char *bin_dir, int server_major,
                  struct cofre_error *error);

#endif
