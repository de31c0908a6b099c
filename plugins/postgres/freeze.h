/* Snapshots that stay open: what a database was at one moment, for as long as its session lives. */
#ifndef COFRE_POSTGRES_FREEZE_H
#define COFRE_POSTGRES_FREEZE_H

#include <stddef.h>
#include <stdint.h>

#include "postgres/namelist.h"
#include "postgres/session.h"

struct freeze_moment {
    char *database;
    struct session session; /* in a transaction that sees that moment, read only */
    char snapshot[64];      /* its name, for other sessions of the server */
    int32_t result;         /* why there is none */
    struct cofre_error why;
};

struct freeze {
    struct freeze_moment *moments;
    size_t count;
};

/* Open one. name: of the session, NULL = "cofre". After failure moment->result and moment->why say why; freeze_close in
 * both cases. */
void freeze_open(struct freeze_moment *moment, struct cofre_call *call, const struct options *options,
                 const char *database, const char *name);
void freeze_close(struct freeze_moment *moment);
/* The same database, as it is now, in the same session. As freeze_open. */
void freeze_renew(struct freeze_moment *moment);

/* Some more, one for each of these databases, all within moments of each other: first every session is opened, then the
 * snapshots are taken. A database without one has the reason in its moment. id names the sessions. Earlier results of
 * freeze_find are no longer valid. */
int32_t freeze_more(struct freeze *freeze, struct cofre_call *call, const struct options *options,
                    char *const *databases, size_t count, const char *id, struct cofre_error *error);
/* NULL = none of that database. */
struct freeze_moment *freeze_find(const struct freeze *freeze, const char *database);
void freeze_free(struct freeze *freeze);

/* End sessions of that id that a dead process left on the server. */
int32_t freeze_forget(struct session *session, const char *id, struct cofre_error *error);

#endif
