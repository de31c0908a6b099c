/* The rows of the tables of a dump, counted by a server while other things go on.
 *
 * Each table by itself: a subtransaction (or a transaction of its own) gives back at its end the locks of the table and
 * its indexes, of which a server has room for some thousands, and contains a failure. Planning a count evaluates what
 * is in the table's indexes, so the search_path is that of the database's own sessions; everything that we name is
 * qualified. */
#ifndef COFRE_POSTGRES_COUNT_H
#define COFRE_POSTGRES_COUNT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "postgres/archive.h"
#include "postgres/session.h"

struct count {
    struct session *session;           /* speaks raw; in a transaction whose snapshot counts, or in none */
    struct archive_item *const *items; /* tables only */
    size_t total, next;
    bool estimate; /* what the planner thinks, instead of counting */
    bool asked;    /* a statement is under way, for items[next] */
    bool alone;    /* in a transaction of its own */
    /* Called for each, with its rows; its error ends the counting. */
    int32_t (*found)(void *context, const struct archive_item *item, int64_t rows, struct cofre_error *error);
    /* Called for one that could not be counted. NULL: its error ends the counting. */
    int32_t (*failed)(void *context, const struct archive_item *item, const struct cofre_error *why,
                      struct cofre_error *error);
    void *context;
};

/* As far as it goes without waiting. */
int32_t count_step(struct count *count, struct cofre_error *error);
static inline bool count_done(const struct count *count)
{
    return count->next == count->total;
}
/* To the end. */
int32_t count_finish(struct count *count, struct cofre_error *error);

#endif
