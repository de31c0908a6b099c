#include "docker-volume/halt.h"

#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "docker-volume/halt_record.h"
#include "docker-volume/say.h"

#define ATTEMPTS 3  /* to halt a container that runs again */
#define MOMENT 100  /* ms between looks */
#define REFUSALS 20 /* looks at one that ends or starts just as it is paused, or that the kernel cannot freeze yet */

static void close_fd(const int *fd)
{
    if (*fd >= 0)
        close(*fd);
}
#define AUTO_CLOSE __attribute__((cleanup(close_fd)))

static const char *done(enum halt_how how)
{
    return how == HALT_STOP ? "stopped" : "paused";
}

static bool runs(const struct container *c)
{
    return c->state == CONTAINER_RUNNING || c->state == CONTAINER_RESTARTING;
}

/* ---- halting one ---- */

static int32_t act(const struct halt *halt, struct cofre_call *call, const struct container *container,
                   enum halt_how how, struct cofre_error *error)
{
    return how == HALT_STOP ? container_stop(halt->daemon, call, container, halt->stop_timeout, error)
                            : container_pause(halt->daemon, call, container, error);
}

static void say_stopped(struct cofre_call *call, const char *name)
{
    say_log(call, COFRE_LOG_NOTICE, "container '%s' is stopped and not paused: it waits to be restarted", name);
}

/* One that waits to be restarted cannot be paused. */
static int32_t stop_instead(const struct halt *halt, struct cofre_call *call, struct halt_record *record,
                            struct cofre_error *error)
{
    int32_t status = halt_record_stop(record, error);
    if (status == COFRE_OK)
        status = halt_record_write(halt->directory, record, error);
    if (status == COFRE_OK)
        say_stopped(call, record->name);
    return status;
}

/* Can the call be repeated after this? */
static bool is_refusal(int32_t acted)
{
    return acted != COFRE_OK && acted != COFRE_E_CANCELLED && acted != COFRE_E_RETRY && acted != COFRE_E_TIMEOUT;
}

/* Halt it in the way of the record, and see that it is. COFRE_E_NOT_FOUND: it is gone. *halted false: it ended before
 * it could be paused. */
static int32_t halt_it(const struct halt *halt, struct cofre_call *call, struct halt_record *record, bool *halted,
                       struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t acted = COFRE_OK;
    int refusals = 0;
    for (int attempt = 0; attempt <= ATTEMPTS; attempt++) {
        CONTAINER_AUTO now = {.json = NULL};
        int32_t status = container_look(halt->daemon, call, record->container, &now, error);
        if (status != COFRE_OK)
            return status;
        *halted = record->how == HALT_STOP || now.state == CONTAINER_PAUSED;
        if (!runs(&now))
            return *halted ? halt_record_started(record, now.started_at, error) : COFRE_OK;
        if (now.state == CONTAINER_RESTARTING && record->how == HALT_PAUSE &&
            (status = stop_instead(halt, call, record, error)) != COFRE_OK)
            return status;
        if (attempt == ATTEMPTS)
            break;
        acted = act(halt, call, &now, record->how, &why);
        if (acted != COFRE_OK && !is_refusal(acted))
            break;
        if (is_refusal(acted) && record->how == HALT_PAUSE && refusals++ < REFUSALS) {
            if ((status = cofre->pause(call, MOMENT, error)) != COFRE_OK)
                return status;
            attempt--;
        }
    }
    if (acted != COFRE_OK) {
        *error = why;
        return acted;
    }
    cofre_fail(error, COFRE_E_BUSY, "container '%s' runs again each of the %d times it was %s", record->name, ATTEMPTS,
               done(record->how));
    cofre_hint(error, "find out who starts it, or leave it alone with its label cofre.during = run");
    return COFRE_E_BUSY;
}

/* The record is written, also for id. What came of halting it is noted in it. */
static int32_t halt_noted(const struct halt *halt, struct cofre_call *call, const char *id, struct halt_record *record,
                          struct cofre_error *error)
{
    bool halted = false;
    int32_t status = halt_it(halt, call, record, &halted, error);
    if (status == COFRE_OK && halted)
        return halt_record_write(halt->directory, record, error);
    if (status != COFRE_OK && status != COFRE_E_NOT_FOUND)
        return status;
    halt_record_drop(record, id);
    return halt_record_count(record) > 0 ? halt_record_write(halt->directory, record, error)
                                         : halt_record_remove(halt->directory, record->container, error);
}

/* The way that suits the container. One with --rm would be gone; one that waits to be restarted cannot be paused. */
static enum halt_how way(const struct container *container, enum halt_how how)
{
    if (container->state == CONTAINER_RESTARTING)
        return HALT_STOP;
    return container->removed_when_stopped ? HALT_PAUSE : how;
}

static int32_t note(const struct halt *halt, struct cofre_call *call, const char *id, const struct container *container,
                    enum halt_how how, struct halt_record *record, struct cofre_error *error)
{
    int32_t status = halt_record_add(record, id, error);
    if (status == COFRE_OK)
        status = halt_record_write(halt->directory, record, error);
    if (status == COFRE_OK && how == HALT_STOP && record->how == HALT_PAUSE)
        say_log(call, COFRE_LOG_NOTICE, "container '%s' is paused and not stopped: %s", container->name,
                container->removed_when_stopped ? "it would be removed (--rm)"
                                                : "another source reads what it had written");
    if (status == COFRE_OK && how == HALT_PAUSE && record->how == HALT_STOP && container->state == CONTAINER_RESTARTING)
        say_stopped(call, container->name);
    return status;
}

/* One container, of which `seen` is what was listed. */
static int32_t begin_one(const struct halt *halt, struct cofre_call *call, const char *id, const struct container *seen,
                         enum halt_how how, int64_t order, struct cofre_error *error)
{
    AUTO_CLOSE int lock = -1;
    HALT_RECORD_AUTO record = {.json = NULL};
    CONTAINER_AUTO now = {.json = NULL};
    int32_t status = halt_record_lock(halt->directory, call, seen->id, &lock, error);
    if (status == COFRE_OK)
        status = halt_record_read(halt->directory, seen->id, &record, error);
    if (status == COFRE_OK)
        status = container_look(halt->daemon, call, seen->id, &now, error);
    if (status != COFRE_OK)
        return status == COFRE_E_NOT_FOUND ? COFRE_OK : status;
    if (!record.json && !runs(&now))
        return COFRE_OK;
    if (!record.json)
        status = halt_record_make(&now, way(&now, how), order, &record, error);
    if (status == COFRE_OK)
        status = note(halt, call, id, &now, how, &record, error);
    return status == COFRE_OK ? halt_noted(halt, call, id, &record, error) : status;
}

/* ---- halting all ---- */

static int32_t next_order(const struct halt *halt, int64_t *order, struct cofre_error *error)
{
    HALT_RECORDS_AUTO records = {.items = NULL};
    int32_t status = halt_record_list(halt->directory, NULL, &records, error);
    *order = records.count > 0 ? records.items[0].order + 1 : 1;
    return status;
}

int32_t halt_begin(const struct halt *halt, struct cofre_call *call, const char *id,
                   const struct containers *containers, enum halt_how how, struct cofre_error *error)
{
    int64_t order;
    int32_t status = next_order(halt, &order, error);
    for (size_t i = containers->count; status == COFRE_OK && i-- > 0;) {
        status = cofre->cancelled(call, error);
        if (status == COFRE_OK)
            status = begin_one(halt, call, id, &containers->items[i], how, order++, error);
        cofre->progress(call, 0, 0);
    }
    /* What has a policy, or a supervisor, may have been started again while the others were halted. */
    for (int look = 0; status == COFRE_OK && look < ATTEMPTS; look++) {
        status = halt_check(halt, call, id, error);
        if (status != COFRE_E_CHANGED)
            return status;
        status = COFRE_OK;
        for (size_t i = containers->count; status == COFRE_OK && i-- > 0;)
            status = begin_one(halt, call, id, &containers->items[i], how, order++, error);
    }
    if (status != COFRE_OK)
        return status;
    status = halt_check(halt, call, id, error);
    return status == COFRE_E_CHANGED ? COFRE_E_BUSY : status;
}

/* ---- looking at what is halted ---- */

static int32_t check_record(const struct halt *halt, struct cofre_call *call, const struct halt_record *record,
                            struct cofre_error *error)
{
    CONTAINER_AUTO now = {.json = NULL};
    int32_t status = container_look(halt->daemon, call, record->container, &now, error);
    if (status != COFRE_OK)
        return status == COFRE_E_NOT_FOUND ? COFRE_OK : status;
    bool still =
        record->how == HALT_PAUSE ? now.state == CONTAINER_PAUSED : !runs(&now) && now.state != CONTAINER_PAUSED;
    if (still && strcmp(now.started_at, record->started_at) == 0)
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_CHANGED, "container '%s' was %s, and somebody started it meanwhile", record->name,
                      done(record->how));
}

int32_t halt_check_one(const struct halt *halt, struct cofre_call *call, const char *id, const char *container,
                       struct cofre_error *error)
{
    HALT_RECORD_AUTO record = {.json = NULL};
    int32_t status = halt_record_read(halt->directory, container, &record, error);
    if (status != COFRE_OK || !record.json || !halt_record_is_for(&record, id))
        return status;
    return check_record(halt, call, &record, error);
}

int32_t halt_check(const struct halt *halt, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    HALT_RECORDS_AUTO records = {.items = NULL};
    int32_t status = halt_record_list(halt->directory, id, &records, error);
    for (size_t i = 0; status == COFRE_OK && i < records.count; i++)
        status = check_record(halt, call, &records.items[i], error);
    return status;
}

static int32_t keep_one(const struct halt *halt, struct cofre_call *call, const char *id, const char *container,
                        struct cofre_error *error)
{
    AUTO_CLOSE int lock = -1;
    HALT_RECORD_AUTO record = {.json = NULL};
    int32_t status = halt_record_lock(halt->directory, call, container, &lock, error);
    if (status == COFRE_OK)
        status = halt_record_read(halt->directory, container, &record, error);
    if (status != COFRE_OK || !record.json)
        return status;
    halt_record_drop(&record, id);
    if (halt_record_count(&record) > 0)
        return halt_record_write(halt->directory, &record, error);
    say_log(call, COFRE_LOG_NOTICE, "container '%s' stays %s: docker %s %s", record.name, done(record.how),
            record.how == HALT_STOP ? "start" : "unpause", record.name);
    return halt_record_remove(halt->directory, container, error);
}

int32_t halt_keep(const struct halt *halt, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    HALT_RECORDS_AUTO records = {.items = NULL};
    int32_t status = halt_record_list(halt->directory, id, &records, error);
    for (size_t i = 0; status == COFRE_OK && i < records.count; i++)
        status = keep_one(halt, call, id, records.items[i].container, error);
    return status;
}
