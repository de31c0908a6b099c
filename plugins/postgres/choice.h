/* The tables and schemas that a restore was asked for, as the dump writes their names: in the encoding that the
 * database had. */
#ifndef COFRE_POSTGRES_CHOICE_H
#define COFRE_POSTGRES_CHOICE_H

#include "postgres/namelist.h"
#include "postgres/session.h"

struct choice {
    struct options options; /* as given, with the two lists below */
    struct namelist tables, schemas;
};

/* encoding: the dump's, NULL = not known, then names stay as they are. A name that it cannot write is an error. After
 * success and failure: choice_free. */
int32_t choice_make(struct choice *choice, struct session *session, const struct options *options, const char *encoding,
                    struct cofre_error *error);
void choice_free(struct choice *choice);

#endif
