#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/container_inside.h"
#include "common/docker/member.h"
#include "common/failure.h"

#define STOP_DEFAULT 10    /* s, of the daemon */
#define STOP_MOST 31536000 /* s: a year, so that it can be counted in ms */

struct change {
    const char *verb, *path;
    const char *const *query;
    enum container_state wanted;
    int64_t patience;
};

/* Was it so already? Some daemons say that with an error, and not all of them with the same. */
static bool is_so(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                  enum container_state wanted)
{
    CONTAINER_AUTO now = {.json = NULL};
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    return container_look(daemon, call, container->id, &now, &ignored) == COFRE_OK && now.state == wanted;
}

static int32_t change(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                      const struct change *change, struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX], what[FAILURE_QUOTE_MAX + 32];
    snprintf(what, sizeof what, "%s container '%s'", change->verb,
             failure_quote(container->name, strlen(container->name), shown));
    const struct daemon_request request = {.method = "POST",
                                           .path = change->path,
                                           .segments = DAEMON_WORDS(container->id),
                                           .query = change->query,
                                           .what = what,
                                           .patience = change->patience};
    int32_t class = daemon_ask(daemon, call, &request, NULL, error);
    if (class == COFRE_E_PERMANENT && error->code[0] && is_so(daemon, call, container, change->wanted))
        return COFRE_OK;
    return class;
}

int32_t container_start(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                        struct cofre_error *error)
{
    return change(daemon, call, container,
                  &(const struct change){.verb = "start", .path = "/containers/%s/start", .wanted = CONTAINER_RUNNING},
                  error);
}

/* How long the container itself wants to be waited for. */
static int64_t own_timeout(const struct container *container)
{
    struct member m = {.wrong = NULL};
    int64_t own = member_integer(&m, member_object(&m, container->json, "Config"), "StopTimeout", STOP_DEFAULT);
    return own < 0 || own > STOP_MOST ? STOP_MOST : own;
}

int32_t container_stop(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                       int64_t timeout, struct cofre_error *error)
{
    char text[32];
    int64_t seconds = timeout < 0 ? own_timeout(container) : timeout > STOP_MOST ? STOP_MOST : timeout;
    snprintf(text, sizeof text, "%lld", (long long)seconds);
    const char *const query[] = {timeout < 0 ? NULL : "t", text, NULL};
    return change(daemon, call, container,
                  &(const struct change){.verb = "stop",
                                         .path = "/containers/%s/stop",
                                         .query = query,
                                         .wanted = CONTAINER_EXITED,
                                         .patience = seconds * 1000 + daemon->patience},
                  error);
}

int32_t container_pause(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                        struct cofre_error *error)
{
    return change(daemon, call, container,
                  &(const struct change){.verb = "pause", .path = "/containers/%s/pause", .wanted = CONTAINER_PAUSED},
                  error);
}

int32_t container_unpause(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                          struct cofre_error *error)
{
    return change(
        daemon, call, container,
        &(const struct change){.verb = "unpause", .path = "/containers/%s/unpause", .wanted = CONTAINER_RUNNING},
        error);
}

/* ---- its image ---- */

/* The part behind the '@' of the first that is a digest. */
static const char *pulled_by(const json_t *image)
{
    struct member m = {.wrong = NULL};
    const json_t *digests = member_array(&m, image, "RepoDigests");
    for (size_t i = 0; i < json_array_size(digests); i++) {
        const char *text = member_item(&m, digests, i, "RepoDigests");
        const char *at = text ? strrchr(text, '@') : NULL;
        if (at && at[1] && strlen(at + 1) < CONTAINER_DIGEST_MAX)
            return at + 1;
    }
    return NULL;
}

int32_t container_digest(struct daemon *daemon, struct cofre_call *call, const struct container *container,
                         char digest[CONTAINER_DIGEST_MAX], struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX], what[FAILURE_QUOTE_MAX + 40];
    json_t *image = NULL;
    snprintf(what, sizeof what, "look at the image of container '%s'",
             failure_quote(container->name, strlen(container->name), shown));
    const struct daemon_request request = {
        .method = "GET", .path = "/images/%s/json", .segments = DAEMON_WORDS(container->image_id), .what = what};
    snprintf(digest, CONTAINER_DIGEST_MAX, "%s", container->image_id);
    int32_t class = daemon_ask(daemon, call, &request, &image, error);
    const char *pulled = class == COFRE_OK ? pulled_by(image) : NULL;
    if (pulled)
        snprintf(digest, CONTAINER_DIGEST_MAX, "%s", pulled);
    json_decref(image);
    return class == COFRE_E_NOT_FOUND ? COFRE_OK : class;
}
