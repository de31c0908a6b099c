/* The database that a dump is restored into, from its making to its taking the place of another. */
#ifndef COFRE_POSTGRES_TARGET_H
#define COFRE_POSTGRES_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "postgres/recorded.h"
#include "postgres/session.h"

struct target {
    struct session *admin; /* on another database of the server */
    const struct options *options;
    const struct recorded *recorded;
    const char *prefix;              /* of the database's facts */
    char name[SESSION_NAME_MAX + 1]; /* what it is to be called */
    char work[SESSION_NAME_MAX + 1]; /* what it is called while it is filled; as name when it is there, and empty */
    bool exists, made;
    bool partial; /* filled, and some of its objects are missing: go_on */
};

int32_t target_exists(struct session *admin, const char *name, bool *exists, struct cofre_error *error);

/* NAME + infix + id (of a snapshot; "" = "restore"), and _2, _3, ... when that is taken: a name that no database has.
 * NAME is cut where there is no room for all. */
int32_t target_free_name(struct session *admin, const char *name, const char *infix, const char *id,
                         char out[SESSION_NAME_MAX + 1], struct cofre_error *error);

/* May it be filled or replaced? Decides on target->work, from target->name; `temporary` is the name to use for a while.
 * COFRE_E_EXISTS when what is there would be lost. */
int32_t target_choose(struct target *target, const char *temporary, struct cofre_error *error);
/* Make target->work, as the snapshot says that the database was: encoding, collation, owner. */
int32_t target_make(struct target *target, struct cofre_error *error);
/* Give it what belongs to a database from outside: rights, settings, comment, limit of connections. */
int32_t target_furnish(struct target *target, struct cofre_error *error);
/* Remove target->work, when target_make made it, and it did not become target->name. false: it stays; that was logged.
 */
bool target_discard(struct target *target);
/* Drop the databases whose names begin with PREFIX; their sessions are ended, their subscriptions dropped. */
int32_t target_drop_all(struct session *admin, const struct options *options, const char *prefix,
                        struct cofre_error *error);

/* origin, with a prefix, within SESSION_NAME_MAX bytes: a long name ends in a number made of all of it. */
void target_prefixed(const char *prefix, const char *origin, char out[SESSION_NAME_MAX + 1]);
/* Bytes of a name that fit into `most` without cutting a character of UTF-8. */
size_t target_fitting(const char *name, size_t most);

#endif
