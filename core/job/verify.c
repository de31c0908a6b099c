#include "job/verify.h"

#include <stdio.h>

#include "base/bytes.h"
#include "base/error.h"
#include "format/vault.h"
#include "job/verify_history.h"
#include "repository/seal.h"
#include "worker/sink.h"

struct verify {
    struct vault *vault;
    void (*damage)(void *context, const struct verify_damage *);
    void *context;
    struct verify_result *result;
    struct verify_history history;
};

static void on_damage(void *context, const struct verify_damage *damage)
{
    struct verify *v = context;
    v->result->damages++;
    v->damage(v->context, damage);
}

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

int verify_run(struct vault *vault, const struct verify_request *request,
               void (*damage)(void *context, const struct verify_damage *), void *context, struct verify_result *result,
               struct error *e)
{
    struct verify v = {.vault = vault, .damage = damage, .context = context, .result = result};
    const struct verify_audience audience = {.damage = on_damage, .link = on_link, .context = &v};
    v.history = (struct verify_history){.engine = vault->engine,
                                        .sink = sink_name(vault->sink),
                                        .id = vault->id,
                                        .read = vault->opens ? read_linked : NULL,
                                        .place = vault,
                                        .damage = on_damage,
                                        .context = &v};
    *result = (struct verify_result){0};
    int done = vault->format->verify(vault, request, &audience, result, e);
    if (done == 0 && !request->id)
        done = vault_removals(vault, request->host, request->job, on_removed, &v, e);
    if (done == 0 && !request->id)
        done = verify_history_run(&v.history, request, e);
    verify_history_free(&v.history);
    return done;
}
