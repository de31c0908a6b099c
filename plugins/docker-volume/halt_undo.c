#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "docker-volume/halt.h"
#include "docker-volume/halt_record.h"
#include "docker-volume/say.h"

#define HEALTH_LOOK 200 /* ms between two looks at a container's health */

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define AUTO_CLOSE __attribute__((cleanup(close_fd)))

struct undo {
    const struct halt *halt;
    struct cofre_call *call;
    const char *id;
    struct halt_records records; /* for id, in the order in which they are put back */
    bool *awaited;               /* of each: it runs again, and is to become healthy */
    size_t failed;
    struct cofre_error first; /* of what failed */
    int32_t result;
};

/* The others are put back all the same. A cancellation ends it. */
static int32_t fail(struct undo *u, int32_t result, const struct cofre_error *why)
{
    cofre->log(u->call, COFRE_LOG_ERROR, why->message);
    if (u->failed++ == 0) {
        u->first = *why;
        u->result = result;
    }
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    return cofre->cancelled(u->call, &ignored);
}

/* ---- health ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int32_t wait_a_moment(const struct undo *u, struct cofre_error *error)
{
    cofre->progress(u->call, 0, 0);
    return cofre->pause(u->call, HEALTH_LOOK, error);
}

/* COFRE_OK: it is healthy, or gone, or has no word of its health any more. */
static int32_t await_health(const struct undo *u, const struct halt_record *record, struct cofre_error *error)
{
    int64_t until = now_ms() + u->halt->health_wait;
    for (;;) {
        CONTAINER_AUTO now = {.json = NULL};
        int32_t status = container_look(u->halt->daemon, u->call, record->container, &now, error);
        if (status == COFRE_E_NOT_FOUND)
            return COFRE_OK;
        if (status != COFRE_OK || now.health == HEALTH_HEALTHY || now.health == HEALTH_NONE)
            return status;
        if (now.state == CONTAINER_EXITED || now.state == CONTAINER_DEAD)
            return cofre_fail(error, COFRE_E_PERMANENT, "container '%s' was started again and has ended", record->name);
        if (now_ms() >= until)
            break;
        status = wait_a_moment(u, error);
        if (status != COFRE_OK)
            return status;
    }
    cofre_fail(error, COFRE_E_TIMEOUT, "container '%s' runs again, and is not healthy after %lld s", record->name,
               (long long)(u->halt->health_wait / 1000));
    cofre_hint(error, "look at 'docker logs %.100s'; health_wait says how long to wait", record->name);
    return COFRE_E_TIMEOUT;
}

static int32_t settle(struct undo *u, size_t i)
{
    struct cofre_error why = {.struct_size = sizeof why};
    if (!u->awaited[i])
        return COFRE_OK;
    u->awaited[i] = false;
    int32_t result = await_health(u, &u->records.items[i], &why);
    return result == COFRE_OK ? COFRE_OK : fail(u, result, &why);
}

/* Does text, "db:service_healthy:false,cache:service_started:true", name the service as one to be healthy first? */
static bool waits_for(const char *text, const char *service)
{
    static const char condition[] = ":service_healthy";
    size_t length = strlen(service);
    for (const char *p = text; *p; p += strcspn(p, ","), p += *p == ',')
        if (length > 0 && strncmp(p, service, length) == 0 && strncmp(p + length, condition, sizeof condition - 1) == 0)
            return true;
    return false;
}

/* What it depends on was started before it; wait for those that it wants to be healthy. */
static int32_t settle_before(struct undo *u, const struct halt_record *record)
{
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < u->records.count; i++) {
        const struct halt_record *other = &u->records.items[i];
        if (strcmp(other->project, record->project) == 0 && waits_for(record->waits, other->service))
            status = settle(u, i);
    }
    return status;
}

/* ---- putting back ---- */

/* Does it run, or has it since, and ended by itself? What was halted keeps the time at which it was started last. */
static int32_t check_started(const struct undo *u, const struct halt_record *record, struct cofre_error *error)
{
    CONTAINER_AUTO now = {.json = NULL};
    int32_t status = container_look(u->halt->daemon, u->call, record->container, &now, error);
    if (status != COFRE_OK)
        return status == COFRE_E_NOT_FOUND ? COFRE_OK : status; /* one with --rm, that ended */
    if (now.state == CONTAINER_RUNNING || now.state == CONTAINER_RESTARTING)
        return COFRE_OK;
    if (now.state == CONTAINER_PAUSED || strcmp(now.started_at, record->started_at) == 0)
        return cofre_fail(error, COFRE_E_PERMANENT, "container '%s' does not run again, although the daemon said so",
                          record->name);
    say_log(u->call, COFRE_LOG_WARNING, "container '%s' was started again, and has ended by itself", record->name);
    return COFRE_OK;
}

/* Halting it was begun, and nobody has seen the end: the daemon may still be at it, and would halt it after it was
 * found running here. So it is brought to that end first. What the daemon refuses has none. */
static int32_t finish_halting(const struct undo *u, const struct halt_record *record, struct container *now,
                              struct cofre_error *error)
{
    const struct halt *halt = u->halt;
    bool runs = now->state == CONTAINER_RUNNING || now->state == CONTAINER_RESTARTING;
    if (record->started_at[0] || !runs)
        return COFRE_OK;
    int32_t status = record->how == HALT_STOP ? container_stop(halt->daemon, u->call, now, halt->stop_timeout, error)
                                              : container_pause(halt->daemon, u->call, now, error);
    if (status == COFRE_E_CANCELLED || status == COFRE_E_RETRY || status == COFRE_E_TIMEOUT)
        return status;
    container_free(now);
    return container_look(halt->daemon, u->call, record->container, now, error);
}

static int32_t put_on(const struct undo *u, const struct halt_record *record, const struct container *now,
                      bool *awaited, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    *awaited = record->healthy && u->halt->health_wait > 0;
    switch (now->state) {
    case CONTAINER_RUNNING:
    case CONTAINER_RESTARTING:
        if (record->started_at[0])
            say_log(u->call, COFRE_LOG_NOTICE, "container '%s' runs already", record->name);
        return COFRE_OK;
    case CONTAINER_PAUSED:
        if (record->how == HALT_PAUSE) {
            status = container_unpause(u->halt->daemon, u->call, now, error);
            break;
        }
        say_log(u->call, COFRE_LOG_NOTICE,
                "container '%s' was stopped, and somebody started and paused it: it stays so", record->name);
        *awaited = false;
        return COFRE_OK;
    default:
        status = container_start(u->halt->daemon, u->call, now, error);
    }
    return status == COFRE_OK ? check_started(u, record, error) : status;
}

static int32_t resume(const struct undo *u, const struct halt_record *record, bool *awaited, struct cofre_error *error)
{
    CONTAINER_AUTO now = {.json = NULL};
    *awaited = false;
    int32_t status = container_look(u->halt->daemon, u->call, record->container, &now, error);
    if (status == COFRE_OK)
        status = finish_halting(u, record, &now, error);
    if (status == COFRE_OK)
        return put_on(u, record, &now, awaited, error);
    if (status != COFRE_E_NOT_FOUND)
        return status;
    say_log(u->call, COFRE_LOG_NOTICE, "container '%s' was removed meanwhile, and is not started again", record->name);
    return COFRE_OK;
}

/* The container's lock is held. */
static int32_t put_back(struct undo *u, size_t i, struct cofre_error *error)
{
    HALT_RECORD_AUTO record = {.json = NULL};
    const char *container = u->records.items[i].container, *directory = u->halt->directory;
    int32_t status = halt_record_read(directory, container, &record, error);
    if (status != COFRE_OK || !record.json || !halt_record_is_for(&record, u->id))
        return status;
    if (halt_record_count(&record) > 1) {
        halt_record_drop(&record, u->id);
        return halt_record_write(directory, &record, error);
    }
    status = resume(u, &record, &u->awaited[i], error);
    return status == COFRE_OK ? halt_record_remove(directory, container, error) : status;
}

static int32_t undo_one(struct undo *u, size_t i)
{
    AUTO_CLOSE int lock = -1;
    struct cofre_error why = {.struct_size = sizeof why};
    const struct halt_record *record = &u->records.items[i];
    int32_t status = cofre->cancelled(u->call, &why);
    if (status == COFRE_OK)
        status = settle_before(u, record);
    if (status != COFRE_OK)
        return status;
    int32_t result = halt_record_lock(u->halt->directory, u->call, record->container, &lock, &why);
    if (result == COFRE_OK)
        result = put_back(u, i, &why);
    return result == COFRE_OK ? COFRE_OK : fail(u, result, &why);
}

static int32_t undo_all(struct undo *u, struct cofre_error *error)
{
    int32_t status = COFRE_OK; /* other than that: a cancellation */
    for (size_t i = 0; status == COFRE_OK && i < u->records.count; i++)
        status = undo_one(u, i);
    for (size_t i = 0; status == COFRE_OK && i < u->records.count; i++)
        status = settle(u, i);
    int32_t cancelled = cofre->cancelled(u->call, error);
    if (cancelled != COFRE_OK || u->failed == 0)
        return cancelled;
    *error = u->first;
    if (u->failed > 1)
        cofre_hint(error, "%zu more were not put back as they were: see the log", u->failed - 1);
    return u->result;
}

int32_t halt_undo(const struct halt *halt, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    struct undo u = {.halt = halt, .call = call, .id = id};
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t listed = halt_record_list(halt->directory, id, &u.records, &why);
    int32_t status = COFRE_OK;
    u.first.struct_size = sizeof u.first;
    u.awaited = calloc(u.records.count + 1, sizeof *u.awaited);
    if (!u.awaited)
        status = cofre_fail_errno(error, ENOMEM, "start containers again");
    else if (listed != COFRE_OK)
        status = fail(&u, listed, &why);
    if (status == COFRE_OK)
        status = undo_all(&u, error);
    free(u.awaited);
    halt_record_list_free(&u.records);
    return status;
}
