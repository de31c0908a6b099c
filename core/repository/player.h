/* The player: entries and their content out of a repository, fetched readahead, opened side by side, given in order.
 *
 * The caller feeds records as the catalogue gives them (player_record). A plan is made from them: which chunks to
 * fetch, and a script of what to do with each. Chunks used lately stay in a small cache, whose rules planner and
 * consumer both follow, so that no message passes between them. Every byte given has been opened and its chunk compared
 * with its id.
 *
 * Content that is damaged or missing is told of the entry that needs it, and the play goes on: one bad spot must not
 * keep everything else from coming back.
 */
#ifndef COFRE_REPOSITORY_PLAYER_H
#define COFRE_REPOSITORY_PLAYER_H

#include <stddef.h>
#include <stdint.h>

#include "repository/catalogue.h"

struct audience;
struct error;
struct player;
struct reader;
struct repository;

/* reader: for locating chunks; borrowed. workers: opening threads, 0 = inline: then the audience is called from the
 * caller's thread, else from one of its own. */
int player_new(struct repository *repository, struct reader *reader, unsigned workers, const struct audience *audience,
               struct player **player, struct error *e);
void player_free(struct player *player);

/* The next record, with its stored bytes. Entries without content too. */
int player_record(struct player *player, const struct record *record, const uint8_t *bytes, size_t n, struct error *e);
/* Wait until everything has been given. */
int player_finish(struct player *player, struct error *e);

#endif
