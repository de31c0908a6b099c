#include "job/verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "format/vault.h"
#include "job/verify_history.h"
#include "repository/seal.h"
#include "worker/sink.h"

#define HELD_MAX 4096u /* damages */
#define NAMES_MAX ((size_t)256 << 20)

/* A damage, kept until it is known whether its snapshot was removed meanwhile. */
struct held {
    char *object, *text, *snapshot, *source, *path; /* as of verify_damage; NULL likewise */
};

struct verify {
    struct vault *vault;
    void (*damage)(void *context, const struct verify_damage *);
    void *context;
    struct verify_result *result;
    struct verify_history history;
    struct held held[HELD_MAX];
    size_t held_count;
    struct bytes there; /* struct vault_name of all that is there, once it was asked for */
};

/* ---- damages ---- */

static void tell(struct verify *v, const struct verify_damage *damage)
{
    v->result->damages++;
    v->damage(v->context, damage);
}

static void tell_held(struct verify *v, const struct held *h)
{
    const struct verify_damage damage = {
        .object = h->object, .text = h->text, .snapshot = h->snapshot, .source = h->source, .path = h->path};
    tell(v, &damage);
}

static bool copy(const char *text, char **out)
{
    *out = text ? strdup(text) : NULL;
    return !text || *out;
}

static void free_held(struct held *h)
{
    free(h->object);
    free(h->text);
    free(h->snapshot);
    free(h->source);
    free(h->path);
}

static bool hold(struct verify *v, const struct verify_damage *damage)
{
    struct held h = {0};
    bool held = damage->snapshot && v->held_count < HELD_MAX && copy(damage->object, &h.object) &&
                copy(damage->text, &h.text) && copy(damage->snapshot, &h.snapshot) && copy(damage->source, &h.source) &&
                copy(damage->path, &h.path);
    if (held)
        v->held[v->held_count++] = h;
    else
        free_held(&h);
    return held;
}

/* Of no snapshot, or of more than are kept: it is told at once. */
static void on_damage(void *context, const struct verify_damage *damage)
{
    struct verify *v = context;
    if (!hold(v, damage))
        tell(v, damage);
}

/* ---- what went meanwhile ---- */

static int note_there(void *context, const struct vault_name *name, struct error *e)
{
    struct bytes *there = context;
    bytes_put(there, name, sizeof *name);
    return bytes_check(there, "listing of snapshots", e);
}

/* Is it listed now? Who cannot say says yes. */
static bool is_there(struct verify *v, const struct verify_link *link)
{
    struct error e;
    if (v->there.length == 0 && vault_names(v->vault, NULL, NULL, note_there, &v->there, &e) < 0)
        return true;
    const struct vault_name *names = (const struct vault_name *)(const void *)v->there.data;
    for (size_t i = 0; i < v->there.length / sizeof *names; i++)
        if (strcmp(names[i].id, link->id) == 0 && strcmp(names[i].job, link->job) == 0 &&
            (names[i].host[0] == '\0' || strcmp(names[i].host, link->host) == 0))
            return true;
    return false;
}

/* A record says that it was removed: when it was there and is not any more, what was found wrong with it is nothing. */
static bool went(void *context, const struct verify_link *link)
{
    struct verify *v = context;
    char snapshot[201];
    size_t kept = 0;
    bool damaged = false;
    if (is_there(v, link))
        return false;
    snprintf(snapshot, sizeof snapshot, "%s/%s/%s", link->host, link->job, link->id);
    for (size_t i = 0; i < v->held_count; i++) {
        if (strcmp(v->held[i].snapshot, snapshot) != 0) {
            v->held[kept++] = v->held[i];
            continue;
        }
        damaged = true;
        free_held(&v->held[i]);
    }
    v->held_count = kept;
    v->result->snapshots_damaged -= damaged && v->result->snapshots_damaged > 0;
    log_line(LOG_NOTICE, "sink '%s': snapshot %s was removed while it was verified", v->history.sink, snapshot);
    return true;
}

/* ---- the whole ---- */

static int on_link(void *context, struct verify_link *link, const struct bytes *manifest, struct error *e)
{
    struct verify *v = context;
    seal_hash(manifest->data, manifest->length, link->hash);
    return verify_history_add(&v->history, link, e);
}

static int on_removed(void *context, const struct verify_link *removed, struct error *e)
{
    struct verify *v = context;
    return verify_history_add(&v->history, removed, e);
}

static int read_linked(void *place, const struct verify_link *link, struct manifest **manifest, struct error *e)
{
    struct vault_name name;
    snprintf(name.host, sizeof name.host, "%s", link->host);
    snprintf(name.job, sizeof name.job, "%s", link->job);
    snprintf(name.id, sizeof name.id, "%s", link->id);
    return vault_read(place, &name, manifest, e);
}

static int look(struct verify *v, const struct verify_request *request, struct error *e)
{
    const struct verify_audience audience = {.damage = on_damage, .link = on_link, .context = v};
    int done = v->vault->format->verify(v->vault, request, &audience, v->result, e);
    if (done == 0 && !request->id)
        done = vault_removals(v->vault, request->host, request->job, on_removed, v, e);
    if (done == 0 && !request->id)
        done = verify_history_run(&v->history, request, e);
    return done;
}

int verify_run(struct vault *vault, const struct verify_request *request,
               void (*damage)(void *context, const struct verify_damage *), void *context, struct verify_result *result,
               struct error *e)
{
    struct verify *v = calloc(1, sizeof *v);
    *result = (struct verify_result){0};
    if (!v)
        return error_memory(e);
    v->vault = vault;
    v->damage = damage;
    v->context = context;
    v->result = result;
    v->there.maximum = NAMES_MAX;
    v->history = (struct verify_history){.engine = vault->engine,
                                         .sink = sink_name(vault->sink),
                                         .id = vault->id,
                                         .read = vault->opens ? read_linked : NULL,
                                         .went = went,
                                         .place = vault,
                                         .damage = on_damage,
                                         .context = v};
    int done = look(v, request, e);
    for (size_t i = 0; i < v->held_count; i++) {
        tell_held(v, &v->held[i]);
        free_held(&v->held[i]);
    }
    verify_history_free(&v->history);
    bytes_free(&v->there);
    free(v);
    return done;
}
