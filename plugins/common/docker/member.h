/* Members of JSON that comes from outside: each has the type that it should have, or is noted as wrong. What is absent,
 * or null, has its fallback. */
#ifndef COFRE_DOCKER_MEMBER_H
#define COFRE_DOCKER_MEMBER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct member {
    const char *wrong; /* the name of the first that has another type; NULL = none has */
};

/* In `object`, which may be NULL: then it is absent. Borrowed. */
const char *member_text(struct member *member, const json_t *object, const char *name, const char *fallback);
int64_t member_integer(struct member *member, const json_t *object, const char *name, int64_t fallback);
bool member_boolean(struct member *member, const json_t *object, const char *name, bool fallback);
const json_t *member_object(struct member *member, const json_t *object, const char *name); /* NULL = absent */
const json_t *member_array(struct member *member, const json_t *object, const char *name);  /* NULL = absent */
/* Of an array; NULL = none, or no text, which is noted under `name`. */
const char *member_item(struct member *member, const json_t *array, size_t index, const char *name);

#endif
