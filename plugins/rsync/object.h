/* The calls about one object, as in cofre/plugin.h. All but put see what was put before: they flush. */
#ifndef COFRE_RSYNC_OBJECT_H
#define COFRE_RSYNC_OBJECT_H

#include "rsync/place.h"

int32_t object_put(struct place *place, struct cofre_call *call, const char *key, const struct cofre_put *put,
                   struct cofre_error *error);
int32_t object_get(struct place *place, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                   struct cofre_error *error);
int32_t object_stat(struct place *place, struct cofre_call *call, const char *key, struct cofre_object *object,
                    struct cofre_error *error);
int32_t object_remove(struct place *place, struct cofre_call *call, const char *key, struct cofre_error *error);

#endif
