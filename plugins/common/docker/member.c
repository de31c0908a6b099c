#include "common/docker/member.h"

#include <stddef.h>

/* NULL: absent. An `object` that is none is noted where it was asked for. */
static const json_t *find(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);
    return json_is_null(value) ? NULL : value;
}

static void note(struct member *member, const char *name)
{
    if (!member->wrong)
        member->wrong = name;
}

const char *member_text(struct member *member, const json_t *object, const char *name, const char *fallback)
{
    const json_t *value = find(object, name);
    if (value && !json_is_string(value))
        note(member, name);
    return json_is_string(value) ? json_string_value(value) : fallback;
}

int64_t member_integer(struct member *member, const json_t *object, const char *name, int64_t fallback)
{
    const json_t *value = find(object, name);
    if (value && !json_is_integer(value))
        note(member, name);
    return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool member_boolean(struct member *member, const json_t *object, const char *name, bool fallback)
{
    const json_t *value = find(object, name);
    if (value && !json_is_boolean(value))
        note(member, name);
    return json_is_boolean(value) ? json_is_true(value) : fallback;
}

const json_t *member_object(struct member *member, const json_t *object, const char *name)
{
    const json_t *value = find(object, name);
    if (value && !json_is_object(value))
        note(member, name);
    return json_is_object(value) ? value : NULL;
}

const json_t *member_array(struct member *member, const json_t *object, const char *name)
{
    const json_t *value = find(object, name);
    if (value && !json_is_array(value))
        note(member, name);
    return json_is_array(value) ? value : NULL;
}

const char *member_item(struct member *member, const json_t *array, size_t index, const char *name)
{
    const json_t *value = json_array_get(array, index);
    if (value && !json_is_string(value))
        note(member, name);
    return json_string_value(value);
}
