#include "common/docker/container.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/container_inside.h"
#include "common/docker/member.h"
#include "common/failure.h"

/* ---- reading what inspect says ---- */

/* The first name of each state is ours; the others are Podman's. */
static const struct {
    const char *name;
    enum container_state state;
} states[] = {
    {"created", CONTAINER_CREATED},     {"running", CONTAINER_RUNNING},
    {"paused", CONTAINER_PAUSED},       {"restarting", CONTAINER_RESTARTING},
    {"exited", CONTAINER_EXITED},       {"removing", CONTAINER_REMOVING},
    {"dead", CONTAINER_DEAD},           {"configured", CONTAINER_CREATED},
    {"initialized", CONTAINER_CREATED}, {"stopped", CONTAINER_EXITED},
    {"stopping", CONTAINER_RUNNING},
};

const char *container_state_name(enum container_state state)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (states[i].state == state)
            return states[i].name;
    return "in no known state";
}

static bool read_state(const char *text, enum container_state *state)
{
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (strcmp(states[i].name, text) == 0) {
            *state = states[i].state;
            return true;
        }
    return false;
}

static enum container_health read_health(const char *text)
{
    static const char *const names[] = {
        [HEALTH_STARTING] = "starting", [HEALTH_HEALTHY] = "healthy", [HEALTH_UNHEALTHY] = "unhealthy"};
    for (size_t i = HEALTH_STARTING; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(names[i], text) == 0)
            return (enum container_health)i;
    return HEALTH_NONE;
}

static void read_running(struct member *m, struct container *c)
{
    const json_t *state = member_object(m, c->json, "State");
    const json_t *health = member_object(m, state, "Health");
    int64_t pid = member_integer(m, state, "Pid", 0);
    c->pid = pid > 0 && pid <= INT_MAX ? pid : 0;
    c->started_at = member_text(m, state, "StartedAt", "");
    c->health = read_health(member_text(m, health, "Status", ""));
    if (!read_state(member_text(m, state, "Status", ""), &c->state) && !m->wrong)
        m->wrong = "State.Status";
}

static void read_mount(struct member *m, const json_t *item, struct container_mount *mount)
{
    const char *name = member_text(m, item, "Name", ""), *type = member_text(m, item, "Type", "");
    mount->volume = *name && strcmp(type, "volume") == 0 ? name : NULL;
    mount->source = member_text(m, item, "Source", "");
    mount->destination = member_text(m, item, "Destination", "");
    mount->writable = member_boolean(m, item, "RW", true);
    if (!json_is_object(item) && !m->wrong)
        m->wrong = "Mounts";
}

static bool read_mounts(struct member *m, struct container *c)
{
    const json_t *mounts = member_array(m, c->json, "Mounts");
    size_t count = json_array_size(mounts);
    c->mounts = calloc(count ? count : 1, sizeof *c->mounts);
    for (size_t i = 0; c->mounts && i < count; i++)
        read_mount(m, json_array_get(mounts, i), &c->mounts[c->mount_count++]);
    return c->mounts != NULL;
}

static void read_text(struct member *m, struct container *c)
{
    const json_t *config = member_object(m, c->json, "Config"), *host = member_object(m, c->json, "HostConfig");
    const json_t *labels = member_object(m, config, "Labels");
    c->id = member_text(m, c->json, "Id", "");
    c->name = member_text(m, c->json, "Name", "");
    c->name += c->name[0] == '/';
    c->image = member_text(m, config, "Image", "");
    c->image_id = member_text(m, c->json, "Image", "");
    c->project = member_text(m, labels, "com.docker.compose.project", "");
    c->service = member_text(m, labels, "com.docker.compose.service", "");
    c->during = member_text(m, labels, "cofre.during", "");
    c->network_mode = member_text(m, host, "NetworkMode", "");
    c->removed_when_stopped = member_boolean(m, host, "AutoRemove", false);
}

/* Paths of ours and of the kernel's are made of it. */
static bool is_id(const char *id)
{
    size_t n = strspn(id, "0123456789abcdef");
    return n >= 12 && n <= 128 && id[n] == '\0';
}

/* json: taken, whatever comes of it. */
static int32_t read_container(struct daemon *daemon, const char *what, json_t *json, struct container *c,
                              struct cofre_error *error)
{
    struct member m = {.wrong = NULL};
    memset(c, 0, sizeof *c);
    c->json = json;
    read_text(&m, c);
    read_running(&m, c);
    if (!read_mounts(&m, c)) {
        container_free(c);
        return daemon_refusal_say(daemon, what, error, COFRE_E_MEMORY, "out of memory");
    }
    if (!m.wrong && !is_id(c->id))
        m.wrong = "Id";
    if (!m.wrong)
        return COFRE_OK;
    container_free(c);
    return daemon_refusal_say(daemon, what, error, COFRE_E_PERMANENT, "'%s' of its answer is not what the API says",
                              m.wrong);
}

void container_free(struct container *container)
{
    free(container->mounts);
    json_decref(container->json);
    memset(container, 0, sizeof *container);
}

int32_t container_inspect(struct daemon *daemon, struct cofre_call *call, const char *name, const char *what,
                          struct container *container, struct cofre_error *error)
{
    const struct daemon_request request = {
        .method = "GET", .path = "/containers/%s/json", .segments = DAEMON_WORDS(name), .what = what};
    json_t *json = NULL;
    memset(container, 0, sizeof *container);
    int32_t class = daemon_ask(daemon, call, &request, &json, error);
    return class == COFRE_OK ? read_container(daemon, what, json, container, error) : class;
}

int32_t container_look(struct daemon *daemon, struct cofre_call *call, const char *id, struct container *container,
                       struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX], what[FAILURE_QUOTE_MAX + 32];
    snprintf(what, sizeof what, "look at container '%s'", failure_quote(id, strlen(id), shown));
    return container_inspect(daemon, call, id, what, container, error);
}

const struct container_mount *container_mounts(const struct container *container, const char *volume)
{
    for (size_t i = 0; i < container->mount_count; i++)
        if (container->mounts[i].volume && strcmp(container->mounts[i].volume, volume) == 0)
            return &container->mounts[i];
    return NULL;
}

/* ---- all of them ---- */

static int by_name(const void *a, const void *b)
{
    const struct container *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : strcmp(x->id, y->id);
}

/* A list that says a thing twice: it is one. Sorted before. */
static void drop_repeated(struct containers *containers)
{
    size_t kept = 0;
    for (size_t i = 0; i < containers->count; i++) {
        if (kept > 0 && strcmp(containers->items[kept - 1].id, containers->items[i].id) == 0)
            container_free(&containers->items[i]);
        else
            containers->items[kept++] = containers->items[i];
    }
    containers->count = kept;
}

/* Of the list only the ids are believed: inspect says the rest, in one form. */
static int32_t look_at_all(struct daemon *daemon, struct cofre_call *call, const json_t *list,
                           struct containers *containers, struct cofre_error *error)
{
    size_t count = json_array_size(list);
    for (size_t i = 0; i < count; i++) {
        struct member m = {.wrong = NULL};
        const char *id = member_text(&m, json_array_get(list, i), "Id", "");
        if (m.wrong || !is_id(id))
            return daemon_refusal_say(daemon, "list containers", error, COFRE_E_PERMANENT,
                                      "'Id' of its answer is not what the API says");
        int32_t class = container_look(daemon, call, id, &containers->items[containers->count], error);
        if (class != COFRE_OK && class != COFRE_E_NOT_FOUND)
            return class;
        containers->count += class == COFRE_OK;
    }
    return COFRE_OK;
}

int32_t container_list(struct daemon *daemon, struct cofre_call *call, const char *filters,
                       struct containers *containers, struct cofre_error *error)
{
    const char *const query[] = {"all", "true", filters ? "filters" : NULL, filters, NULL};
    const struct daemon_request request = {
        .method = "GET", .path = "/containers/json", .query = query, .what = "list containers"};
    json_t *list = NULL;
    memset(containers, 0, sizeof *containers);
    int32_t class = daemon_ask(daemon, call, &request, &list, error);
    size_t count = json_array_size(list);
    if (class == COFRE_OK && !json_is_array(list))
        class = daemon_refusal_say(daemon, request.what, error, COFRE_E_PERMANENT, "its answer is no list");
    if (class == COFRE_OK && count > CONTAINERS_MAX)
        class =
            daemon_refusal_say(daemon, request.what, error, COFRE_E_UNSUPPORTED, "it has more than %u", CONTAINERS_MAX);
    if (class == COFRE_OK && !(containers->items = calloc(count ? count : 1, sizeof *containers->items)))
        class = daemon_refusal_say(daemon, request.what, error, COFRE_E_MEMORY, "out of memory");
    if (class == COFRE_OK)
        class = look_at_all(daemon, call, list, containers, error);
    json_decref(list);
    if (class != COFRE_OK) {
        containers_free(containers);
        return class;
    }
    qsort(containers->items, containers->count, sizeof *containers->items, by_name);
    drop_repeated(containers);
    return COFRE_OK;
}

int32_t containers_list(struct daemon *daemon, struct cofre_call *call, struct containers *containers,
                        struct cofre_error *error)
{
    return container_list(daemon, call, NULL, containers, error);
}

void containers_free(struct containers *containers)
{
    for (size_t i = 0; i < containers->count; i++)
        container_free(&containers->items[i]);
    free(containers->items);
    memset(containers, 0, sizeof *containers);
}
