/* The options of a source, as the host fills them in. NULL, 0 and an empty list: not set. */
#ifndef COFRE_POSTGRES_OPTIONS_H
#define COFRE_POSTGRES_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "cofre/plugin.h"

enum options_counts { OPTIONS_EXACT, OPTIONS_ESTIMATE, OPTIONS_NO_COUNTS };
enum options_section { OPTIONS_ALL, OPTIONS_SCHEMA, OPTIONS_DATA };
enum options_tools { OPTIONS_TOOLS_CONTAINER, OPTIONS_TOOLS_HOST };

struct inside;

struct options {
    /* the connection */
    const char *host, *user, *database, *service, *passfile, *sslmode, *sslrootcert, *sslcert, *sslkey;
    int64_t port;            /* 0 = libpq's */
    int64_t connect_timeout; /* ms */
    struct cofre_secret password;
    int32_t allow_unverified;
    const char *container, *docker, *docker_tls;
    int32_t tools; /* enum options_tools; of a server that is in no container: host */
    const char *bin_dir;
    /* what is saved */
    struct cofre_list databases, schemas, exclude_tables, exclude_table_data;
    int32_t globals;
    int32_t row_counts;   /* enum options_counts */
    int64_t lock_timeout; /* ms */
    int64_t max_size;     /* bytes of the dump of one database; 0 = by what the server says of its size */
    /* restore */
    struct cofre_list tables, only_schemas;
    int32_t section; /* enum options_section */
    int32_t overwrite, drop_old, no_owner, go_on;
    int64_t drop_before; /* ms; 0 = never. Also after a run */
    int64_t jobs;
    const char *stage_dir, *prefix;
    /* Not of the host, but made at open: */
    struct inside *inside; /* the container that the server is in, which says what host is; NULL = it is in none */
};

/* Are pg_dump and its kin those of the container? */
static inline bool options_tools_inside(const struct options *options)
{
    return options->inside && options->tools == OPTIONS_TOOLS_CONTAINER;
}

#endif
