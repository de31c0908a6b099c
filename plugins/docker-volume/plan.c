#include "docker-volume/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "docker-volume/layout.h"

#define BYTES_MAX ((size_t)1 << 20)
#define VOLUMES_MAX 10000
#define SUFFIX ".json"

void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++)
        json_decref(plan->items[i].description);
    free(plan->items);
    *plan = (struct plan){0};
}

bool plan_is_description(const char *path, size_t length, char name[VOLUME_NAME_MAX + 1])
{
    static const char begin[] = LAYOUT_VOLUMES "/";
    size_t head = sizeof begin - 1, tail = sizeof SUFFIX - 1;
    if (length <= head + tail || strncmp(path, begin, head) != 0 || strcmp(path + length - tail, SUFFIX) != 0)
        return false;
    size_t n = length - head - tail;
    if (n > VOLUME_NAME_MAX)
        return false;
    memcpy(name, path + head, n);
    name[n] = '\0';
    return volume_is_name(name);
}

struct plan_volume *plan_find(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->count; i++)
        if (strcmp(plan->items[i].name, name) == 0)
            return &plan->items[i];
    return NULL;
}

static int32_t add(struct plan *plan, const char *name, json_t *description, struct cofre_error *error)
{
    struct plan_volume *items =
        plan->count < VOLUMES_MAX ? realloc(plan->items, (plan->count + 1) * sizeof *items) : NULL;
    if (!items) {
        json_decref(description);
        return cofre_fail_errno(error, plan->count < VOLUMES_MAX ? ENOMEM : E2BIG,
                                "take the description of volume '%s'", name);
    }
    plan->items = items;
    struct plan_volume *item = &items[plan->count++];
    *item = (struct plan_volume){.description = description};
    snprintf(item->name, sizeof item->name, "%s", name);
    return COFRE_OK;
}

/* All of the content. */
static int32_t take(struct cofre_call *call, const char *name, char *text, size_t *length, struct cofre_error *error)
{
    const void *bytes;
    uint64_t n;
    int32_t status;
    *length = 0;
    while ((status = cofre->take(call, &bytes, &n, error)) == COFRE_OK) {
        if (!bytes || n > BYTES_MAX - *length)
            return cofre_fail(error, COFRE_E_INTEGRITY, "take the description of volume '%s': it is too large", name);
        memcpy(text + *length, bytes, (size_t)n);
        *length += (size_t)n;
    }
    return status == COFRE_END ? COFRE_OK : status;
}

int32_t plan_take(struct plan *plan, struct cofre_call *call, const char *name, struct cofre_error *error)
{
    json_error_t why;
    size_t length;
    char *text = malloc(BYTES_MAX);
    if (!text)
        return cofre_fail_errno(error, ENOMEM, "take the description of volume '%s'", name);
    int32_t status = take(call, name, text, &length, error);
    json_t *json = status == COFRE_OK ? json_loadb(text, length, JSON_REJECT_DUPLICATES, &why) : NULL;
    free(text);
    if (status != COFRE_OK)
        return status;
    if (json_is_object(json))
        return add(plan, name, json, error);
    json_decref(json);
    return cofre_fail(error, COFRE_E_INTEGRITY, "take the description of volume '%s': it is no JSON object", name);
}

int32_t plan_fact(struct cofre_call *call, const char *key, const char *volume, bool *found, uint64_t *value,
                  struct cofre_error *error)
{
    const char *name, *text;
    size_t n = strlen(key);
    *found = false;
    for (uint64_t i = 0;; i++) {
        int32_t status = cofre->recorded(call, i, &name, &text, error);
        if (status != COFRE_OK)
            return status == COFRE_END ? COFRE_OK : status;
        if (strncmp(name, key, n) == 0 && strcmp(name + n, volume) == 0) {
            *found = sscanf(text, "%" SCNu64, value) == 1;
            return COFRE_OK;
        }
    }
}
