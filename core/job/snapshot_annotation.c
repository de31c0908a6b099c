/* Of snapshots (snapshot.h): what pins, proofs and acceptances say of them. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "job/snapshot.h"
#include "job/vaults.h"
#include "worker/sink.h"

static int compare_id(const void *id, const void *snapshot)
{
    return strcmp(id, ((const struct snapshot *)snapshot)->id);
}

static bool is_of(const struct snapshot *s, const struct vault_name *name)
{
    return strcmp(s->id, name->id) == 0 && strcmp(s->job, name->job) == 0 &&
           (!s->host || name->host[0] == '\0' || strcmp(s->host, name->host) == 0);
}

/* The list is in the order of ids, of which several hosts may have the same. */
static struct snapshot *find(const struct snapshot_list *list, const struct vault_name *name)
{
    struct snapshot *found =
        list->count > 0 ? bsearch(name->id, list->items, list->count, sizeof *list->items, compare_id) : NULL;
    if (!found)
        return NULL;
    while (found > list->items && strcmp(found[-1].id, name->id) == 0)
        found--;
    for (; found < list->items + list->count && strcmp(found->id, name->id) == 0; found++)
        if (is_of(found, name))
            return found;
    return NULL;
}

static void take_pin(struct snapshot_said *said, const struct vault_annotation *pin)
{
    if (said->pinned && said->until >= pin->until)
        return;
    said->pinned = true;
    said->until = pin->until;
    memcpy(said->note, pin->note, sizeof said->note);
}

static void take_proof(struct snapshot_proof *proof, const struct vault_annotation *annotation)
{
    if (proof->at >= annotation->at)
        return;
    proof->at = annotation->at;
    memcpy(proof->hash, annotation->hash, sizeof proof->hash);
}

/* An archive's is of any manifest; of one that was not read its name must do. */
static bool accepts(const struct snapshot *s, const struct vault_annotation *annotation)
{
    static const uint8_t any[MANIFEST_HASH_SIZE];
    return !s->manifest || memcmp(annotation->hash, any, sizeof any) == 0 ||
           memcmp(annotation->hash, s->manifest->hash, sizeof any) == 0;
}

static int take(void *context, const struct vault_annotation *annotation, struct error *e)
{
    struct snapshot_list *list = context;
    struct snapshot *s = find(list, &annotation->name);
    if (!s)
        return 0;
    if (!s->said && !(s->said = calloc(1, sizeof *s->said)))
        return error_memory(e);
    if (annotation->unreadable)
        s->said->unread = list->unsaid = true;
    else if (annotation->kind == VAULT_ACCEPTED)
        s->said->accepted = s->said->accepted || accepts(s, annotation);
    else if (annotation->kind == VAULT_PIN)
        take_pin(s->said, annotation);
    else
        take_proof(annotation->kind == VAULT_VERIFIED ? &s->said->verified : &s->said->proven, annotation);
    return 0;
}

int snapshot_annotate(const struct vaults *vaults, const char *job, const char *host, struct snapshot_list *list,
                      struct error *e)
{
    for (size_t i = 0; i < vaults->count && list->count > 0; i++) {
        struct vault *vault = vaults->items[i].vault;
        if (!vault || vaults->items[i].why.class != ERROR_NONE ||
            vault_annotations(vault, host, job, take, list, e) == 0)
            continue;
        if (e->class == ERROR_MEMORY || e->class == ERROR_CANCELLED)
            return -1;
        error_subject(e, "sink", sink_name(vault->sink));
        error_context(e, "what is said of snapshots cannot be looked at: ");
        list->unsaid = true;
        log_error(LOG_WARNING, e);
    }
    return 0;
}
