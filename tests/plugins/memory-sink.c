/* A sink that keeps objects in memory: all its instances of one place in one process share them. As the contract of a
 * sink that offers sync allows, what one instance has taken is there for the others after its sync only, or when
 * it was asked for what it has, and is lost when it is closed before. */
#include "memory-sink.h"

#include <cofre/plugin.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct conf {
    const char *place;
    int64_t parallel, latency, latency_lists, meet;
    const char *hold;
    const char *fail;
    int64_t fail_at, fail_times;
    int32_t fail_class;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, place, STRING, 0, "", "which store"),
    COFRE_OPTION_RANGE(struct conf, parallel, INTEGER, 0, "1", 1, 64, "instances at once"),
    COFRE_OPTION(struct conf, latency, INTEGER, 0, "0", "ms that a put or get takes"),
    COFRE_OPTION(struct conf, latency_lists, INTEGER, 0, "0", "ms that a listing takes"),
    COFRE_OPTION(struct conf, meet, INTEGER, 0, "0", "puts and gets wait until so many have been under way at once"),
    COFRE_OPTION(struct conf, hold, STRING, 0, "",
                 "puts and whole gets of keys that begin so end when two of their "
                 "kind have been about to at once, or after a while"),
    COFRE_OPTION(struct conf, fail, STRING, 0, "", "the call that fails: open, put, get, stat, list, remove, sync"),
    COFRE_OPTION(struct conf, fail_at, INTEGER, 0, "1", "the first one that fails, of all that the place has had"),
    COFRE_OPTION(struct conf, fail_times, INTEGER, 0, "0", "how many fail, 0 = all from then on"),
    COFRE_OPTION_CHOICE(struct conf, fail_class, 0, "permanent", "permanent|retry|no_space|denied", "how it fails"),
};

static const struct cofre_sink role;
static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = 1,
    .name = "memory-sink",
    .version = "1",
    .summary = "a sink in memory",
    .license = "MIT",
    .example = "place = here",
    .options = COFRE_OPTIONS(struct conf, rows),
    .sink = &role,
};
COFRE_PLUGIN(descriptor)

struct instance;

struct object {
    struct object *next;
    char key[COFRE_MAX_KEY + 1];
    const struct instance *holder; /* whose sync makes it durable; NULL = it is */
    char *bytes;
    size_t length;
};

struct place {
    struct place *next;
    char *name;
    struct object *objects;
    struct memory_counts counts;
    int now, lists; /* puts and gets, listings under way */
    int held[2];    /* puts, gets */
};

struct instance {
    const struct conf *conf;
    struct place *place;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of everything below, and of what it leads to */
static struct place *places;

/* NULL when out of memory. */
static struct place *find_place(const char *name)
{
    struct place *p = places;
    while (p && strcmp(p->name, name) != 0)
        p = p->next;
    if (p || !(p = calloc(1, sizeof *p)))
        return p;
    p->name = strdup(name);
    p->next = places;
    places = p;
    return p;
}

COFRE_EXPORT memory_sink_counts_function memory_sink_counts;
void memory_sink_counts(const char *place, struct memory_counts *counts)
{
    pthread_mutex_lock(&lock);
    *counts = find_place(place)->counts;
    pthread_mutex_unlock(&lock);
}

static struct object **find(const struct instance *in, const char *key)
{
    struct object **o = &in->place->objects;
    while (*o && (strcmp((*o)->key, key) != 0 || ((*o)->holder && (*o)->holder != in)))
        o = &(*o)->next;
    return o;
}

static void drop(struct object **at)
{
    struct object *object = *at;
    *at = object->next;
    free(object->bytes);
    free(object);
}

/* What this instance holds takes the place of what is there. */
static void settle(const struct instance *in)
{
    for (struct object *o = in->place->objects; o; o = o->next) {
        if (o->holder != in)
            continue;
        for (struct object **old = &in->place->objects; *old;) {
            if (*old != o && !(*old)->holder && strcmp((*old)->key, o->key) == 0)
                drop(old);
            else
                old = &(*old)->next;
        }
        o->holder = NULL;
    }
}

/* ---- calls ---- */

/* Count the call; is it one that fails? */
static int32_t begin(const struct instance *in, enum memory_call kind, struct cofre_error *error)
{
    static const char *const names[] = {"open", "put", "get", "stat", "list", "remove", "sync"};
    static const int32_t classes[] = {COFRE_E_PERMANENT, COFRE_E_RETRY, COFRE_E_NO_SPACE, COFRE_E_DENIED};
    const struct conf *conf = in->conf;
    pthread_mutex_lock(&lock);
    int64_t number = ++in->place->counts.calls[kind] - conf->fail_at;
    pthread_mutex_unlock(&lock);
    if (strcmp(conf->fail, names[kind]) != 0 || number < 0 || (conf->fail_times > 0 && number >= conf->fail_times))
        return COFRE_OK;
    return cofre_fail(error, classes[conf->fail_class], "%s: the test wants it to fail", names[kind]);
}

static void pause_for(int64_t ms)
{
    nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000}, NULL);
}

/* One more put or get is under way; all wait until so many are. */
static int32_t enter(const struct instance *in, struct cofre_call *call, struct cofre_error *error)
{
    struct place *p = in->place;
    int32_t result = COFRE_OK;
    pthread_mutex_lock(&lock);
    p->counts.most = ++p->now > p->counts.most ? p->now : p->counts.most;
    while (result == COFRE_OK && p->counts.most < in->conf->meet) {
        pthread_mutex_unlock(&lock);
        pause_for(1);
        result = cofre->cancelled(call, error);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    pause_for(in->conf->latency);
    return result;
}

static void leave(const struct instance *in)
{
    pthread_mutex_lock(&lock);
    in->place->now--;
    pthread_mutex_unlock(&lock);
}

#define HELD_MAX 20000 /* ms */

/* get: 1; put: 0. All of it has been sent, or taken. */
static void hold(const struct instance *in, int get, const char *key)
{
    struct place *p = in->place;
    int *most = get ? &p->counts.most_held_gets : &p->counts.most_held_puts;
    if (!in->conf->hold[0] || strncmp(key, in->conf->hold, strlen(in->conf->hold)) != 0)
        return;
    pthread_mutex_lock(&lock);
    *most = ++p->held[get] > *most ? p->held[get] : *most;
    for (int ms = 0; *most < 2 && ms < HELD_MAX; ms++) {
        pthread_mutex_unlock(&lock);
        pause_for(1);
        pthread_mutex_lock(&lock);
    }
    p->held[get]--;
    pthread_mutex_unlock(&lock);
}

static int32_t sink_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    struct instance *in = calloc(1, sizeof *in);
    if (!in)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    in->conf = conf;
    pthread_mutex_lock(&lock);
    in->place = find_place(in->conf->place);
    pthread_mutex_unlock(&lock);
    int32_t result = in->place ? begin(in, MEMORY_OPEN, error) : cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    if (result != COFRE_OK)
        free(in);
    else
        *instance = in;
    return result;
}

static void sink_close(void *instance)
{
    struct instance *in = instance;
    pthread_mutex_lock(&lock);
    in->place->counts.closed++;
    for (struct object **o = &in->place->objects; *o;) {
        if ((*o)->holder == in)
            drop(o);
        else
            o = &(*o)->next;
    }
    pthread_mutex_unlock(&lock);
    free(in);
}

static int32_t sink_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    (void)instance;
    (void)call;
    (void)depth;
    (void)error;
    return COFRE_OK;
}

static int32_t collect(struct cofre_call *call, struct object *object, struct cofre_error *error)
{
    const void *piece;
    uint64_t n;
    int32_t result;
    while ((result = cofre->take(call, &piece, &n, error)) == COFRE_OK) {
        char *more = realloc(object->bytes, object->length + n);
        if (!more)
            return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
        object->bytes = more;
        memcpy(more + object->length, piece, n);
        object->length += n;
    }
    return result == COFRE_END ? COFRE_OK : result;
}

/* Put in front, where it is found before the one that it replaces. */
static int32_t store(struct instance *in, struct object *object, int only_new, struct cofre_error *error)
{
    int32_t result = COFRE_OK;
    pthread_mutex_lock(&lock);
    struct object **old = find(in, object->key);
    if (*old && only_new) {
        result = cofre_fail(error, COFRE_E_EXISTS, "put '%s': the key is taken", object->key);
    } else {
        if (*old && (*old)->holder == in)
            drop(old);
        object->holder = in;
        object->next = in->place->objects;
        in->place->objects = object;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static int32_t sink_put(void *instance, struct cofre_call *call, const char *key, const struct cofre_put *put,
                        struct cofre_error *error)
{
    struct instance *in = instance;
    struct object *object = calloc(1, sizeof *object);
    if (!object)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    snprintf(object->key, sizeof object->key, "%s", key);
    int32_t result = begin(in, MEMORY_PUT, error);
    if (result == COFRE_OK) {
        result = enter(in, call, error);
        if (result == COFRE_OK)
            result = collect(call, object, error);
        if (result == COFRE_OK)
            hold(in, 0, key);
        if (result == COFRE_OK)
            result = store(in, object, put->flags & COFRE_PUT_IF_ABSENT, error);
        leave(in);
    }
    if (result != COFRE_OK) {
        free(object->bytes);
        free(object);
    }
    return result;
}

static int32_t send(struct cofre_call *call, const char *bytes, size_t length, struct cofre_error *error)
{
    int32_t result = COFRE_OK;
    while (result == COFRE_OK && length > 0) {
        void *buffer;
        size_t n = length;
        result = cofre->reserve(call, &buffer, &n, error);
        if (result != COFRE_OK)
            return result;
        memcpy(buffer, bytes, n);
        result = cofre->commit(call, n, error);
        bytes += n;
        length -= n;
    }
    return result;
}

/* A copy of what is asked for, so that nobody has to wait while it is sent. */
static int32_t cut_out(struct instance *in, const char *key, int64_t offset, int64_t *length, char **bytes,
                       struct cofre_error *error)
{
    int32_t result = COFRE_OK;
    pthread_mutex_lock(&lock);
    settle(in);
    const struct object *o = *find(in, key);
    int64_t left = o ? (int64_t)o->length - offset : 0;
    if (!o) {
        result = cofre_fail(error, COFRE_E_NOT_FOUND, "get '%s': there is no such object", key);
    } else if (left < 0 || *length > left) {
        result = cofre_fail(error, COFRE_E_RANGE, "get '%s': it has only %zu bytes", key, o->length);
    } else {
        *length = *length < 0 ? left : *length;
        *bytes = malloc((size_t)*length + 1);
        if (!*bytes)
            result = cofre_fail(error, COFRE_E_MEMORY, "out of memory");
        else if (*length > 0)
            memcpy(*bytes, o->bytes + offset, (size_t)*length);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static int32_t sink_get(void *instance, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                        struct cofre_error *error)
{
    struct instance *in = instance;
    char *bytes = NULL;
    bool whole = offset == 0 && length < 0;
    int32_t result = begin(in, MEMORY_GET, error);
    if (result != COFRE_OK)
        return result;
    result = enter(in, call, error);
    if (result == COFRE_OK)
        result = cut_out(in, key, offset, &length, &bytes, error);
    if (result == COFRE_OK)
        result = send(call, bytes, (size_t)length, error);
    if (result == COFRE_OK && whole)
        hold(in, 1, key);
    leave(in);
    free(bytes);
    return result;
}

static int32_t sink_stat(void *instance, struct cofre_call *call, const char *key, struct cofre_object *out,
                         struct cofre_error *error)
{
    struct instance *in = instance;
    (void)call;
    int32_t result = begin(in, MEMORY_STAT, error);
    if (result != COFRE_OK)
        return result;
    pthread_mutex_lock(&lock);
    settle(in);
    const struct object *object = *find(in, key);
    if (object)
        out->size = (int64_t)object->length;
    else
        result = cofre_fail(error, COFRE_E_NOT_FOUND, "stat '%s': there is no such object", key);
    pthread_mutex_unlock(&lock);
    return result;
}

/* In one page. */
static int32_t sink_list(void *instance, struct cofre_call *call, const char *prefix, const void *cursor, size_t length,
                         struct cofre_error *error)
{
    struct instance *in = instance;
    (void)cursor;
    (void)length;
    int32_t result = begin(in, MEMORY_LIST, error);
    pthread_mutex_lock(&lock);
    struct memory_counts *counts = &in->place->counts;
    counts->most_lists = ++in->place->lists > counts->most_lists ? in->place->lists : counts->most_lists;
    pthread_mutex_unlock(&lock);
    pause_for(in->conf->latency_lists);
    pthread_mutex_lock(&lock);
    in->place->lists--;
    settle(in);
    for (const struct object *o = in->place->objects; o && result == COFRE_OK; o = o->next) {
        struct cofre_object out = {
            .struct_size = sizeof out, .key = o->key, .size = (int64_t)o->length, .mtime = COFRE_NO_TIME};
        /* One that another hides is not there for this instance. */
        if (strncmp(o->key, prefix, strlen(prefix)) == 0 && *find(in, o->key) == o)
            result = cofre->object(call, &out, error);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static int32_t sink_remove(void *instance, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    struct instance *in = instance;
    (void)call;
    int32_t result = begin(in, MEMORY_REMOVE, error);
    if (result != COFRE_OK)
        return result;
    pthread_mutex_lock(&lock);
    for (struct object **o; *(o = find(in, key));)
        drop(o);
    pthread_mutex_unlock(&lock);
    return COFRE_OK;
}

static int32_t sink_sync(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct instance *in = instance;
    (void)call;
    int32_t result = begin(in, MEMORY_SYNC, error);
    pthread_mutex_lock(&lock);
    if (result == COFRE_OK)
        settle(in);
    pthread_mutex_unlock(&lock);
    return result;
}

static const struct cofre_sink role = {
    .struct_size = sizeof role,
    .capabilities = COFRE_SINK_IF_ABSENT | COFRE_SINK_RANGES,
    .open = sink_open,
    .close = sink_close,
    .check = sink_check,
    .put = sink_put,
    .get = sink_get,
    .stat = sink_stat,
    .list = sink_list,
    .remove = sink_remove,
    .sync = sink_sync,
};
