#include "job/verify_chain.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "job/chain.h"
#include "job/engine.h"
#include "job/snapshot.h"
#include "store/objects.h"
#include "store/repository.h"

/* What a manifest says without being opened. */
struct link {
    char host[64], job[64], id[MANIFEST_ID_SIZE];
    const char *key;
    uint64_t sequence;
    uint8_t hash[SEAL_HASH_SIZE], previous[SEAL_HASH_SIZE], signer[32];
    bool readable;
};

struct links {
    struct link *items;
    size_t count;
};

static void report(struct verify_chain *chain, const struct link *link, const char *text)
{
    char snapshot[201];
    snprintf(snapshot, sizeof snapshot, "%s/%s/%s", link->host, link->job, link->id);
    struct verify_damage damage = {.object = link->key, .text = text, .snapshot = snapshot};
    chain->result->damages++;
    chain->damage(chain->context, &damage);
}

/* Damage inside a manifest is found when it is opened; here it only has no place in the chain. */
static void read_link(struct verify_chain *chain, struct link *link, const struct bytes *object)
{
    struct error e;
    const struct key *key = chain->repository->key;
    seal_hash(object->data, object->length, link->hash);
    link->readable = manifest_peek(object->data, object->length, key, link->key, &link->sequence, link->previous,
                                   link->signer, &e) == 0;
    if (!link->readable && !key->full)
        report(chain, link, e.message);
}

static bool parse_link(const struct verify_request *request, const char *key, struct link *link)
{
    *link = (struct link){.key = key};
    return snapshot_parse_key(key, link->host, link->job, link->id) &&
           (!request->host || strcmp(request->host, link->host) == 0) &&
           (!request->job || strcmp(request->job, link->job) == 0);
}

/* The links that were asked for, nothing of them read; their keys once more to `wanted`. */
static int choose_links(const struct verify_chain *chain, const struct verify_request *request, struct links *links,
                        struct bytes *wanted, struct error *e)
{
    for (size_t at = 0; at < chain->keys->length; at += strlen((const char *)chain->keys->data + at) + 1) {
        struct link link;
        if (!parse_link(request, (const char *)chain->keys->data + at, &link))
            continue;
        struct link *items = realloc(links->items, (links->count + 1) * sizeof *items);
        if (!items)
            return error_memory(e);
        links->items = items;
        items[links->count++] = link;
        bytes_put(wanted, link.key, strlen(link.key) + 1);
    }
    return bytes_check(wanted, "listing of snapshots", e);
}

static int read_links(struct verify_chain *chain, const struct verify_request *request, struct links *links,
                      struct error *e)
{
    AUTO_BYTES struct bytes wanted = {.maximum = chain->keys->length + 1};
    struct objects *objects;
    if (choose_links(chain, request, links, &wanted, e) < 0)
        return -1;
    if (links->count == 0)
        return 0;
    if (objects_new(chain->repository, (const char *)wanted.data, wanted.length, MANIFEST_MAX - 1, &objects, e) < 0)
        return -1;
    int result = 0;
    for (size_t i = 0; result == 0 && i < links->count; i++) {
        const struct bytes *object;
        result = objects_next(objects, &object, e);
        if (result == 0)
            read_link(chain, &links->items[i], object);
    }
    objects_free(objects);
    return result;
}

static int compare_links(const void *a, const void *b)
{
    const struct link *x = a, *y = b;
    int order = strcmp(x->host, y->host);
    order = order ? order : strcmp(x->job, y->job);
    return order ? order : (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

/* Snapshots that the sink is known never to have had, as a later manifest says. Needs the full key. */
static bool is_explained(struct verify_chain *chain, const struct link *link, const struct link *before)
{
    struct manifest *manifest;
    struct error ignored; /* a damaged manifest explains nothing, and is reported by itself */
    if (!chain->repository->key->full || snapshot_read(chain->repository, link->key, &manifest, &ignored) < 0)
        return false;
    uint64_t missed = 0;
    for (size_t i = 0; i < manifest->missed_count; i++)
        missed += strcmp(manifest->missed[i].repository, chain->repository->id_text) == 0 &&
                  strcmp(manifest->missed[i].id, before->id) > 0;
    manifest_free(manifest);
    return missed >= link->sequence - before->sequence - 1;
}

static void check_pair(struct verify_chain *chain, const struct link *before, const struct link *link)
{
    char text[256];
    if (!before->readable || !link->readable || strcmp(before->host, link->host) != 0 ||
        strcmp(before->job, link->job) != 0)
        return;
    if (memcmp(before->signer, link->signer, sizeof link->signer) != 0)
        log_line(
            LOG_NOTICE,
            "sink '%s': '%s' is signed by another key than the snapshot before it: was the key of that host changed?",
            chain->repository->sink, link->key);
    if (link->sequence == before->sequence + 1) {
        if (memcmp(link->previous, before->hash, sizeof link->previous) == 0)
            return;
        snprintf(text, sizeof text, "snapshot %s before it is not the one that it followed", before->id);
        report(chain, link, text);
    } else if (link->sequence <= before->sequence) {
        snprintf(text, sizeof text, "it has the same place in the chain as snapshot %s", before->id);
        report(chain, link, text);
    } else if (!is_explained(chain, link, before)) {
        snprintf(text, sizeof text, "%llu snapshots between %s and this one are missing here",
                 (unsigned long long)(link->sequence - before->sequence - 1), before->id);
        report(chain, link, text);
    }
}

static bool is_listed(const struct links *links, const char *job, const char *host, const char *id)
{
    for (size_t i = 0; i < links->count; i++)
        if (strcmp(links->items[i].id, id) == 0 && strcmp(links->items[i].job, job) == 0 &&
            strcmp(links->items[i].host, host) == 0)
            return true;
    return false;
}

/* This machine remembers what it committed: is the newest of it still there? */
static int check_newest(struct verify_chain *chain, const struct links *links, const char *job, struct error *e)
{
    const struct config *config = chain->engine->config;
    char directory[PATH_MAX];
    struct chain state;
    if (chain_directory(config, job, directory, e) < 0 || chain_load(directory, config->host, &state, e) < 0)
        return -1;
    for (size_t i = state.count; i-- > 0;) {
        const struct chain_link *link = &state.links[i];
        bool here = false;
        for (size_t k = 0; k < link->repository_count; k++)
            here = here || strcmp(link->repositories[k], chain->repository->id_text) == 0;
        if (!here)
            continue;
        if (!is_listed(links, job, config->host, link->id)) {
            struct link gone = {.key = NULL};
            snprintf(gone.host, sizeof gone.host, "%s", config->host);
            snprintf(gone.job, sizeof gone.job, "%s", job);
            snprintf(gone.id, sizeof gone.id, "%s", link->id);
            report(chain, &gone,
                   "it was committed here and is gone: somebody removed it, or put an older state in place");
        }
        break;
    }
    chain_free(&state);
    return 0;
}

static int check_all(struct verify_chain *chain, const struct verify_request *request, struct links *links,
                     struct error *e)
{
    if (read_links(chain, request, links, e) < 0)
        return -1;
    if (links->count > 0)
        qsort(links->items, links->count, sizeof *links->items, compare_links);
    for (size_t i = 1; i < links->count; i++)
        check_pair(chain, &links->items[i - 1], &links->items[i]);
    const struct config *config = chain->engine->config;
    for (size_t i = 0; i < config->job_count; i++) {
        const char *job = config->jobs[i].name;
        if ((request->job && strcmp(request->job, job) != 0) ||
            (request->host && strcmp(request->host, config->host) != 0))
            continue;
        if (check_newest(chain, links, job, e) < 0)
            return -1;
    }
    return 0;
}

int verify_chain_run(struct verify_chain *chain, const struct verify_request *request, struct error *e)
{
    struct links links = {0};
    int result = check_all(chain, request, &links, e);
    free(links.items);
    return result;
}
