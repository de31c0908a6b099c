/* Back to the role that the server had, also from a process that knows nothing but the id. */
#ifndef COFRE_REDIS_UNDO_H
#define COFRE_REDIS_UNDO_H

#include <stdint.h>

#include "redis/conf.h"

struct link;
struct primary;

/* Note, durably, where the server is going to be told to replicate from, and what direct_look said. Before it is told.
 */
int32_t undo_note(const struct primary *primary, const char *direct, struct cofre_call *call,
                  struct cofre_error *error);

/* Make the server a primary again. It must not be loading. */
int32_t undo_promote(struct link *link, struct cofre_call *call, struct cofre_error *error);

/* thaw(): when the server still replicates from where the note of this id says, and only then, wait until it has loaded
 * what it is loading, and make it a primary again. Its setting is put back in any case. The note goes. */
int32_t undo_all(const struct conf *conf, struct cofre_call *call, const char *id, struct cofre_error *error);

#endif
