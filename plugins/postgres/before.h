/* The databases that restores keep beside: NAME_before_ID is what one in place replaced, NAME_partial_ID what one could
 * restore only in part (swap.h); ID is that of the snapshot. The end of the comment of the former says when it was
 * replaced, and how it was called. */
#ifndef COFRE_POSTGRES_BEFORE_H
#define COFRE_POSTGRES_BEFORE_H

#include "postgres/namelist.h"
#include "postgres/session.h"

/* Regular expression of the server's for such a name, in SQL quotes. NAME may be cut, _2, _3, ... may follow. */
#define BEFORE_PATTERN "'._(before|partial)_[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}(_[0-9]{1,3})?$'"

/* Such a name that is not taken, for a database that gives way to one of snapshot `id`. */
int32_t before_choose(struct session *admin, const char *name, const char *id, char out[SESSION_NAME_MAX + 1],
                      struct cofre_error *error);
/* Write down in the comment of database `before` that it was `name` until now. */
int32_t before_mark(struct session *admin, const char *before, const char *name, struct cofre_error *error);

/* Name one of them as what a restore has left. */
void before_name(struct cofre_call *call, const char *name);
/* All that there are of these databases. */
int32_t before_name_all(struct session *session, const struct namelist *databases, struct cofre_error *error);

/* Say with finding() which there are of these databases, and how large they are; name them. */
int32_t before_inspect(struct session *session, const struct namelist *databases, struct cofre_error *error);

/* Log those that are not saved, since all databases are asked for: of these nobody wants a backup every night. */
int32_t before_say(struct session *session, struct cofre_error *error);

/* Drop those of these databases that were replaced more than `age` (ms) ago; 0 = none. One stays when its comment does
 * not say when that was, when there is no database of its former name, when somebody is using it, and when replication
 * hangs on it. Logs what it did; nothing that goes wrong here is an error. */
void before_drop(struct session *admin, const struct namelist *databases, int64_t age);

#endif
