#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/container_inside.h"
#include "common/docker/member.h"
#include "common/failure.h"

static bool runs(const struct container *c)
{
    return c->state == CONTAINER_RUNNING || c->state == CONTAINER_PAUSED || c->state == CONTAINER_RESTARTING;
}

/* Names, or services of a project, one after the other, as far as there is room. */
static void enumerate(const struct containers *all, const char *project, char *out, size_t room)
{
    size_t used = 0;
    char shown[FAILURE_QUOTE_MAX];
    const char *last = "";
    out[0] = '\0';
    for (size_t i = 0; i < all->count; i++) {
        const char *name = project ? all->items[i].service : all->items[i].name;
        if (!*name || strcmp(name, last) == 0 || (project && strcmp(all->items[i].project, project) != 0))
            continue;
        failure_quote(name, strlen(name), shown);
        if (used + strlen(shown) + 8 > room) {
            snprintf(out + used, room - used, ", ...");
            return;
        }
        used += (size_t)snprintf(out + used, room - used, "%s%s", used ? ", " : "", shown);
        last = name;
    }
}

/* That it is not there was said already: with what is there, the operator sees what was meant. */
static void hint_at_others(struct daemon *daemon, struct cofre_call *call, const char *project,
                           struct cofre_error *error)
{
    CONTAINERS_AUTO all = {.items = NULL};
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    char names[200];
    if (containers_list(daemon, call, &all, &ignored) != COFRE_OK)
        return;
    enumerate(&all, project, names, sizeof names);
    if (!names[0] && project) {
        project = NULL;
        enumerate(&all, NULL, names, sizeof names);
    }
    if (names[0])
        cofre_hint(error, "%s: %s", project ? "services of this project" : "there are", names);
    else
        cofre_hint(error, "there is no container at all");
}

static int32_t find_by_name(struct daemon *daemon, struct cofre_call *call, const char *name, const char *what,
                            struct container *container, struct cofre_error *error)
{
    int32_t class = container_inspect(daemon, call, name, what, container, error);
    if (class == COFRE_E_NOT_FOUND)
        hint_at_others(daemon, call, NULL, error);
    return class;
}

/* ---- PROJECT/SERVICE ---- */

static char *filters_of(const char *project, const char *service)
{
    json_t *one = json_sprintf("com.docker.compose.project=%s", project);
    json_t *two = json_sprintf("com.docker.compose.service=%s", service);
    json_t *filters = json_pack("{s:[o,o]}", "label", one, two);
    char *text = filters ? json_dumps(filters, JSON_COMPACT) : NULL;
    json_decref(filters);
    return text;
}

/* What `docker compose run` has made beside the service, once. */
static bool is_extra(const struct container *c)
{
    struct member m = {.wrong = NULL};
    const json_t *labels = member_object(&m, member_object(&m, c->json, "Config"), "Labels");
    return strcmp(member_text(&m, labels, "com.docker.compose.oneoff", "False"), "True") == 0;
}

/* The filters are the daemon's business: what it lets through is looked at again. */
static bool is_of(const struct container *c, const char *project, const char *service)
{
    return strcmp(c->project, project) == 0 && strcmp(c->service, service) == 0 && !is_extra(c);
}

static int32_t choose(struct daemon *daemon, struct containers *all, const char *project, const char *service,
                      const char *what, struct container *container, struct cofre_error *error)
{
    struct container *chosen = NULL;
    size_t running = 0, matching = 0;
    for (size_t i = 0; i < all->count; i++) {
        struct container *c = &all->items[i];
        if (!is_of(c, project, service))
            continue;
        matching++;
        running += runs(c);
        if (!chosen || (runs(c) && !runs(chosen)))
            chosen = c;
    }
    if (!chosen)
        return daemon_refusal_say(daemon, what, error, COFRE_E_NOT_FOUND, "there is none");
    if (running > 1 || (running == 0 && matching > 1)) {
        daemon_refusal_say(daemon, what, error, COFRE_E_CONFIG, "%zu containers %s", running ? running : matching,
                           running ? "of it run" : "are of it, and none of them runs");
        cofre_hint(error, "say which one, by its name, such as %.100s", chosen->name);
        return COFRE_E_CONFIG;
    }
    /* Moved out of the list. */
    *container = *chosen;
    memset(chosen, 0, sizeof *chosen);
    return COFRE_OK;
}

static int32_t find_by_service(struct daemon *daemon, struct cofre_call *call, const char *project, const char *service,
                               const char *what, struct container *container, struct cofre_error *error)
{
    CONTAINERS_AUTO all = {.items = NULL};
    char *filters = filters_of(project, service);
    if (!filters)
        return daemon_refusal_say(daemon, what, error, COFRE_E_MEMORY, "out of memory");
    int32_t class = container_list(daemon, call, filters, &all, error);
    free(filters);
    if (class == COFRE_OK)
        class = choose(daemon, &all, project, service, what, container, error);
    if (class == COFRE_E_NOT_FOUND)
        hint_at_others(daemon, call, project, error);
    return class;
}

int32_t container_find(struct daemon *daemon, struct cofre_call *call, const char *reference,
                       struct container *container, struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX], what[FAILURE_QUOTE_MAX + 32];
    snprintf(what, sizeof what, "find container '%s'", failure_quote(reference, strlen(reference), shown));
    memset(container, 0, sizeof *container);
    /* The daemon itself puts a slash before its names. */
    reference += reference[0] == '/';
    const char *slash = strchr(reference, '/');
    if (!slash)
        return find_by_name(daemon, call, reference, what, container, error);
    char *project = strndup(reference, (size_t)(slash - reference));
    if (!project)
        return daemon_refusal_say(daemon, what, error, COFRE_E_MEMORY, "out of memory");
    int32_t class = find_by_service(daemon, call, project, slash + 1, what, container, error);
    free(project);
    return class;
}
