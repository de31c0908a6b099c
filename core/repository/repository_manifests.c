/* Of a repository: many manifests. To open one takes about a third of a millisecond, most of it for its signature and
 * its key, so that those that are read are opened by other threads meanwhile, and given in their order. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "flow/line.h"
#include "flow/task.h"
#include "repository/manifest_object.h"
#include "repository/repository.h"
#include "repository/signers.h"
#include "snapshot/manifest.h"
#include "worker/sink.h"

#define WORKERS_MAX 4
#define ITEMS (2 * WORKERS_MAX)
#define AHEAD_MAX ((size_t)256 << 10) /* bytes of a manifest that may wait for its turn */

/* A manifest on its way. */
struct item {
    char key[201];
    struct bytes object;
    struct manifest *manifest; /* NULL = it cannot be opened, or may not be */
    struct manifest_clear clear;
    struct error wrong; /* ERROR_NONE = nothing is */
};

struct manifests {
    struct repository *repository;
    repository_manifest *found;
    void *context;
    struct line *line;
    struct item items[ITEMS];
    void *slots[ITEMS];
};

/* By any thread: what takes time, and changes nothing. */
static int open_item(void *context, size_t worker, void *p, struct error *e)
{
    const struct manifests *m = context;
    const struct repository *r = m->repository;
    struct item *item = p;
    const struct bytes *object = &item->object;
    (void)worker;
    (void)e;
    item->manifest = NULL;
    if (item->wrong.class != ERROR_NONE)
        return 0;
    if (r->key->full)
        (void)manifest_object_open(object->data, object->length, r->key, r->signers, item->key, &item->manifest,
                                   &item->wrong);
    else
        (void)manifest_object_peek(object->data, object->length, r->key, item->key, &item->clear, &item->wrong);
    return 0;
}

/* Is it the word of somebody who counts? Who that is may follow from those before. */
static int admit(struct repository *r, const struct item *item, struct error *e)
{
    const struct bytes *object = &item->object;
    if (item->manifest)
        return manifest_object_admit_opened(r, object->data, object->length, item->key, item->manifest, e);
    const struct signers_claim claim =
        manifest_object_claim(object->data, object->length, item->key, item->clear.signer);
    return signers_admit(r->signers, &claim, e);
}

static int give_item(void *context, void *p, struct error *e)
{
    const struct manifests *m = context;
    struct item *item = p;
    if (item->wrong.class == ERROR_NONE && admit(m->repository, item, &item->wrong) < 0) {
        manifest_free(item->manifest);
        item->manifest = NULL;
    }
    struct manifest *manifest = item->manifest;
    item->manifest = NULL;
    return m->found(m->context, manifest, &item->wrong, e);
}

/* A large one is not kept beside others. */
static int open_here(struct manifests *m, const char *key, const struct bytes *object, struct error *e)
{
    struct item item = {.object = *object, .wrong = {.class = ERROR_NONE}};
    snprintf(item.key, sizeof item.key, "%s", key);
    if (line_drain(m->line, e) < 0 || open_item(m, 0, &item, e) < 0)
        return -1;
    return give_item(m, &item, e);
}

static int take(void *context, const char *key, const struct bytes *object, const struct error *why, struct error *e)
{
    struct manifests *m = context;
    void *slot;
    if (object && object->length > AHEAD_MAX)
        return open_here(m, key, object, e);
    if (line_slot(m->line, &slot, e) < 0)
        return -1;
    struct item *item = slot;
    snprintf(item->key, sizeof item->key, "%s", key);
    bytes_reset(&item->object);
    item->wrong = object ? (struct error){.class = ERROR_NONE} : *why;
    if (object)
        bytes_put(&item->object, object->data, object->length);
    return bytes_check(&item->object, key, e) < 0 ? -1 : line_submit(m->line, e);
}

static int begin(struct manifests *m, struct error *e)
{
    size_t workers = task_processors();
    for (size_t i = 0; i < ITEMS; i++) {
        m->items[i].object.maximum = AHEAD_MAX;
        m->slots[i] = &m->items[i];
    }
    const struct line_spec spec = {.slots = ITEMS,
                                   .workers = workers < 2             ? 0
                                              : workers < WORKERS_MAX ? workers
                                                                      : WORKERS_MAX,
                                   .items = m->slots,
                                   .work = open_item,
                                   .consume = give_item,
                                   .context = m};
    return line_new(&spec, &m->line, e);
}

static void end(struct manifests *m)
{
    line_free(m->line);
    for (size_t i = 0; i < ITEMS; i++) {
        bytes_free(&m->items[i].object);
        manifest_free(m->items[i].manifest);
    }
    free(m);
}

int repository_each_manifest(struct repository *r, const struct bytes *keys, repository_manifest *found, void *context,
                             struct error *e)
{
    struct manifests *m = calloc(1, sizeof *m);
    if (!m)
        return error_memory(e);
    m->repository = r;
    m->found = found;
    m->context = context;
    int result = begin(m, e);
    if (result == 0)
        result = sink_get_each(r->sink, (const char *)keys->data, keys->length, MANIFEST_OBJECT_MAX, take, m, e);
    if (result == 0)
        result = line_drain(m->line, e);
    end(m);
    return result;
}
