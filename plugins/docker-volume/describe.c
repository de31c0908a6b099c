#include "docker-volume/describe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "docker-volume/layout.h"
#include "docker-volume/say.h"
#include "docker-volume/sheet.h"
#include "docker-volume/user.h"

#define FACT_KEY_MAX 255

/* ---- what lasts ---- */

/* Of a network: what was asked for, not what came of it. */
static json_t *lasting_network(json_t *network)
{
    static const char *const members[] = {"IPAMConfig", "Links", "Aliases", "DriverOpts"};
    json_t *lasting = json_object();
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        json_t *member = json_object_get(network, members[i]);
        if (member && json_object_set(lasting, members[i], member) != 0) {
            json_decref(lasting);
            return NULL;
        }
    }
    return lasting;
}

static json_t *lasting_networks(json_t *networks)
{
    const char *name;
    json_t *network, *lasting = json_object();
    json_object_foreach(networks, name, network)
    {
        if (json_object_set_new(lasting, name, lasting_network(network)) != 0) {
            json_decref(lasting);
            return NULL;
        }
    }
    return lasting;
}

static int by_destination(const void *a, const void *b)
{
    const char *x = json_string_value(json_object_get(*(json_t *const *)a, "Destination"));
    const char *y = json_string_value(json_object_get(*(json_t *const *)b, "Destination"));
    return strcmp(x ? x : "", y ? y : "");
}

/* The daemon lists them in another order each time. */
static json_t *lasting_mounts(const json_t *mounts)
{
    size_t count = json_array_size(mounts);
    json_t *lasting = json_array(), **items = calloc(count + 1, sizeof *items);
    bool whole = lasting && items;
    for (size_t i = 0; whole && i < count; i++)
        items[i] = json_array_get(mounts, i);
    if (whole && count > 0)
        qsort(items, count, sizeof *items, by_destination);
    for (size_t i = 0; whole && i < count; i++)
        whole = json_array_append(lasting, items[i]) == 0;
    free(items);
    if (whole)
        return lasting;
    json_decref(lasting);
    return NULL;
}

json_t *describe_container(const struct container *container, const char *digest)
{
    static const char *const members[] = {"Id",     "Name",   "Created",    "Path",     "Args", "Image",
                                          "Driver", "Config", "HostConfig", "Platform", "Pod"};
    json_t *lasting = json_object(), *settings = json_object_get(container->json, "NetworkSettings");
    json_t *networks = json_object_get(settings, "Networks");
    bool whole = lasting && json_object_set_new(lasting, "ImageDigest", json_string(digest)) == 0;
    for (size_t i = 0; whole && i < sizeof members / sizeof members[0]; i++) {
        json_t *member = json_object_get(container->json, members[i]);
        whole = !member || json_object_set(lasting, members[i], member) == 0;
    }
    if (whole)
        whole = json_object_set_new(lasting, "Mounts", lasting_mounts(json_object_get(container->json, "Mounts"))) == 0;
    if (whole && networks)
        whole = json_object_set_new(lasting, "Networks", lasting_networks(networks)) == 0;
    if (whole)
        return lasting;
    json_decref(lasting);
    return NULL;
}

static json_t *object_of(const json_t *json, const char *name)
{
    json_t *member = json_object_get(json, name);
    return json_is_object(member) ? json_incref(member) : json_object();
}

json_t *describe_volume(const struct volume *volume)
{
    const char *scope = json_string_value(json_object_get(volume->json, "Scope"));
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "Name", volume->name, "Driver", volume->driver, "Scope",
                     scope ? scope : "", "DriverOpts", object_of(volume->json, "Options"), "Labels",
                     object_of(volume->json, "Labels"));
}

/* ---- sheets ---- */

static int32_t out_of_memory(struct cofre_error *error)
{
    return cofre_fail_errno(error, ENOMEM, "describe the volumes");
}

/* json is taken over. */
static int32_t add_json(struct sheets *sheets, const char *folder, const char *name, json_t *json,
                        struct cofre_error *error)
{
    char *path = NULL, *text = json ? json_dumps(json, JSON_SORT_KEYS | JSON_INDENT(2)) : NULL;
    json_decref(json);
    if (!text || asprintf(&path, "%s/%s.json", folder, name) < 0) {
        free(text);
        return out_of_memory(error);
    }
    int32_t status = sheets_add_text(sheets, path, text, error);
    free(path);
    return status;
}

static int32_t say_image(struct cofre_call *call, const struct container *container, const char *digest,
                         struct cofre_error *error)
{
    char key[FACT_KEY_MAX + 1];
    int n = snprintf(key, sizeof key, "image.%s", container->name);
    return n > FACT_KEY_MAX ? COFRE_OK : cofre->fact(call, key, digest, 0, error);
}

static int32_t add_container(const struct source *source, struct cofre_call *call, const struct container *container,
                             struct sheets *sheets, struct cofre_error *error)
{
    char digest[CONTAINER_DIGEST_MAX];
    if (!volume_is_name(container->name)) {
        say_log(call, COFRE_LOG_WARNING, "container '%.100s': its description is not kept: it has an odd name",
                container->name);
        return COFRE_OK;
    }
    int32_t status = container_digest(source->daemon, call, container, digest, error);
    if (status == COFRE_OK)
        status = say_image(call, container, digest, error);
    if (status == COFRE_OK)
        status = add_json(sheets, LAYOUT_CONTAINERS, container->name, describe_container(container, digest), error);
    if (status == COFRE_OK && source->options->compose_files && daemon_is_local(source->daemon))
        status = sheets_add_compose(sheets, call, container, error);
    return status;
}

static int32_t gather(const struct source *source, struct cofre_call *call, const struct survey *survey,
                      struct sheets *sheets, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < survey->containers.count; i++)
        if (user_mounts_any(survey, &survey->containers.items[i]))
            status = add_container(source, call, &survey->containers.items[i], sheets, error);
    for (size_t i = 0; status == COFRE_OK && i < survey->volumes.count; i++) {
        const struct volume *v = &survey->volumes.items[i];
        if (survey->chosen[i])
            status = add_json(sheets, LAYOUT_VOLUMES, v->name, describe_volume(v), error);
    }
    return status;
}

int32_t describe_send(const struct source *source, struct cofre_call *call, const struct survey *survey,
                      struct cofre_error *error)
{
    SHEETS_AUTO sheets = {.items = NULL};
    int32_t status = gather(source, call, survey, &sheets, error);
    return status == COFRE_OK ? sheets_send(&sheets, call, error) : status;
}
