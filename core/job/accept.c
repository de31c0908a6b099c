#include "job/accept.h"

#include <stdlib.h>
#include <string.h>

#include "attempt/records.h"
#include "base/bytes.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "job/snapshot.h"
#include "job/vaults.h"
#include "repository/seal.h"
#include "worker/engine.h"

#define FOUND_MAX ((size_t)1 << 24) /* bytes */

/* One sink's word of the snapshot. */
struct found {
    size_t item; /* of the vaults */
    struct vault_standing standing;
    struct error why;
};

struct accepting {
    struct vaults vaults;
    const struct snapshot_selector *selector;
    size_t item;
    struct bytes found; /* struct found each */
};

static int take(void *context, const struct vault_standing *standing, const struct error *why, struct error *e)
{
    struct accepting *a = context;
    struct found found = {.item = a->item, .standing = *standing, .why = *why};
    found.standing.manifest = NULL; /* lent */
    if (standing->removed || strncmp(standing->name.id, a->selector->id, strlen(a->selector->id)) != 0)
        return 0;
    bytes_put(&a->found, &found, sizeof found);
    return bytes_check(&a->found, "list of snapshots", e);
}

static int look(struct accepting *a, size_t *unreachable, struct error *e)
{
    const char *host = a->vaults.engine->config->host;
    struct vault *vault;
    size_t reached = 0;
    *unreachable = 0;
    for (a->item = 0; a->item < a->vaults.count; a->item++) {
        if (vaults_open(&a->vaults, a->item, &vault, e) == 0 &&
            vault_standings(vault, host, a->selector->job, take, a, e) == 0) {
            reached++;
            continue;
        }
        if (a->vaults.only || e->class == ERROR_MEMORY || cancel_requested())
            return -1;
        ++*unreachable;
        if (reached > 0 || a->item + 1 < a->vaults.count)
            log_error(LOG_WARNING, e);
    }
    return reached > 0 ? 0 : -1;
}

static int check_found(const struct accepting *a, const struct found *found, size_t count, struct error *e)
{
    const struct snapshot_selector *selector = a->selector;
    if (count == 0) {
        error_set(e, ERROR_NOT_FOUND, "job '%s' has no snapshot %s", selector->job, selector->id);
        return error_hint(e, "see which there are: cofre list %s", selector->job);
    }
    for (size_t i = 1; i < count; i++)
        if (strcmp(found[i].standing.name.id, found[0].standing.name.id) != 0) {
            error_set(e, ERROR_USAGE, "'%s@%s' names more than one snapshot", selector->job, selector->id);
            return error_hint(e, "give more of the id: cofre list %s", selector->job);
        }
    return 0;
}

static int accept_one(struct accepting *a, const struct found *found, struct error *e)
{
    struct vault_annotation annotation = {.kind = VAULT_ACCEPTED, .name = found->standing.name, .at = clock_now()};
    if (found->why.class != ERROR_NONE) {
        *e = found->why;
        return -1;
    }
    if (!found->standing.suspect)
        return 0;
    memcpy(annotation.hash, found->standing.hash, sizeof annotation.hash);
    return vault_annotate(a->vaults.items[found->item].vault, &annotation, e);
}

static void accept_all(struct accepting *a, const struct found *found, size_t count, accept_told *told, void *context)
{
    for (size_t i = 0; i < count; i++) {
        struct error why;
        if (accept_one(a, &found[i], &why) == 0)
            why = (struct error){.class = ERROR_NONE};
        told(context, a->vaults.items[found[i].item].sink->name, &found[i].standing,
             found[i].standing.suspect && why.class == ERROR_NONE, &why);
    }
}

int accept_run(const struct engine *engine, const struct snapshot_selector *selector,
               const struct config_instance *sink, accept_told *told, void *context, size_t *unreachable,
               struct error *e)
{
    struct accepting a = {.selector = selector, .found = {.maximum = FOUND_MAX}};
    if (selector->by != SNAPSHOT_ID) {
        error_set(e, ERROR_USAGE, "what is accepted is named by its id");
        return error_hint(e, "see the ids: cofre list %s", selector->job);
    }
    if (seal_init(e) < 0)
        return -1;
    int result = vaults_choose(engine, selector->job, sink, &a.vaults, e);
    if (result == 0)
        result = look(&a, unreachable, e);
    const struct found *found = (const struct found *)(const void *)a.found.data;
    size_t count = a.found.length / sizeof *found;
    if (result == 0)
        result = check_found(&a, found, count, e);
    if (result == 0)
        accept_all(&a, found, count, told, context);
    bytes_free(&a.found);
    vaults_close(&a.vaults, NULL);
    return result;
}

/* ---- the last run ---- */

struct last {
    json_t *accepted; /* ids, as members */
    char *id;
    bool no_memory;
};

static bool is_suspect(const json_t *record)
{
    const json_t *rows = json_object_get(record, "sources");
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (records_text(json_array_get(rows, i), "suspect"))
            return true;
    return false;
}

/* Newest first: an acceptance stands behind its run. */
static bool visit(void *context, const char *line, size_t length)
{
    struct last *last = context;
    json_t *record = records_parse(line, length);
    const char *id = record ? records_text(record, "snapshot") : NULL,
               *command = id ? records_text(record, "command") : "";
    bool run = strcmp(command, "run") == 0 && strlen(id) < MANIFEST_ID_SIZE;
    if (record && records_accepted(record) && json_object_set_new(last->accepted, id, json_true()) < 0)
        last->no_memory = true;
    if (run && is_suspect(record) && !json_object_get(last->accepted, id))
        memcpy(last->id, id, strlen(id) + 1);
    json_decref(record);
    return !run;
}

int accept_last(const char *directory, char id[MANIFEST_ID_SIZE], struct error *e)
{
    struct last last = {.accepted = json_object(), .id = id};
    id[0] = '\0';
    int result = last.accepted ? records_back(directory, visit, &last, e) : error_memory(e);
    if (result == 0 && last.no_memory)
        result = error_memory(e);
    json_decref(last.accepted);
    return result;
}
