/* The rows of one dump: counted by the server beside it, in the same snapshot, compared with what is in it, and said.
 */
#ifndef COFRE_POSTGRES_TALLY_H
#define COFRE_POSTGRES_TALLY_H

#include <stdbool.h>

#include "postgres/archive.h"
#include "postgres/count.h"
#include "postgres/namelist.h"
#include "postgres/options.h"

#define TALLY_UNCOUNTED 20 /* named; further ones are only a number */

/* Zeroed, it counts nothing. tally_free in any state. */
struct tally {
    struct session *session; /* in the transaction of the snapshot; speaks raw */
    const struct options *options;
    const struct archive *archive; /* NULL until tally_begin */
    struct count count;
    struct namelist partial;     /* tables of which extensions save a part only */
    struct archive_item **items; /* of count */
    int64_t *counted;            /* of each; -1 = could not be counted */
    size_t uncounted;
    struct namelist why; /* of the first of them */
};

/* Before the dump begins. */
int32_t tally_prepare(struct tally *tally, struct session *session, const struct options *options,
                      struct cofre_error *error);
/* The dump's table of contents has passed. */
int32_t tally_begin(struct tally *tally, struct archive *archive, struct cofre_error *error);
/* As far as it goes without waiting. A table that cannot be counted does not cost the dump. */
int32_t tally_step(struct tally *tally, struct cofre_error *error);
/* To the end, and do the two agree? what: which dump. Of a table that somebody emptied or altered since the dump let go
 * of it the server counts something else: that is no count. */
int32_t tally_finish(struct tally *tally, const char *what, struct cofre_error *error);
/* The facts, and what could not be counted, which makes the entry at path not quite what was promised. */
int32_t tally_say(const struct tally *tally, const char *path, const char *prefix, struct cofre_error *error);
void tally_free(struct tally *tally);

#endif
