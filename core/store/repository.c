#include "store/repository.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "store/config_object.h"
#include "store/index.h"
#include "store/index_body.h"
#include "store/objects.h"
#include "worker/sink.h"
#include "worker/worker.h"

#define INDEX_OBJECT_MAX ((size_t)64 << 20)
#define INDEX_BODY_MAX ((size_t)256 << 20)
#define LISTING_MAX ((size_t)1 << 30)

static void hex_key(const char *prefix, const uint8_t name[SEAL_HASH_SIZE], char *out)
{
    size_t n = strlen(prefix);
    memcpy(out, prefix, n);
    text_hex(name, SEAL_HASH_SIZE, out + n);
}

void repository_pack_key(const uint8_t name[SEAL_HASH_SIZE], char *out)
{
    char prefix[] = "packs/xx/";
    text_hex(name, 1, prefix + 6);
    prefix[8] = '/';
    hex_key(prefix, name, out);
}

void repository_index_key(const uint8_t name[SEAL_HASH_SIZE], char *out)
{
    hex_key("index/", name, out);
}

/* ---- create ---- */

static int count_object(void *context, const struct sink_object *object, struct error *e)
{
    (void)object;
    (void)e;
    ++*(size_t *)context;
    return 0;
}

/* An empty place, or nothing but what an interrupted init may have left. */
static int check_empty(struct worker *worker, struct error *e)
{
    size_t objects = 0;
    if (sink_list(worker, "", count_object, &objects, e) < 0)
        return -1;
    if (objects == 0)
        return 0;
    error_set(e, ERROR_EXISTS, "the place holds %zu objects but no repository", objects);
    return error_hint(e, "choose an empty place, or remove what is there");
}

static int read_config(struct worker *worker, struct config_object *config, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = CONFIG_OBJECT_MAX};
    if (sink_get(worker, "config", CONFIG_OBJECT_MAX, &text, e) < 0)
        return -1;
    return config_object_decode(text.data, text.length, config, e);
}

/* Whoever wrote it may have been killed before it was durable: a sink makes it so when it says "exists". */
static int make_config_durable(struct worker *worker, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = CONFIG_OBJECT_MAX};
    if (sink_get(worker, "config", CONFIG_OBJECT_MAX, &text, e) < 0)
        return -1;
    if (sink_put(worker, "config", text.data, text.length, true, e) < 0 && e->class != ERROR_EXISTS)
        return -1;
    return sink_sync(worker, e);
}

int repository_create(struct worker *worker, const struct key *key, bool plain,
                      char id_text[2 * REPOSITORY_ID_SIZE + 1], bool *existed, struct error *e)
{
    struct config_object config;
    *existed = true;
    if (read_config(worker, &config, e) == 0) {
        text_hex(config.repository, sizeof config.repository, id_text);
        bool same = plain || memcmp(config.public.id, key->public.id, KEY_ID_SIZE) == 0;
        if (config.plain != plain || !same)
            return error_set(e, ERROR_EXISTS, "there is a repository already, made with another key");
        return make_config_durable(worker, e);
    }
    if (e->class != ERROR_NOT_FOUND || check_empty(worker, e) < 0)
        return -1;
    *existed = false;
    AUTO_BYTES struct bytes text = {.maximum = CONFIG_OBJECT_MAX};
    config_object_make(&config, key, plain);
    if (config_object_encode(&config, key, &text, e) < 0)
        return -1;
    text_hex(config.repository, sizeof config.repository, id_text);
    return sink_put(worker, "config", text.data, text.length, true, e) < 0 ? -1 : sink_sync(worker, e);
}

/* ---- open ---- */

static int not_initialised(const char *sink, struct error *e)
{
    char cause[sizeof e->hint];
    snprintf(cause, sizeof cause, "%s", e->hint);
    error_set(e, ERROR_NOT_INITIALISED, "sink '%s' holds no repository", sink);
    /* A sink that cannot find its place has said what to do, with what it calls itself. */
    if (cause[0])
        return error_hint(e, "%s", cause);
    return error_hint(e, "make one: cofre init %s", sink);
}

/* The key that belongs to this config: from the file, or, with encryption = none, from the config itself. */
static int load_key(struct repository *r, const struct config_object *config, const char *key_file, struct error *e)
{
    r->plain = config->plain;
    if (config->plain && key_file) {
        error_set(e, ERROR_AUTH,
                  "sink '%s' is configured with a key, but its repository was made with encryption = none", r->sink);
        return error_hint(e, "write encryption = none into its section, or choose another place and run: cofre init %s",
                          r->sink);
    }
    if (config->plain)
        return key_from_seed(config->seed, &r->key, e);
    if (!key_file)
        return error_set(e, ERROR_AUTH, "sink '%s' says encryption = none, but its repository is encrypted", r->sink);
    if (key_load(key_file, &r->key, e) < 0)
        return -1;
    if (memcmp(r->key->public.id, config->public.id, KEY_ID_SIZE) == 0)
        return config_object_verify(config, r->key, e);
    char have[2 * KEY_ID_SIZE + 1], want[2 * KEY_ID_SIZE + 1];
    text_hex(r->key->public.id, KEY_ID_SIZE, have);
    text_hex(config->public.id, KEY_ID_SIZE, want);
    return error_set(e, ERROR_AUTH, "key file '%s' is key %s, but sink '%s' needs key %s", key_file, have, r->sink,
                     want);
}

static int open_cache(struct repository *r, const char *cache_dir, struct error *e)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/%s", cache_dir, r->id_text);
    r->cache = text_copy(path);
    if (!r->cache)
        return error_memory(e);
    return file_make_directories(r->cache, e);
}

static int open_in_place(struct repository *r, const struct repository_spec *spec, struct error *e)
{
    r->trust_hosts = spec->trust_hosts;
    r->sink = text_copy(spec->sink);
    r->host = text_copy(spec->host);
    if (!r->sink || !r->host)
        return error_memory(e);
    struct config_object config;
    if (read_config(r->worker, &config, e) < 0) {
        if (e->class == ERROR_NOT_FOUND)
            return not_initialised(spec->sink, e);
        return error_context(e, "sink '%s': ", spec->sink);
    }
    memcpy(r->id, config.repository, sizeof r->id);
    text_hex(r->id, sizeof r->id, r->id_text);
    if (load_key(r, &config, spec->key_file, e) < 0)
        return -1;
    return open_cache(r, spec->cache_dir, e);
}

int repository_open(struct worker *worker, const struct repository_spec *spec, struct repository **repository,
                    struct error *e)
{
    struct repository *r = calloc(1, sizeof *r);
    if (!r) {
        worker_stop(worker);
        return error_memory(e);
    }
    r->worker = r->workers[0] = worker;
    r->parallel = spec->parallel < 1 ? 1 : spec->parallel;
    if (r->parallel > REPOSITORY_WORKERS_MAX)
        r->parallel = REPOSITORY_WORKERS_MAX;
    r->lock = spec->lock;
    r->open_worker = spec->open_worker;
    r->engine = spec->engine;
    r->section = spec->section;
    if (open_in_place(r, spec, e) < 0) {
        repository_close(r);
        return -1;
    }
    *repository = r;
    return 0;
}

void repository_close(struct repository *repository)
{
    if (!repository)
        return;
    for (size_t i = 0; i < REPOSITORY_WORKERS_MAX; i++)
        worker_stop(repository->workers[i]);
    index_free(repository->index);
    key_free(repository->key);
    free(repository->sink);
    free(repository->host);
    free(repository->cache);
    free(repository);
}

/* ---- index ---- */

struct listing {
    struct bytes *rows;
    size_t prefix; /* bytes of the key before the name */
    const char *sink;
};

/* The name in a key such as "index/HEX"; anything else there is not ours, and is said. */
static bool parse_name(const struct listing *l, const char *key, uint8_t name[SEAL_HASH_SIZE])
{
    if (strlen(key) == l->prefix + 2 * SEAL_HASH_SIZE && text_parse_hex(key + l->prefix, name, SEAL_HASH_SIZE))
        return true;
    log_line(LOG_WARNING, "sink '%s': object '%s' does not belong to a repository", l->sink, key);
    return false;
}

static int list_index(void *context, const struct sink_object *object, struct error *e)
{
    const struct listing *l = context;
    uint8_t name[SEAL_HASH_SIZE];
    if (parse_name(l, object->key, name))
        bytes_put(l->rows, name, sizeof name);
    return bytes_check(l->rows, "listing of index objects", e);
}

static int list_pack(void *context, const struct sink_object *object, struct error *e)
{
    const struct listing *l = context;
    struct index_pack pack = {.size = object->size};
    if (parse_name(l, object->key, pack.name))
        bytes_put(l->rows, &pack, sizeof pack);
    return bytes_check(l->rows, "listing of packs", e);
}

static bool is_own(const struct repository *r, const struct seal_opened *opened, const char *host)
{
    return memcmp(opened->signer, r->key->signer_public, sizeof opened->signer) == 0 && strcmp(host, r->host) == 0;
}

static int open_index_object(struct repository *r, const uint8_t name[SEAL_HASH_SIZE], const struct bytes *object,
                             struct bytes *body, bool *own, struct error *e)
{
    char key[201], host[64];
    uint8_t hash[SEAL_HASH_SIZE];
    repository_index_key(name, key);
    seal_hash(object->data, object->length, hash);
    if (memcmp(hash, name, sizeof hash) != 0)
        return error_set(e, ERROR_INTEGRITY, "object '%s' is damaged: its hash is not its name", key);
    struct seal_opened opened;
    if (seal_envelope_open(r->key, SEAL_INDEX, object->data, object->length, key, &opened, body, e) < 0 ||
        index_body_host(body->data, body->length, host, e) < 0)
        return -1;
    *own = is_own(r, &opened, host);
    return 0;
}

int repository_read_index_object(struct repository *r, const uint8_t name[SEAL_HASH_SIZE], struct bytes *body,
                                 bool *own, struct error *e)
{
    char key[201];
    repository_index_key(name, key);
    AUTO_BYTES struct bytes object = {.maximum = INDEX_OBJECT_MAX};
    if (sink_get(r->worker, key, INDEX_OBJECT_MAX, &object, e) < 0)
        return -1;
    return open_index_object(r, name, &object, body, own, e);
}

/* Damage is a warning: what the object said can be found in the packs. */
static int absorb_object(struct repository *r, struct objects *objects, const uint8_t name[SEAL_HASH_SIZE],
                         struct error *e)
{
    AUTO_BYTES struct bytes body = {.maximum = INDEX_BODY_MAX};
    const struct bytes *object;
    bool own;
    int result = objects_next(objects, &object, e);
    if (result == 0)
        result = open_index_object(r, name, object, &body, &own, e);
    if (result == 0)
        result = index_absorb(r->index, name, body.data, body.length, own, e);
    if (result == 0)
        return 0;
    if (e->class == ERROR_NOT_FOUND)
        return 0; /* collected between listing and reading */
    if (e->class != ERROR_INTEGRITY && e->class != ERROR_AUTH)
        return -1;
    log_line(LOG_WARNING, "sink '%s': %s", r->sink, e->message);
    return 0;
}

/* Those of the names that the cache does not cover. */
static int absorb_missing(struct repository *r, const uint8_t *names, size_t count, struct error *e)
{
    AUTO_BYTES struct bytes keys = {.maximum = LISTING_MAX}, wanted = {.maximum = LISTING_MAX};
    struct objects *objects;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *name = names + i * SEAL_HASH_SIZE;
        char key[201];
        if (index_covers(r->index, name))
            continue;
        repository_index_key(name, key);
        bytes_put(&keys, key, strlen(key) + 1);
        bytes_put(&wanted, name, SEAL_HASH_SIZE);
    }
    if (bytes_check(&keys, "listing of index objects", e) < 0 ||
        bytes_check(&wanted, "listing of index objects", e) < 0)
        return -1;
    if (wanted.length == 0)
        return 0;
    if (objects_new(r, (const char *)keys.data, keys.length, INDEX_OBJECT_MAX, &objects, e) < 0)
        return -1;
    int result = 0;
    for (size_t at = 0; result == 0 && at < wanted.length; at += SEAL_HASH_SIZE)
        result = absorb_object(r, objects, wanted.data + at, e);
    objects_free(objects);
    return result;
}

static int compare_hashes(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_HASH_SIZE);
}

/* Does the cache cover an object that is not among the count sorted names? */
static bool covers_more(const struct index *index, const uint8_t *names, size_t count)
{
    for (size_t i = 0; i < index_object_count(index); i++)
        if (count == 0 || !bsearch(index_object_name(index, i), names, count, SEAL_HASH_SIZE, compare_hashes))
            return true;
    return false;
}

static int absorb_objects(struct repository *r, struct error *e)
{
    AUTO_BYTES struct bytes names = {.maximum = LISTING_MAX};
    struct listing l = {.rows = &names, .prefix = strlen("index/"), .sink = r->sink};
    if (sink_list(r->worker, "index/", list_index, &l, e) < 0)
        return -1;
    size_t count = names.length / SEAL_HASH_SIZE;
    if (count > 0)
        qsort(names.data, count, SEAL_HASH_SIZE, compare_hashes);
    if (covers_more(r->index, names.data, count))
        index_clear(r->index);
    if (absorb_missing(r, names.data, count, e) < 0)
        return -1;
    return index_settle(r->index, e);
}

static int compare_names(const void *a, const void *b)
{
    return memcmp(((const struct index_pack *)a)->name, ((const struct index_pack *)b)->name, SEAL_HASH_SIZE);
}

int repository_list_packs(struct repository *r, struct index_pack **packs, size_t *count, struct error *e)
{
    struct bytes rows = {.maximum = LISTING_MAX};
    struct listing l = {.rows = &rows, .prefix = strlen("packs/xx/"), .sink = r->sink};
    /* Also of no packs there is an array, to be searched. */
    if (!bytes_reserve(&rows, sizeof **packs))
        return error_memory(e);
    if (sink_list(r->worker, "packs/", list_pack, &l, e) < 0) {
        bytes_free(&rows);
        return -1;
    }
    *packs = (struct index_pack *)(void *)rows.data;
    *count = rows.length / sizeof **packs;
    if (*count > 0)
        qsort(*packs, *count, sizeof **packs, compare_names);
    return 0;
}

static int open_index(struct repository *r, struct error *e)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/index", r->cache);
    uint8_t identity[SEAL_HASH_SIZE];
    struct seal_hasher hasher;
    seal_hasher_init(&hasher);
    seal_hasher_add(&hasher, r->key->signer_public, sizeof r->key->signer_public);
    seal_hasher_add(&hasher, r->host, strlen(r->host));
    seal_hasher_end(&hasher, identity);
    return index_open(path, identity, &r->index, e);
}

int repository_load_index(struct repository *r, struct error *e)
{
    if (!r->index && open_index(r, e) < 0)
        return -1;
    AUTO_FREE struct index_pack *packs = NULL;
    size_t count;
    /* Objects first: what they say is only believed of packs that are listed afterwards. */
    if (absorb_objects(r, e) < 0 || repository_list_packs(r, &packs, &count, e) < 0)
        return error_context(e, "sink '%s': ", r->sink);
    return index_set_present(r->index, packs, count, e);
}

/* ---- packs without an index ---- */

static int read_tail(struct repository *r, const char *key, uint64_t size, size_t n, struct bytes *tail,
                     struct error *e)
{
    bytes_reset(tail);
    uint8_t *to = bytes_reserve(tail, n);
    if (!to)
        return error_memory(e);
    tail->length = n;
    return sink_get_range(r->worker, key, size - n, to, n, e);
}

int repository_read_directory(struct repository *r, const uint8_t name[SEAL_HASH_SIZE], uint64_t size,
                              struct pack_chunk **chunks, uint32_t *count, struct error *e)
{
    char key[201];
    repository_pack_key(name, key);
    if (size < PACK_HEADER_SIZE || size > UINT32_MAX)
        return error_set(e, ERROR_INTEGRITY, "object '%s' is no pack: it has %llu bytes", key,
                         (unsigned long long)size);
    uint8_t header[PACK_HEADER_SIZE];
    struct seal_box box;
    if (sink_get_range(r->worker, key, 0, header, sizeof header, e) < 0 ||
        pack_open_header(r->key, header, key, &box, e) < 0)
        return -1;
    AUTO_BYTES struct bytes tail = {.maximum = size};
    size_t need = size < 4096 ? (size_t)size : 4096;
    do {
        if (read_tail(r, key, size, need, &tail, e) < 0)
            return -1;
        need = 0;
        if (pack_read_directory(&box, tail.data, tail.length, size, key, chunks, count, &need, e) < 0)
            return -1;
    } while (need > 0);
    return 0;
}

static int absorb_directory(struct repository *r, const struct index_pack *pack, struct error *e)
{
    AUTO_FREE struct pack_chunk *chunks = NULL;
    uint32_t count;
    if (repository_read_directory(r, pack->name, pack->size, &chunks, &count, e) < 0) {
        if (e->class != ERROR_INTEGRITY && e->class != ERROR_AUTH && e->class != ERROR_NOT_FOUND)
            return -1;
        log_line(LOG_WARNING, "sink '%s': %s", r->sink, e->message);
        return 0;
    }
    AUTO_BYTES struct bytes body = {.maximum = INDEX_BODY_MAX};
    index_body_begin(&body, r->host, 0);
    index_body_add_pack(&body, pack->name, pack->size, chunks, count);
    index_body_end(&body, 1);
    if (bytes_check(&body, "index", e) < 0)
        return -1;
    return index_absorb(r->index, NULL, body.data, body.length, false, e);
}

int repository_recover_index(struct repository *r, struct error *e)
{
    AUTO_FREE struct index_pack *packs = NULL;
    size_t count;
    if (!r->key->full)
        return 0;
    if (repository_list_packs(r, &packs, &count, e) < 0 || index_set_present(r->index, packs, count, e) < 0)
        return -1;
    size_t unknown = 0;
    for (size_t i = 0; i < count; i++) {
        if (packs[i].known)
            continue;
        unknown++;
        if (absorb_directory(r, &packs[i], e) < 0)
            return -1;
    }
    if (unknown > 0)
        log_line(LOG_NOTICE, "sink '%s': read the directories of %zu packs that no index describes", r->sink, unknown);
    if (index_settle(r->index, e) < 0)
        return -1;
    return index_set_present(r->index, packs, count, e);
}
