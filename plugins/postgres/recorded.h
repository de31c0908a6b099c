/* The facts of a database: how their keys are made, and what the snapshot that is being restored says. */
#ifndef COFRE_POSTGRES_RECORDED_H
#define COFRE_POSTGRES_RECORDED_H

#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

#define RECORDED_KEY_MAX 256

/* Where a source saves several databases, their facts begin with "DATABASE."; prefix is that, or "". Names that are not
 * plain are in double quotes, as in SQL; bytes of names that are not UTF-8, as of a database in another encoding, are
 * \xHH. */
#define RECORDED_PREFIX_MAX 140
const char *recorded_prefix(const char *database, char out[RECORDED_PREFIX_MAX]);
/* "PREFIXrows.SCHEMA.TABLE". A key that would be longer than a fact's may be ends in a number made of all of it. */
const char *recorded_rows_key(const char *prefix, const char *schema, const char *table, char out[RECORDED_KEY_MAX]);

struct recorded_pair {
    char *key, *value;
};
struct recorded {
    struct recorded_pair *pairs; /* by key */
    size_t count;
    char snapshot[64]; /* its id; "" = not known */
};

/* What the host says of the snapshot. After success and failure: recorded_free. */
int32_t recorded_load(struct recorded *recorded, struct cofre_call *call, struct cofre_error *error);
void recorded_free(struct recorded *recorded);
/* NULL = no such fact. */
const char *recorded_find(const struct recorded *recorded, const char *key);

#endif
