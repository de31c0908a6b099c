#include "job/pin.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "job/snapshot.h"
#include "job/vaults.h"
#include "repository/seal.h"
#include "worker/engine.h"

static int not_found(const struct snapshot_selector *selector, struct error *e)
{
    if (selector->by == SNAPSHOT_ID)
        error_set(e, ERROR_NOT_FOUND, "job '%s' has no snapshot %s", selector->job, selector->id);
    else
        error_set(e, ERROR_NOT_FOUND, "job '%s' has no such snapshot", selector->job);
    return error_hint(e, "see which there are: cofre list %s", selector->job);
}

static int find_id(const struct snapshot_list *list, const struct snapshot_selector *selector,
                   const struct snapshot **found, struct error *e)
{
    *found = NULL;
    for (size_t i = 0; i < list->count; i++) {
        if (strncmp(list->items[i].id, selector->id, strlen(selector->id)) != 0)
            continue;
        if (*found) {
            error_set(e, ERROR_USAGE, "'%s@%s' names more than one snapshot", selector->job, selector->id);
            return error_hint(e, "give more of the id: cofre list %s", selector->job);
        }
        *found = &list->items[i];
    }
    return *found ? 0 : not_found(selector, e);
}

static bool is_meant(const struct snapshot *s, const struct snapshot_selector *selector)
{
    if (s->manifest && manifest_is_suspect(s->manifest) && !(s->said && s->said->accepted))
        return false;
    return selector->by != SNAPSHOT_COMPLETE ||
           (s->manifest && s->manifest->status == MANIFEST_COMPLETE && !s->manifest->partial);
}

static int find(const struct snapshot_list *list, const struct snapshot_selector *selector,
                const struct snapshot **found, struct error *e)
{
    unsigned back = selector->back;
    if (selector->by == SNAPSHOT_ID)
        return find_id(list, selector, found, e);
    for (size_t i = list->count; i-- > 0;) {
        if (!is_meant(&list->items[i], selector) || back-- > 0)
            continue;
        *found = &list->items[i];
        return 0;
    }
    return not_found(selector, e);
}

static int pin(struct vault *vault, const struct pin_request *request, const struct vault_name *name, bool *was,
               struct error *e)
{
    if (request->remove)
        return vault_unpin(vault, name, was, e);
    struct vault_annotation annotation = {.kind = VAULT_PIN, .name = *name, .at = clock_now(), .until = request->until};
    snprintf(annotation.note, sizeof annotation.note, "%s", request->note ? request->note : "");
    return vault_annotate(vault, &annotation, e);
}

static void pin_everywhere(const struct vaults *vaults, const struct pin_request *request,
                           const struct snapshot *snapshot, pin_told *told, void *context)
{
    const char *host = snapshot->host ? snapshot->host : vaults->engine->config->host;
    struct vault_name name = {.id = ""};
    snprintf(name.host, sizeof name.host, "%s", host);
    snprintf(name.job, sizeof name.job, "%s", snapshot->job);
    memcpy(name.id, snapshot->id, sizeof name.id);
    for (size_t i = 0; i < snapshot->sink_count; i++) {
        struct vault *vault = vaults->items[vaults_find(vaults, snapshot->sinks[i])].vault;
        struct error why;
        bool was = false;
        if (pin(vault, request, &name, &was, &why) == 0)
            why = (struct error){.class = ERROR_NONE};
        told(context, snapshot->sinks[i]->name, &name, was, &why);
    }
}

int pin_run(const struct engine *engine, const struct pin_request *request, pin_told *told, void *context,
            size_t *unreachable, struct error *e)
{
    const struct snapshot_selector *selector = request->selector;
    bool names_only = selector->by == SNAPSHOT_ID;
    const struct snapshot *snapshot = NULL;
    struct snapshot_list list = {0};
    struct vaults vaults;
    size_t damaged;
    if (seal_init(e) < 0)
        return -1;
    int result = vaults_choose(engine, selector->job, request->sink, &vaults, e);
    if (result == 0)
        result =
            snapshot_look(&vaults, selector->job, engine->config->host, names_only, &list, unreachable, &damaged, e);
    if (result == 0 && !names_only)
        result = snapshot_annotate(&vaults, selector->job, engine->config->host, &list, e);
    if (result == 0)
        result = find(&list, selector, &snapshot, e);
    if (result == 0)
        pin_everywhere(&vaults, request, snapshot, told, context);
    snapshot_list_free(&list);
    vaults_close(&vaults, NULL);
    return result;
}
