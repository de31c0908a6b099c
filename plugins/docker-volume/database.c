#include "docker-volume/database.h"

#include <string.h>

#include "docker-volume/order.h"

#define USER_MAX 63
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

/* The variables are set by the images themselves: POSTGRES_PASSWORD and the like are in many a client, too. */
static const struct database kinds[] = {
    {.plugin = "postgres",
     .what = "PostgreSQL",
     .programs = (const char *const[]){"postgres", NULL},
     .variables = (const char *const[]){"PGDATA", "PG_MAJOR", "PG_VERSION", NULL},
     .images = (const char *const[]){"postgres", "postgresql", "postgis", "timescaledb", "pgvector", NULL},
     .places = (const char *const[]){"/var/lib/postgresql/data", "/bitnami/postgresql", NULL},
     .port = "5432/tcp",
     .place_variable = "PGDATA",
     .user_variable = "POSTGRES_USER",
     .user = "postgres"},
    {.plugin = "redis",
     .what = "Redis",
     .programs = (const char *const[]){"redis-server", "valkey-server", NULL},
     .variables = (const char *const[]){"REDIS_VERSION", "VALKEY_VERSION", NULL},
     .images = (const char *const[]){"redis", "valkey", NULL},
     .places = (const char *const[]){"/data", "/var/lib/redis", "/var/lib/valkey", "/bitnami/redis/data", NULL},
     .port = "6379/tcp"},
};

static json_t *config(const struct container *c, const char *member)
{
    return json_object_get(json_object_get(c->json, "Config"), member);
}

/* The value of a variable; NULL = it is not set. */
static const char *variable(const struct container *c, const char *name)
{
    size_t i, length = strlen(name);
    json_t *item;
    json_array_foreach(config(c, "Env"), i, item)
    {
        const char *text = json_string_value(item);
        if (text && strncmp(text, name, length) == 0 && text[length] == '=')
            return text + length + 1;
    }
    return NULL;
}

static bool is_one_of(const char *text, size_t length, const char *const *list)
{
    for (; *list; list++)
        if (strlen(*list) == length && memcmp(*list, text, length) == 0)
            return true;
    return false;
}

/* REGISTRY/PATH/NAME:TAG@DIGEST */
static bool has_image(const struct container *c, const char *const *images)
{
    const char *slash = strrchr(c->image, '/'), *base = slash ? slash + 1 : c->image;
    return is_one_of(base, strcspn(base, ":@"), images);
}

static bool has_word(const json_t *words, const char *const *programs)
{
    size_t i;
    json_t *item;
    json_array_foreach(words, i, item)
    {
        const char *text = json_string_value(item), *slash = text ? strrchr(text, '/') : NULL;
        const char *base = slash ? slash + 1 : text;
        if (base && is_one_of(base, strlen(base), programs))
            return true;
    }
    return false;
}

static bool is_kind(const struct container *c, const struct database *d)
{
    for (const char *const *name = d->variables; *name; name++)
        if (variable(c, *name))
            return true;
    return has_image(c, d->images) || has_word(config(c, "Cmd"), d->programs) ||
           has_word(config(c, "Entrypoint"), d->programs) || json_object_get(config(c, "ExposedPorts"), d->port);
}

const struct database *database_find(const struct container *container)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (is_kind(container, &kinds[i]))
            return &kinds[i];
    return NULL;
}

static bool is_in(const char *place, const char *destination)
{
    return strcmp(place, destination) == 0 || order_is_below(place, destination);
}

bool database_has_data(const struct database *database, const struct container *container, const char *volume)
{
    const char *own = database->place_variable ? variable(container, database->place_variable) : NULL;
    for (size_t i = 0; i < container->mount_count; i++) {
        const struct container_mount *m = &container->mounts[i];
        if (!m->volume || strcmp(m->volume, volume) != 0)
            continue;
        if (own && is_in(own, m->destination))
            return true;
        for (const char *const *place = database->places; *place; place++)
            if (is_in(*place, m->destination) || is_in(m->destination, *place))
                return true;
    }
    return false;
}

const char *database_user(const struct database *database, const struct container *container)
{
    const char *user = database->user_variable ? variable(container, database->user_variable) : NULL;
    size_t length = user ? strlen(user) : 0;
    if (length == 0)
        return database->user;
    return length <= USER_MAX && strspn(user, PLAIN) == length ? user : NULL;
}
