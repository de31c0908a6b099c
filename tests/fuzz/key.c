/* The key of an object, as a listing names it: what it is taken for has that key and no other. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "repository/acceptance.h"
#include "repository/annotation.h"
#include "repository/manifest_object.h"
#include "repository/needs.h"
#include "repository/pack_name.h"
#include "repository/placed.h"
#include "repository/plan.h"
#include "repository/removal.h"
#include "repository/repository.h"
#include "repository/revocation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const char *key, const char *again)
{
    if (strcmp(key, again) != 0)
        abort();
}

static void parse_hashed(const char *key)
{
    char again[201], host[64];
    uint8_t hash[SEAL_HASH_SIZE];
    struct pack_name pack;
    struct acceptance acceptance;
    if (pack_name_parse_key(key, &pack)) {
        pack_name_key(&pack, again);
        same(key, again);
    }
    if (repository_parse_index_key(key, host, hash)) {
        repository_index_key(host, hash, again);
        same(key, again);
    }
    if (revocation_parse_key(key, hash)) {
        revocation_key(hash, again);
        same(key, again);
    }
    if (acceptance_parse_key(key, &acceptance)) {
        acceptance_key(&acceptance, again);
        same(key, again);
    }
}

/* What a host may have beside its needs is not made again. */
static void parse_placed(const char *key)
{
    static const char *const prefixes[] = {NEEDS_PREFIX, REMOVAL_PREFIX};
    char again[201];
    struct vault_name name;
    enum vault_annotation_kind kind;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (placed_parse_key(prefixes[i], key, &name)) {
            placed_key(prefixes[i], &name, again);
            if (strncmp(key, again, strlen(again)) != 0)
                abort();
        }
    if (annotation_parse_key(key, &kind, &name)) {
        placed_key(annotation_prefix(kind), &name, again);
        same(key, again);
    }
}

static void parse_named(const char *key)
{
    char again[201], host[64], job[64], id[MANIFEST_ID_SIZE];
    if (manifest_object_parse_key(key, host, job, id)) {
        manifest_object_key(host, job, id, again);
        same(key, again);
    }
    if (plan_parse_key(key, host, id)) {
        plan_key(host, id, again);
        same(key, again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *key = malloc(size + 1);
    if (!key)
        abort();
    if (size > 0)
        memcpy(key, data, size);
    key[size] = '\0';
    parse_hashed(key);
    parse_placed(key);
    parse_named(key);
    free(key);
    return 0;
}
