#include "repository/cache_path.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/config.h"
#include "repository/key.h"
#include "repository/seal.h"
#include "worker/worker.h"

int cache_path_directory(const struct config *config, const struct key *key, const char *job, char *out,
                         struct error *e)
{
    char id[2 * KEY_ID_SIZE + 1];
    text_hex(key->public.id, KEY_ID_SIZE, id);
    if (snprintf(out, PATH_MAX, "%s/%s/%s", config->cache_dir, id, job) >= PATH_MAX - 128)
        return error_set(e, ERROR_CONFIG, "cache_dir '%s' is too long", config->cache_dir);
    return file_make_trusted(out, e);
}

int cache_path_catalogue(const char *directory, const char *source, char *out, char *fresh, struct error *e)
{
    if (snprintf(out, PATH_MAX, "%s/%s.catalogue", directory, source) >= PATH_MAX ||
        snprintf(fresh, PATH_MAX, "%s/%s.fresh", directory, source) >= PATH_MAX)
        return error_set(e, ERROR_CONFIG, "cache_dir '%s' is too long", directory);
    return 0;
}

static void add_text(struct seal_hasher *hasher, const char *text)
{
    seal_hasher_add(hasher, text, strlen(text) + 1);
}

void cache_path_fingerprint_key(const struct key *key, const struct plugin_info *plugin,
                                const struct config_instance *source, uint8_t out[16])
{
    struct seal_hasher hasher;
    uint8_t hash[SEAL_HASH_SIZE];
    seal_hasher_init(&hasher);
    add_text(&hasher, "cofre fingerprints 1");
    seal_hasher_add(&hasher, key->chunk_id_key, KEY_SIZE);
    add_text(&hasher, plugin->name);
    add_text(&hasher, plugin->version);
    for (size_t i = 0; i < source->key_count; i++) {
        add_text(&hasher, source->keys[i].name);
        add_text(&hasher, source->keys[i].value);
    }
    seal_hasher_end(&hasher, hash);
    memcpy(out, hash, 16);
}
