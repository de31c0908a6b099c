#include "docker-volume/services.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cofre/plugin.h"
#include "common/docker/container.h"
#include "docker-volume/halt.h"
#include "docker-volume/say.h"
#include "docker-volume/user.h"
#include "docker-volume/users.h"

#define NAMES_MAX 300
#define LOOK 200 /* ms between two looks at a container */

/* Both borrow from all, in its order. */
struct selection {
    struct containers all, stopped, excepted;
};

static void selection_free(struct selection *s)
{
    free(s->stopped.items);
    free(s->excepted.items);
    containers_free(&s->all);
}
#define SELECTION_AUTO __attribute__((cleanup(selection_free))) struct selection

/* ---- which ---- */

static bool is_in(const struct services_words *w, const struct container *c)
{
    return w->project && strcmp(c->project, w->project) == 0;
}

static bool is_named(const struct container *c, const char *name)
{
    return strcmp(c->service, name) == 0 || strcmp(c->name, name) == 0;
}

static bool is_excepted(const struct services_words *w, const struct container *c)
{
    for (size_t i = 0; i < w->count; i++)
        if (is_named(c, w->names[i]))
            return true;
    return false;
}

/* Add it to "a, b", once; what does not fit is left out. */
static void append(char *out, size_t size, const char *name)
{
    size_t n = strlen(name), at = strlen(out);
    for (const char *p = out; *p; p += strcspn(p, ","), p += strspn(p, ", "))
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0'))
            return;
    if (n > 0 && at + n + 3 <= size)
        snprintf(out + at, size - at, "%s%s", at ? ", " : "", name);
}

static int32_t no_project(const struct services_words *w, const struct containers *all, struct cofre_error *error)
{
    char there[NAMES_MAX] = "";
    for (size_t i = 0; i < all->count; i++)
        append(there, sizeof there, all->items[i].project);
    int32_t class =
        cofre_fail(error, COFRE_E_NOT_FOUND, "restore_stop: there is no container of compose project '%s'", w->project);
    cofre_hint(error, there[0] ? "there are: %.200s" : "no container here is of a compose project%s", there);
    return class;
}

static int32_t no_service(const struct services_words *w, const struct containers *all, const char *name,
                          struct cofre_error *error)
{
    char there[NAMES_MAX] = "";
    for (size_t i = 0; i < all->count; i++)
        if (is_in(w, &all->items[i]))
            append(there, sizeof there, all->items[i].service);
    int32_t class =
        cofre_fail(error, COFRE_E_NOT_FOUND, "restore_stop: project '%s' has no service '%s'", w->project, name);
    cofre_hint(error, "it has: %.200s", there);
    return class;
}

static int32_t check_project(const struct services_words *w, const struct containers *all, struct cofre_error *error)
{
    size_t members = 0;
    for (size_t i = 0; i < all->count; i++)
        members += is_in(w, &all->items[i]);
    if (members == 0)
        return no_project(w, all, error);
    for (size_t n = 0; n < w->count; n++) {
        bool found = false;
        for (size_t i = 0; i < all->count && !found; i++)
            found = is_in(w, &all->items[i]) && is_named(&all->items[i], w->names[n]);
        if (!found)
            return no_service(w, all, w->names[n], error);
    }
    return COFRE_OK;
}

/* Names that are given may be those of compose: the library finds them. */
static int32_t find_named(const struct source *source, struct cofre_call *call, const struct services_words *w,
                          bool *chosen, const struct containers *all, struct cofre_error *error)
{
    for (size_t n = 0; n < w->count; n++) {
        CONTAINER_AUTO found = {.json = NULL};
        int32_t status = container_find(source->daemon, call, w->names[n], &found, error);
        if (status != COFRE_OK)
            return status;
        for (size_t i = 0; i < all->count; i++)
            chosen[i] |= strcmp(all->items[i].id, found.id) == 0;
    }
    return COFRE_OK;
}

static int32_t divide(const struct source *source, struct cofre_call *call, const struct services_words *w,
                      struct selection *s, bool *chosen, struct cofre_error *error)
{
    const struct containers *all = &s->all;
    int32_t status = w->project ? check_project(w, all, error) : find_named(source, call, w, chosen, all, error);
    for (size_t i = 0; i < all->count && status == COFRE_OK; i++) {
        const struct container *c = &all->items[i];
        if (w->project ? !is_in(w, c) : !chosen[i])
            continue;
        /* Nor the one that we run in, which would end the restore. */
        struct containers *to = (w->project && is_excepted(w, c)) || user_is_self(c) ? &s->excepted : &s->stopped;
        to->items[to->count++] = *c;
    }
    return status;
}

static int32_t select_all(const struct source *source, struct cofre_call *call, const struct services_words *w,
                          struct selection *s, struct cofre_error *error)
{
    int32_t status = containers_list(source->daemon, call, &s->all, error);
    if (status == COFRE_OK)
        status = containers_order(&s->all, error);
    if (status != COFRE_OK)
        return status;
    size_t room = s->all.count + 1;
    bool *chosen = calloc(room, sizeof *chosen);
    s->stopped.items = calloc(room, sizeof *s->stopped.items);
    s->excepted.items = calloc(room, sizeof *s->excepted.items);
    if (chosen && s->stopped.items && s->excepted.items)
        status = divide(source, call, w, s, chosen, error);
    else
        status = cofre_fail_errno(error, ENOMEM, "find the containers of restore_stop");
    free(chosen);
    return status;
}

/* ---- saying ---- */

static void say(struct cofre_call *call, const struct selection *s)
{
    for (size_t i = s->stopped.count; i-- > 0;) {
        const struct container *c = &s->stopped.items[i];
        if (user_runs(c))
            say_finding(call, COFRE_LOG_INFO, "", "container '%s' is stopped, and started again afterwards", c->name);
        else
            say_finding(call, COFRE_LOG_INFO, "", "container '%s' is %s, and stays so", c->name,
                        container_state_name(c->state));
    }
    for (size_t i = 0; i < s->excepted.count; i++) {
        const struct container *c = &s->excepted.items[i];
        if (c->state == CONTAINER_PAUSED)
            say_finding(call, COFRE_LOG_ERROR, "docker unpause", "container '%s' is paused, and is to run meanwhile",
                        c->name);
        else
            say_finding(call, COFRE_LOG_INFO, "", "container '%s' %s", c->name,
                        user_runs(c) ? "goes on running" : "is started, and waited for");
    }
}

/* ---- starting what is excepted ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Does it work? false and COFRE_OK: not yet. */
static int32_t look(const struct source *source, struct cofre_call *call, const struct container *container,
                    bool *works, struct cofre_error *error)
{
    CONTAINER_AUTO now = {.json = NULL};
    int32_t status = container_look(source->daemon, call, container->id, &now, error);
    *works = false;
    if (status != COFRE_OK)
        return status;
    if (now.state == CONTAINER_EXITED || now.state == CONTAINER_DEAD) {
        status = cofre_fail(error, COFRE_E_PERMANENT, "container '%s' was started, and has ended", container->name);
        cofre_hint(error, "see why: docker logs %.100s", container->name);
    }
    *works = now.state == CONTAINER_RUNNING &&
             (now.health == HEALTH_NONE || now.health == HEALTH_HEALTHY || source->options->health_wait == 0);
    return status;
}

static int32_t await(const struct source *source, struct cofre_call *call, const struct container *container,
                     struct cofre_error *error)
{
    int64_t patience = source->options->health_wait, until = now_ms() + patience;
    bool works;
    for (;;) {
        int32_t status = look(source, call, container, &works, error);
        if (status != COFRE_OK || works)
            return status;
        if (patience > 0 && now_ms() >= until)
            break;
        status = cofre->pause(call, LOOK, error);
        cofre->progress(call, 0, 0);
        if (status != COFRE_OK)
            return status;
    }
    cofre_fail(error, COFRE_E_TIMEOUT, "container '%s' is started, and not healthy after %lld s", container->name,
               (long long)(patience / 1000));
    cofre_hint(error, "see why: docker logs %.100s; health_wait says how long to wait", container->name);
    return COFRE_E_TIMEOUT;
}

static int32_t start(const struct source *source, struct cofre_call *call, const struct container *container,
                     struct cofre_error *error)
{
    if (container->state == CONTAINER_PAUSED) {
        cofre_fail(error, COFRE_E_BUSY, "container '%s' is paused, and is to run while the job is restored",
                   container->name);
        cofre_hint(error, "docker unpause %.100s", container->name);
        return COFRE_E_BUSY;
    }
    if (!user_runs(container)) {
        int32_t status = container_start(source->daemon, call, container, error);
        if (status != COFRE_OK)
            return status;
        say_log(call, COFRE_LOG_NOTICE, "container '%s' is started, since it is excepted in restore_stop: it stays so",
                container->name);
    }
    return await(source, call, container, error);
}

/* ---- the whole ---- */

static int32_t stop(const struct source *source, struct cofre_call *call, const char *id, const struct selection *s,
                    struct cofre_error *error)
{
    struct halt halt;
    char names[NAMES_MAX];
    int32_t status = source_halt(source, call, &halt, error);
    if (status == COFRE_OK)
        status = halt_begin(&halt, call, id, &s->stopped, HALT_STOP, error);
    if (status != COFRE_OK)
        return status;
    users_names(&s->stopped, user_runs, names, sizeof names);
    say_log(call, COFRE_LOG_NOTICE, names[0] ? "stopped for the restore: %s" : "no container of restore_stop runs%s",
            names);
    for (size_t i = 0; i < s->excepted.count && status == COFRE_OK; i++)
        status = start(source, call, &s->excepted.items[i], error);
    return status;
}

int32_t services_run(const struct source *source, struct cofre_call *call, int32_t what, const char *id,
                     const char *which, struct cofre_error *error)
{
    struct services_words words = {0};
    SELECTION_AUTO selection = {.all = {.items = NULL}};
    struct halt halt;
    if (what == COFRE_SERVICES_KEEP) {
        int32_t status = source_halt(source, call, &halt, error);
        return status == COFRE_OK ? halt_keep(&halt, call, id, error) : status;
    }
    int32_t status = services_words_read(&words, which, error);
    if (status == COFRE_OK)
        status = select_all(source, call, &words, &selection, error);
    if (status == COFRE_OK && what == COFRE_SERVICES_SAY)
        say(call, &selection);
    else if (status == COFRE_OK)
        status = stop(source, call, id, &selection, error);
    services_words_free(&words);
    return status;
}
