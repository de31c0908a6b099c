#include "docker-volume/carrier.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/ownfile.h"
#include "docker-volume/order.h"

#define IMAGE "cofre" /* its tag is the id of the run */
#define TARGET "/v"   /* where the volume is in a container of ours */
#define REFERENCE_MAX 160
#define ROUNDS 2       /* of looking for what is left */
#define PAUSE 500      /* ms between them */
#define EMPTY_TAR 1024 /* two blocks of zeros: an archive of nothing */

/* ---- one that is there ---- */

/* Is another mount of the container below this one, so that it would be in the archive, too? Or at the same place? */
static bool is_covered(const struct container *c, const struct container_mount *mount)
{
    for (size_t i = 0; i < c->mount_count; i++)
        if (&c->mounts[i] != mount && (order_is_below(c->mounts[i].destination, mount->destination) ||
                                       strcmp(c->mounts[i].destination, mount->destination) == 0))
            return true;
    return false;
}

static const struct container_mount *bare_mount(const struct container *c, const char *volume)
{
    for (size_t i = 0; i < c->mount_count; i++) {
        const struct container_mount *m = &c->mounts[i];
        if (m->volume && strcmp(m->volume, volume) == 0 && m->destination[0] == '/' && m->destination[1] &&
            !is_covered(c, m))
            return m;
    }
    return NULL;
}

static bool find(const struct survey *survey, const char *volume, struct carrier *carrier)
{
    for (size_t i = 0; i < survey->containers.count; i++) {
        const struct container *c = &survey->containers.items[i];
        const struct container_mount *m = bare_mount(c, volume);
        if (!m || c->state == CONTAINER_REMOVING || c->state == CONTAINER_DEAD)
            continue;
        snprintf(carrier->container, sizeof carrier->container, "%s", c->id);
        if ((size_t)snprintf(carrier->destination, sizeof carrier->destination, "%s", m->destination) <
            sizeof carrier->destination)
            return true;
    }
    return false;
}

/* ---- one of ours ---- */

static int32_t mark_path(struct cofre_call *call, const char *id, char path[PATH_MAX], struct cofre_error *error)
{
    const char *directory;
    if (!COFRE_HAS(cofre, common_directory))
        return cofre_fail(error, COFRE_E_UNSUPPORTED, "this cofre is too old to read a volume through the daemon");
    int32_t status = cofre->common_directory(call, &directory, error);
    if (status == COFRE_OK)
        snprintf(path, PATH_MAX, "%s/made-%s", directory, id);
    return status;
}

static bool sync_and_close(int fd)
{
    bool synced = fd >= 0 && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    return synced;
}

/* Something is going to be made: durably noted, so that a daemon is asked for leftovers only where there can be some.
 */
static int32_t mark(struct cofre_call *call, const char *id, struct cofre_error *error)
{
    char path[PATH_MAX];
    const char *directory;
    int32_t status = mark_path(call, id, path, error);
    if (status == COFRE_OK)
        status = cofre->common_directory(call, &directory, error);
    if (status != COFRE_OK)
        return status;
    if (!sync_and_close(ownfile_open(path, O_WRONLY | O_CREAT)) ||
        !sync_and_close(open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)))
        return cofre_fail_errno(error, errno, "write '%s'", path);
    return COFRE_OK;
}

static int32_t import_image(const struct source *source, struct cofre_call *call, const char *id,
                            struct cofre_error *error)
{
    static const char nothing[EMPTY_TAR];
    char label[REFERENCE_MAX];
    struct daemon_stream *stream = NULL;
    snprintf(label, sizeof label, "LABEL " CARRIER_LABEL "=%s", id);
    const struct daemon_request request = {.method = "POST",
                                           .path = "/images/create",
                                           .query =
                                               DAEMON_WORDS("fromSrc", "-", "repo", IMAGE, "tag", id, "changes", label),
                                           .what = "make an empty image"};
    int32_t status = daemon_stream_send(source->daemon, call, &request, &stream, error);
    if (status == COFRE_OK)
        status = daemon_stream_write(stream, nothing, sizeof nothing, error);
    if (status == COFRE_OK)
        status = daemon_stream_end(stream, error);
    daemon_stream_free(stream);
    return status;
}

/* One for all volumes of a run: a second one would take the name, and leave the first without any. */
static int32_t need_image(const struct source *source, struct cofre_call *call, const char *id,
                          struct cofre_error *error)
{
    char image[REFERENCE_MAX];
    snprintf(image, sizeof image, IMAGE ":%s", id);
    const struct daemon_request request = {.method = "GET",
                                           .path = "/images/%s/json",
                                           .segments = DAEMON_WORDS(image),
                                           .what = "look for the empty image"};
    int32_t status = daemon_ask(source->daemon, call, &request, NULL, error);
    return status == COFRE_E_NOT_FOUND ? import_image(source, call, id, error) : status;
}

static json_t *description(const char *id, const char *volume, bool writable)
{
    char image[REFERENCE_MAX];
    snprintf(image, sizeof image, IMAGE ":%s", id);
    return json_pack("{s:s, s:[s], s:{s:s}, s:b, s:{s:s, s:[{s:s, s:s, s:s, s:b, s:{s:b, s:{s:s}}}]}}", "Image", image,
                     "Cmd", "/cofre", "Labels", CARRIER_LABEL, id, "NetworkDisabled", 1, "HostConfig", "NetworkMode",
                     "none", "Mounts", "Type", "volume", "Source", volume, "Target", TARGET, "ReadOnly", !writable,
                     "VolumeOptions", "NoCopy", 1, "Labels", CARRIER_LABEL, id);
}

static int32_t create(const struct source *source, struct cofre_call *call, const char *id, const struct volume *volume,
                      bool writable, struct carrier *carrier, struct cofre_error *error)
{
    char what[VOLUME_NAME_MAX + 80];
    json_t *body = description(id, volume->name, writable), *answer = NULL;
    if (!body)
        return cofre_fail_errno(error, ENOMEM, "make a container");
    snprintf(what, sizeof what, "make a container for volume '%s'", volume->name);
    char name[REFERENCE_MAX];
    snprintf(name, sizeof name, IMAGE "-%s", id);
    const struct daemon_request request = {.method = "POST",
                                           .path = "/containers/create",
                                           .query = DAEMON_WORDS("name", name),
                                           .body = body,
                                           .what = what};
    int32_t status = daemon_ask(source->daemon, call, &request, &answer, error);
    json_decref(body);
    const char *made = json_string_value(json_object_get(answer, "Id"));
    if (status == COFRE_OK &&
        (!made || strlen(made) >= sizeof carrier->container || strspn(made, "0123456789abcdef") != strlen(made)))
        status = cofre_fail(error, COFRE_E_PERMANENT, "%s: the daemon does not say which one it made", what);
    if (status == COFRE_OK)
        snprintf(carrier->container, sizeof carrier->container, "%s", made);
    json_decref(answer);
    return status;
}

static int32_t remove_container(const struct source *source, struct cofre_call *call, const char *container,
                                struct cofre_error *error)
{
    const struct daemon_request request = {.method = "DELETE",
                                           .path = "/containers/%s",
                                           .segments = DAEMON_WORDS(container),
                                           .query = DAEMON_WORDS("force", "1"),
                                           .what = "remove the container that a volume was read through"};
    int32_t status = daemon_ask(source->daemon, call, &request, NULL, error);
    return status == COFRE_E_NOT_FOUND ? COFRE_OK : status;
}

/* A daemon makes the volume that a new container wants and that is not there, with the label that the container says:
 * was it removed just now, an empty one has taken its place by our doing. One that is there keeps its own labels. */
static int32_t check_same(const struct source *source, struct cofre_call *call, const char *id, const char *volume,
                          const struct carrier *carrier, struct cofre_error *error)
{
    VOLUME_AUTO now = {.json = NULL};
    int32_t status = volume_look(source->daemon, call, volume, &now, error);
    const char *label = json_string_value(json_object_get(json_object_get(now.json, "Labels"), CARRIER_LABEL));
    if (status != COFRE_OK || !label || strcmp(label, id) != 0)
        return status;
    status = remove_container(source, call, carrier->container, error);
    if (status == COFRE_OK)
        status = volume_remove(source->daemon, call, volume, error);
    return status == COFRE_OK ? cofre_fail(error, COFRE_E_NOT_FOUND, "volume '%s' is not there any more", volume)
                              : status;
}

/* The process that made it is this one, and has heard what came of each request. */
static bool heard;

int32_t carrier_make(const struct source *source, struct cofre_call *call, const struct volume *volume, bool writable,
                     struct carrier *carrier, struct cofre_error *error)
{
    const char *id = cofre->id(call);
    if (!id)
        return cofre_fail(error, COFRE_E_BUG, "the host gave no id for this backup");
    *carrier = (struct carrier){.own = true};
    snprintf(carrier->destination, sizeof carrier->destination, TARGET);
    VOLUME_AUTO now = {.json = NULL};
    int32_t status = volume_look(source->daemon, call, volume->name, &now, error);
    if (status == COFRE_OK)
        status = mark(call, id, error);
    if (status != COFRE_OK)
        return status;
    status = need_image(source, call, id, error);
    if (status == COFRE_OK)
        status = create(source, call, id, volume, writable, carrier, error);
    heard = status == COFRE_OK;
    if (status != COFRE_OK)
        return status == COFRE_E_NOT_FOUND ? COFRE_E_PERMANENT : status; /* it is not the volume that is not there */
    status = check_same(source, call, id, volume->name, carrier, error);
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    if (status != COFRE_OK)
        remove_container(source, call, carrier->container, &ignored); /* else it is carrier_clear's */
    return status;
}

int32_t carrier_begin(const struct source *source, struct cofre_call *call, const struct survey *survey,
                      const struct volume *volume, struct carrier *carrier, struct cofre_error *error)
{
    *carrier = (struct carrier){.own = false};
    return find(survey, volume->name, carrier) ? COFRE_OK : carrier_make(source, call, volume, false, carrier, error);
}

int32_t carrier_end(const struct source *source, struct cofre_call *call, const struct carrier *carrier,
                    struct cofre_error *error)
{
    return carrier->own ? remove_container(source, call, carrier->container, error) : COFRE_OK;
}

/* ---- what is left ---- */

static int32_t list_own(const struct source *source, struct cofre_call *call, const char *id, json_t **list,
                        struct cofre_error *error)
{
    char filters[REFERENCE_MAX];
    snprintf(filters, sizeof filters, "{\"label\":[\"" CARRIER_LABEL "=%s\"]}", id);
    const struct daemon_request request = {.method = "GET",
                                           .path = "/containers/json",
                                           .query = DAEMON_WORDS("all", "1", "filters", filters),
                                           .what = "list the containers that cofre made"};
    return daemon_ask(source->daemon, call, &request, list, error);
}

static int32_t remove_image(const struct source *source, struct cofre_call *call, const char *id,
                            struct cofre_error *error)
{
    char image[REFERENCE_MAX];
    snprintf(image, sizeof image, IMAGE ":%s", id);
    const struct daemon_request request = {.method = "DELETE",
                                           .path = "/images/%s",
                                           .segments = DAEMON_WORDS(image),
                                           .query = DAEMON_WORDS("force", "1"),
                                           .what = "remove the empty image"};
    int32_t status = daemon_ask(source->daemon, call, &request, NULL, error);
    return status == COFRE_E_NOT_FOUND ? COFRE_OK : status;
}

static int32_t remove_all(const struct source *source, struct cofre_call *call, const char *id,
                          struct cofre_error *error)
{
    json_t *list = NULL, *item;
    size_t i;
    int32_t status = list_own(source, call, id, &list, error);
    json_array_foreach(list, i, item)
    {
        const char *container = json_string_value(json_object_get(item, "Id"));
        if (status == COFRE_OK && container)
            status = remove_container(source, call, container, error);
    }
    json_decref(list);
    return status == COFRE_OK ? remove_image(source, call, id, error) : status;
}

/* A daemon goes on with what a client that is dead now had asked for last: so it is looked at again after a moment. */
int32_t carrier_clear(const struct source *source, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    char path[PATH_MAX];
    if (!COFRE_HAS(cofre, common_directory))
        return COFRE_OK; /* nor could anything be made */
    int32_t status = mark_path(call, id, path, error);
    if (status != COFRE_OK || access(path, F_OK) != 0)
        return status;
    for (int round = 0; status == COFRE_OK && round < (heard ? 1 : ROUNDS); round++) {
        status = cofre->pause(call, round > 0 ? PAUSE : 0, error);
        if (status == COFRE_OK)
            status = remove_all(source, call, id, error);
    }
    if (status == COFRE_OK && unlink(path) != 0)
        return cofre_fail_errno(error, errno, "remove '%s'", path);
    return status;
}
