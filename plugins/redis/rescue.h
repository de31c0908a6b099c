/* The copy of what a restore is about to replace: an RDB in the source's own directory, complete, checked and durable
 * before anything else happens. Once the data of the server has been replaced, nobody but the operator removes it. */
#ifndef COFRE_REDIS_RESCUE_H
#define COFRE_REDIS_RESCUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "redis/conf.h"

struct primary;
struct server;

#define RESCUE_PATH 4300

/* DIRECTORY/rescue-ID.rdb, of the server that follows primary, which is tended meanwhile. Under that name there is
 * nothing but a whole one. version: of the RDB that this server writes, so of what it can read. Path is "" after a
 * failure. */
int32_t rescue_take(const struct conf *conf, struct primary *primary, const struct server *server,
                    char path[RESCUE_PATH], int *version, struct cofre_error *error);

/* thaw(): remove what a rescue of this id left that was never whole. *whole: there is one, at path. */
int32_t rescue_clean(struct cofre_call *call, const char *id, char path[RESCUE_PATH], bool *whole,
                     struct cofre_error *error);

#endif
