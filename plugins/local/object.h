/* Objects: put, get, stat, remove, as cofre/plugin.h describes them. */
#ifndef LOCAL_OBJECT_H
#define LOCAL_OBJECT_H

#include "local/place.h"

int32_t object_put(struct place *place, struct cofre_call *call, const char *key, const struct cofre_put *put,
                   struct cofre_error *error);
int32_t object_get(struct place *place, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                   struct cofre_error *error);
int32_t object_stat(struct place *place, const char *key, struct cofre_object *object, struct cofre_error *error);
/* Each directory is made durable once, when keys that lie in one follow each other. */
int32_t object_remove_many(struct place *place, const char *const *keys, size_t count, struct cofre_error *error);

#endif
