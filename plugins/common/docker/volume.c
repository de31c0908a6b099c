#include "common/docker/volume.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/daemon_inside.h"
#include "common/docker/member.h"
#include "common/failure.h"

#define VOLUMES_MAX 65536u

bool volume_is_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= VOLUME_NAME_MAX && name[0] != '.' && !strchr(name, '/');
}

static const char *name_for(const char *verb, const char *name, char *what, size_t room)
{
    char shown[FAILURE_QUOTE_MAX];
    snprintf(what, room, "%s volume '%s'", verb, failure_quote(name, strlen(name), shown));
    return what;
}

/* ---- reading ---- */

/* json: taken, whatever comes of it. */
static int32_t read_volume(struct daemon *daemon, const char *what, json_t *json, struct volume *volume,
                           struct cofre_error *error)
{
    struct member m = {.wrong = NULL};
    char shown[FAILURE_QUOTE_MAX];
    const json_t *options = member_object(&m, json, "Options"), *labels = member_object(&m, json, "Labels");
    *volume = (struct volume){.json = json,
                              .name = member_text(&m, json, "Name", ""),
                              .driver = member_text(&m, json, "Driver", ""),
                              .mountpoint = member_text(&m, json, "Mountpoint", ""),
                              .project = member_text(&m, labels, "com.docker.compose.project", "")};
    volume->plain = strcmp(volume->driver, "local") == 0 && json_object_size(options) == 0;
    int32_t class = COFRE_OK;
    if (m.wrong)
        class = daemon_refusal_say(daemon, what, error, COFRE_E_PERMANENT,
                                   "'%s' of its answer is not what the API says", m.wrong);
    else if (!volume_is_name(volume->name))
        class = daemon_refusal_say(daemon, what, error, COFRE_E_PERMANENT, "'%.100s' can be no name of a volume",
                                   failure_quote(volume->name, strlen(volume->name), shown));
    if (class != COFRE_OK)
        volume_free(volume);
    return class;
}

void volume_free(struct volume *volume)
{
    json_decref(volume->json);
    memset(volume, 0, sizeof *volume);
}

int32_t volume_look(struct daemon *daemon, struct cofre_call *call, const char *name, struct volume *volume,
                    struct cofre_error *error)
{
    char what[FAILURE_QUOTE_MAX + 32];
    json_t *json = NULL;
    memset(volume, 0, sizeof *volume);
    name_for("look at", name, what, sizeof what);
    if (!volume_is_name(name))
        return daemon_refusal_say(daemon, what, error, COFRE_E_NOT_FOUND, "no volume can have that name");
    const struct daemon_request request = {
        .method = "GET", .path = "/volumes/%s", .segments = DAEMON_WORDS(name), .what = what};
    int32_t class = daemon_ask(daemon, call, &request, &json, error);
    return class == COFRE_OK ? read_volume(daemon, what, json, volume, error) : class;
}

static int by_name(const void *a, const void *b)
{
    const struct volume *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* A list that says a thing twice: it is one. Sorted before. */
static void drop_repeated(struct volumes *volumes)
{
    size_t kept = 0;
    for (size_t i = 0; i < volumes->count; i++) {
        if (kept > 0 && strcmp(volumes->items[kept - 1].name, volumes->items[i].name) == 0)
            volume_free(&volumes->items[i]);
        else
            volumes->items[kept++] = volumes->items[i];
    }
    volumes->count = kept;
}

static int32_t read_all(struct daemon *daemon, const char *what, const json_t *list, struct volumes *volumes,
                        struct cofre_error *error)
{
    size_t count = json_array_size(list);
    if (count > VOLUMES_MAX)
        return daemon_refusal_say(daemon, what, error, COFRE_E_UNSUPPORTED, "it has more than %u", VOLUMES_MAX);
    volumes->items = calloc(count ? count : 1, sizeof *volumes->items);
    if (!volumes->items)
        return daemon_refusal_say(daemon, what, error, COFRE_E_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_incref(json_array_get(list, i));
        int32_t class = read_volume(daemon, what, item, &volumes->items[volumes->count], error);
        if (class != COFRE_OK)
            return class;
        volumes->count++;
    }
    qsort(volumes->items, volumes->count, sizeof *volumes->items, by_name);
    drop_repeated(volumes);
    return COFRE_OK;
}

int32_t volumes_list(struct daemon *daemon, struct cofre_call *call, struct volumes *volumes, struct cofre_error *error)
{
    const struct daemon_request request = {.method = "GET", .path = "/volumes", .what = "list volumes"};
    struct member m = {.wrong = NULL};
    json_t *answer = NULL;
    memset(volumes, 0, sizeof *volumes);
    int32_t class = daemon_ask(daemon, call, &request, &answer, error);
    if (class != COFRE_OK)
        return class;
    const json_t *list = member_array(&m, answer, "Volumes");
    if (m.wrong || !json_is_object(answer))
        class = daemon_refusal_say(daemon, request.what, error, COFRE_E_PERMANENT,
                                   "'Volumes' of its answer is not what the API says");
    else
        class = read_all(daemon, request.what, list, volumes, error);
    json_decref(answer);
    if (class != COFRE_OK)
        volumes_free(volumes);
    return class;
}

void volumes_free(struct volumes *volumes)
{
    for (size_t i = 0; i < volumes->count; i++)
        volume_free(&volumes->items[i]);
    free(volumes->items);
    memset(volumes, 0, sizeof *volumes);
}

/* ---- making and removing ---- */

/* The one that asks to be made: inspect calls Options what create calls DriverOpts. NULL: out of memory. */
static json_t *body_of(const char *name, const json_t *description)
{
    json_t *body = json_object(), *options = json_object_get(description, "DriverOpts");
    json_t *driver = json_object_get(description, "Driver"), *labels = json_object_get(description, "Labels");
    if (!json_is_object(options))
        options = json_object_get(description, "Options");
    int failed = json_object_set_new(body, "Name", json_string(name));
    if (json_is_string(driver))
        failed |= json_object_set(body, "Driver", driver);
    if (json_is_object(options))
        failed |= json_object_set(body, "DriverOpts", options);
    if (json_is_object(labels))
        failed |= json_object_set(body, "Labels", labels);
    if (!failed)
        return body;
    json_decref(body);
    return NULL;
}

/* The daemon gives the one that is there when it is asked to make another. */
static int32_t is_free(struct daemon *daemon, struct cofre_call *call, const char *name, const char *what,
                       struct cofre_error *error)
{
    VOLUME_AUTO there = {.json = NULL};
    int32_t class = volume_look(daemon, call, name, &there, error);
    if (class == COFRE_OK)
        return daemon_refusal_say(daemon, what, error, COFRE_E_EXISTS, "it is there already");
    return class == COFRE_E_NOT_FOUND ? COFRE_OK : class;
}

int32_t volume_make(struct daemon *daemon, struct cofre_call *call, const char *name, const json_t *description,
                    struct volume *volume, struct cofre_error *error)
{
    char what[FAILURE_QUOTE_MAX + 32];
    json_t *answer = NULL;
    memset(volume, 0, sizeof *volume);
    name_for("make", name, what, sizeof what);
    if (!volume_is_name(name))
        return daemon_refusal_say(daemon, what, error, COFRE_E_CONFIG, "no volume can have that name");
    int32_t class = is_free(daemon, call, name, what, error);
    if (class != COFRE_OK)
        return class;
    json_t *body = body_of(name, description);
    if (!body)
        return daemon_refusal_say(daemon, what, error, COFRE_E_MEMORY, "out of memory");
    const struct daemon_request request = {.method = "POST", .path = "/volumes/create", .body = body, .what = what};
    class = daemon_ask(daemon, call, &request, &answer, error);
    json_decref(body);
    if (class == COFRE_OK)
        class = read_volume(daemon, what, answer, volume, error);
    if (class == COFRE_OK && strcmp(volume->name, name) != 0) {
        volume_free(volume);
        class = daemon_refusal_say(daemon, what, error, COFRE_E_PERMANENT, "it made another one");
    }
    return class;
}

int32_t volume_remove(struct daemon *daemon, struct cofre_call *call, const char *name, struct cofre_error *error)
{
    char what[FAILURE_QUOTE_MAX + 32];
    name_for("remove", name, what, sizeof what);
    if (!volume_is_name(name))
        return COFRE_OK;
    const struct daemon_request request = {
        .method = "DELETE", .path = "/volumes/%s", .segments = DAEMON_WORDS(name), .what = what};
    int32_t class = daemon_ask(daemon, call, &request, NULL, error);
    return class == COFRE_E_NOT_FOUND ? COFRE_OK : class;
}
