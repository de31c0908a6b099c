#include "docker-volume/users.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "docker-volume/user.h"

int32_t users_list(struct daemon *daemon, struct cofre_call *call, struct users *users, struct cofre_error *error)
{
    *users = (struct users){0};
    int32_t status = containers_list(daemon, call, &users->all, error);
    return status == COFRE_OK ? containers_order(&users->all, error) : status;
}

void users_free(struct users *users)
{
    free(users->chosen.items);
    containers_free(&users->all);
    *users = (struct users){0};
}

static bool is_in(const char *directory, const char *path)
{
    size_t n = strlen(directory);
    return n > 0 && strncmp(path, directory, n) == 0 && (path[n] == '\0' || path[n] == '/');
}

bool users_is_one(const struct container *container, const char *volume, const char *directory)
{
    if (container_mounts(container, volume))
        return true;
    for (size_t i = 0; i < container->mount_count; i++)
        if (container->mounts[i].source && is_in(directory, container->mounts[i].source))
            return true;
    return false;
}

static bool is_chosen(const struct users *users, const struct container *container)
{
    for (size_t i = 0; i < users->chosen.count; i++)
        if (strcmp(users->chosen.items[i].id, container->id) == 0)
            return true;
    return false;
}

int32_t users_choose(struct users *users, const char *volume, const char *directory, struct cofre_error *error)
{
    /* All of them, or the order of dependencies would be that of the volumes. */
    struct container *items = calloc(users->all.count + 1, sizeof *items);
    size_t count = 0;
    if (!items)
        return cofre_fail_errno(error, ENOMEM, "find the containers that use volume '%s'", volume);
    for (size_t i = 0; i < users->all.count; i++) {
        const struct container *c = &users->all.items[i];
        if (is_chosen(users, c) || users_is_one(c, volume, directory))
            items[count++] = *c;
    }
    free(users->chosen.items);
    users->chosen = (struct containers){.items = items, .count = count};
    return COFRE_OK;
}

/* Why it cannot be stopped for a while; NULL: it can, or need not be. */
static const char *obstacle(const struct container *c, const char **hint)
{
    *hint = "let it run (docker unpause), or stop it";
    if (c->state == CONTAINER_PAUSED)
        return "is paused, and would go on with the old content";
    *hint = "stop it, and start it anew after the restore";
    if (user_runs(c) && c->removed_when_stopped)
        return "would be removed when it is stopped (--rm)";
    *hint = "restore from outside of it, or into another volume with --set volume=OTHER";
    return user_runs(c) && user_is_self(c) ? "is the one that cofre runs in" : NULL;
}

int32_t users_refuse(const struct users *users, const char *volume, const char *directory, struct cofre_error *error)
{
    for (size_t i = 0; i < users->all.count; i++) {
        const struct container *c = &users->all.items[i];
        const char *hint, *why = obstacle(c, &hint);
        if (!why || !users_is_one(c, volume, directory))
            continue;
        int32_t class = cofre_fail(error, COFRE_E_BUSY, "replace the content of volume '%s': container '%s' %s", volume,
                                   c->name, why);
        cofre_hint(error, "%s", hint);
        return class;
    }
    return COFRE_OK;
}

const struct container *users_running(const struct users *users, const char *volume, const char *directory)
{
    for (size_t i = 0; i < users->all.count; i++) {
        const struct container *c = &users->all.items[i];
        if ((user_runs(c) || c->state == CONTAINER_PAUSED) && users_is_one(c, volume, directory))
            return c;
    }
    return NULL;
}

void users_names(const struct containers *containers, bool (*which)(const struct container *), char *out, size_t size)
{
    size_t at = 0, left = 0;
    out[0] = '\0';
    for (size_t i = 0; i < containers->count; i++) {
        const struct container *c = &containers->items[i];
        if (!which(c))
            continue;
        int n = snprintf(out + at, size - at, "%s%s", at ? ", " : "", c->name);
        /* Room for the count of those that do not fit. */
        if (n < 0 || at + (size_t)n + 24 >= size) {
            out[at] = '\0';
            left++;
            continue;
        }
        at += (size_t)n;
    }
    if (left)
        snprintf(out + at, size - at, " and %zu more", left);
}
