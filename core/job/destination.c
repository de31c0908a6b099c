#include "job/destination.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "format/vault.h"
#include "job/backup.h"
#include "job/commit.h"
#include "job/formats.h"
#include "job/space.h"
#include "repository/baseline.h"
#include "worker/engine.h"
#include "worker/sink.h"
#include "worker/worker.h"

/* ---- how full they are ---- */

static void measure(struct destination *item)
{
    struct backup_sink *r = item->result;
    const struct space space = space_measure(item->vault->engine->config, item->config, item->vault->sink, r->added);
    r->space = space.total;
    r->available = space.available;
}

/* Most of all where there was no room; one that failed otherwise may have nobody left who could tell. */
static void measure_full(struct destination *item, const struct error *why)
{
    if (item->vault && why && why->class == ERROR_NO_SPACE)
        measure(item);
}

/* ---- opening ---- */

/* The failure of the only sink is that of the run, and said with it. */
static void drop(const struct destinations *d, struct destination *item, const struct error *why)
{
    if (item->result->error)
        return;
    char text[ERROR_TEXT_MAX];
    item->result->error = text_copy(error_text(why, text));
    measure_full(item, why);
    if (d->run.job->sink_count > 1)
        log_error(LOG_ERROR, why);
}

/* The first is kept for the record: who looks at that sees the others when it is mended. */
static void warn(void *context, const char *text, const char *hint)
{
    const struct destination *item = context;
    struct error e;
    error_set(&e, ERROR_PERMANENT, "%s", text);
    error_subject(&e, "sink", item->config->name);
    error_hint(&e, "%s", hint);
    log_error(LOG_WARNING, &e);
    if (!item->result->warning)
        item->result->warning = text_copy(text);
}

/* What is to seal is shown to work before anything is read. */
static int open_one(struct destinations *d, struct destination *item, struct manifest *manifest, struct error *e)
{
    if (formats_open(d->run.engine, item->config, &item->vault, e) < 0)
        return -1;
    struct vault *vault = item->vault;
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].vault && vault_fits(d->items[i].vault, vault, e) < 0)
            return error_subject(e, "job", d->run.job->name);
    if (vault_ready(vault, warn, item, e) < 0)
        return -1;
    vault_sweep(vault);
    if (vault_prepare(vault, VAULT_SAVE, e) < 0)
        return -1;
    if (history_compare(&d->history, vault, d->run.job->name, manifest, e) < 0)
        return error_subject(e, "sink", item->config->name);
    return 0;
}

/* The saver that serves sinks of this format together is the first, since it fills in a source's row for the others. */
static struct saver *saver_for(struct destinations *d, const struct saver_calls *calls)
{
    struct savers *s = &d->savers;
    if (calls->together && s->count > 0 && s->items[0].calls == calls)
        return &s->items[0];
    size_t at = calls->together ? 0 : s->count;
    memmove(&s->items[at + 1], &s->items[at], (s->count - at) * sizeof s->items[0]);
    s->items[at] = (struct saver){.calls = calls, .run = &d->run};
    s->count++;
    d->run.whole = d->run.whole || !calls->takes_over;
    return &s->items[at];
}

/* The items that a saver serves are those with its vaults, in the same order. */
static struct destination *item_of(struct destinations *d, const struct vault *vault)
{
    size_t i = 0;
    while (d->items[i].vault != vault)
        i++;
    return &d->items[i];
}

static int take_in(struct destinations *d, struct destination *item, struct error *e)
{
    struct saver *saver = saver_for(d, item->vault->format->saver);
    saver->vaults[saver->count++] = item->vault;
    item->result->plugin_version = text_copy(sink_plugin(item->vault->sink)->version);
    return item->result->plugin_version ? 0 : error_memory(e);
}

int destination_open(struct destinations *d, struct backup_sink *results, struct manifest *manifest, struct error *e)
{
    size_t count = d->run.job->sink_count;
    struct error first = {0};
    if (!(d->items = calloc(count, sizeof *d->items)))
        return error_memory(e);
    for (; d->count < count; d->count++) {
        struct destination *item = &d->items[d->count];
        *item = (struct destination){.config = d->run.job->sinks[d->count], .result = &results[d->count]};
        if (open_one(d, item, manifest, e) == 0) {
            if (take_in(d, item, e) == 0)
                continue;
            d->count++; /* it is open, and freed with the others */
            return -1;
        }
        bool never = e->class == ERROR_CONFIG || e->class == ERROR_CANCELLED;
        if (!never)
            drop(d, item, e);
        vault_close(item->vault);
        item->vault = NULL;
        if (never)
            return -1;
        if (d->count == 0)
            first = *e;
    }
    if (d->savers.count > 0)
        return 0;
    *e = first;
    return -1;
}

int destination_before(struct destinations *d, const struct manifest *now, struct manifest **before, struct error *e)
{
    struct vault_name name = {.id = ""};
    snprintf(name.host, sizeof name.host, "%s", now->host);
    snprintf(name.job, sizeof name.job, "%s", now->job);
    snprintf(name.id, sizeof name.id, "%s", now->previous_id);
    error_set(e, ERROR_AUTH, "no key is at hand that opens snapshot %s", name.id);
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].vault && d->items[i].vault->opens && vault_read(d->items[i].vault, &name, before, e) == 0)
            return 0;
    return -1;
}

struct asking {
    const struct manifest *suspect;
    bool accepted;
};

static int hear(void *context, const struct vault_annotation *a, struct error *e)
{
    struct asking *asking = context;
    (void)e;
    if (!a->unreadable && a->kind == VAULT_ACCEPTED && strcmp(a->name.id, asking->suspect->id) == 0 &&
        memcmp(a->hash, asking->suspect->hash, sizeof a->hash) == 0)
        asking->accepted = true;
    return 0;
}

int destination_accepted(struct destinations *d, const struct manifest *suspect, bool *accepted, struct error *e)
{
    struct asking asking = {.suspect = suspect};
    for (size_t i = 0; i < d->count && !asking.accepted; i++) {
        struct vault *vault = d->items[i].vault;
        if (!vault || vault_annotations(vault, suspect->host, suspect->job, hear, &asking, e) == 0)
            continue;
        if (e->class == ERROR_MEMORY || e->class == ERROR_CANCELLED)
            return -1;
        log_error(LOG_WARNING, e);
    }
    *accepted = asking.accepted;
    return 0;
}

/* ---- sources ---- */

int destination_start(struct destinations *d, const struct manifest *manifest, struct error *e)
{
    for (size_t i = 0; i < d->savers.count; i++)
        if (d->savers.items[i].calls->start(&d->savers.items[i], manifest, e) < 0)
            return -1;
    return 0;
}

void destination_close(struct destinations *d, const struct error *why)
{
    for (size_t i = 0; i < d->savers.count; i++) {
        struct saver *saver = &d->savers.items[i];
        for (size_t k = 0; k < saver->count; k++) {
            const struct error *own = saver_failure(saver, k);
            measure_full(item_of(d, saver->vaults[k]), own ? own : why);
        }
        saver->calls->free(saver);
    }
    history_free(&d->history);
    for (size_t i = 0; i < d->count; i++)
        vault_close(d->items[i].vault);
    free(d->items);
}

int destination_begin(struct destinations *d, size_t i, const char *source, const struct plugin_info *plugin,
                      struct baseline **baseline, struct error *e)
{
    static const uint8_t no_key[16];
    *baseline = NULL;
    if (saver_begin(&d->savers, i, source, plugin, baseline, e) < 0)
        return -1;
    return *baseline ? 0 : baseline_none(no_key, baseline, e);
}

void destination_end(struct destinations *d, struct baseline *baseline, bool failed)
{
    saver_leave(&d->savers, failed);
    baseline_close(baseline);
}

/* ---- commit ---- */

static void collect_added(struct destinations *d, struct manifest *m)
{
    for (size_t i = 0; i < d->savers.count; i++) {
        const struct saver *saver = &d->savers.items[i];
        for (size_t k = 0; k < saver->count; k++) {
            uint64_t added = item_of(d, saver->vaults[k])->result->added = saver->calls->added(saver, k);
            if (!saver_failure(saver, k) && added > m->added)
                m->added = added;
        }
    }
}

static int commit_one(const struct destinations *d, struct saver *saver, size_t k, struct destination *item,
                      const struct manifest *manifest, const char *key, const struct bytes *object, struct error *e)
{
    const struct saver_calls *calls = saver->calls;
    if ((!calls->protect || calls->protect(saver, k, manifest, object, e) == 0) &&
        commit_manifest(item->vault->sink, key, object, e) == 0 &&
        (!calls->look || calls->look(saver, k, manifest, e) == 0)) {
        item->result->committed = true;
        measure(item);
        log_line(LOG_NOTICE, "committed %s@%s to %s", manifest->job, manifest->id, item->config->name);
        return 0;
    }
    error_subject(e, "sink", item->config->name);
    drop(d, item, e);
    return -1;
}

static void commit_saver(struct destinations *d, struct saver *saver, struct manifest *m, struct history_forms *forms,
                         struct error *e)
{
    AUTO_BYTES struct bytes object = {.maximum = MANIFEST_MAX};
    char key[201];
    bool any = false;
    if (saver->failed)
        return;
    if (saver->calls->seal(saver, m, &object, key, e) < 0) {
        saver_fail(saver, e, d->savers.count > 1);
        return;
    }
    history_add_form(forms, object.data, object.length);
    for (size_t k = 0; k < saver->count; k++)
        if (!saver_failure(saver, k) && commit_one(d, saver, k, item_of(d, saver->vaults[k]), m, key, &object, e) == 0)
            any = true;
    if (any)
        saver->calls->committed(saver, m);
}

/* Those that failed before: which was said at once. */
static void give_up(struct destinations *d, struct error *e)
{
    for (size_t i = 0; i < d->savers.count; i++) {
        const struct saver *saver = &d->savers.items[i];
        for (size_t k = 0; k < saver->count; k++) {
            const struct error *why = saver_failure(saver, k);
            struct backup_sink *result = item_of(d, saver->vaults[k])->result;
            char text[ERROR_TEXT_MAX];
            if (!why)
                continue;
            *e = *why;
            if (!result->error)
                result->error = text_copy(error_text(why, text));
        }
    }
}

static int remember(struct destinations *d, const struct manifest *manifest, const struct history_forms *forms,
                    struct error *e)
{
    const char *committed[SAVER_SINKS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < d->count; i++)
        if (d->items[i].result->committed)
            committed[count++] = d->items[i].vault->id;
    if (count == 0)
        return -1; /* *e says why the last of them failed */
    if (history_append(&d->history, manifest, forms, committed, count, e) < 0)
        log_line(LOG_WARNING, "the snapshot is committed, but this machine could not note it: %s", e->message);
    return 0;
}

int destination_commit(struct destinations *d, struct manifest *manifest, struct error *e)
{
    struct history_forms forms = {.count = 0};
    if (saver_store(&d->savers, manifest, e) < 0)
        return -1;
    collect_added(d, manifest);
    manifest->ended = clock_now();
    for (size_t i = 0; i < d->savers.count; i++)
        commit_saver(d, &d->savers.items[i], manifest, &forms, e);
    give_up(d, e);
    return remember(d, manifest, &forms, e);
}
