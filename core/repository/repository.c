#include "repository/repository.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "repository/config_object.h"
#include "repository/index.h"
#include "repository/revocation.h"
#include "repository/signers.h"
#include "worker/sink.h"
#include "worker/worker.h"

#define WARNINGS_SAID 50u /* of single objects */
#define DEAR 2000         /* ms */
#define MANY_PACKS 200000 /* for a page of each 256th of them a store lists as often as for all, one after another */

void repository_index_key(const char *host, const uint8_t name[SEAL_HASH_SIZE], char *out)
{
    char hex[2 * SEAL_HASH_SIZE + 1];
    snprintf(out, 201, "index/%s/%s", host, text_hex(name, SEAL_HASH_SIZE, hex));
}

bool repository_parse_index_key(const char *key, char host[64], uint8_t name[SEAL_HASH_SIZE])
{
    char hex[2 * SEAL_HASH_SIZE + 1];
    int end = 0;
    return sscanf(key, "index/%63[^/]/%64[^/]%n", host, hex, &end) == 2 && key[end] == '\0' && text_is_name(host) &&
           text_parse_hex(hex, name, SEAL_HASH_SIZE);
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
static int check_empty(struct sink *sink, struct error *e)
{
    size_t objects = 0;
    if (sink_list(sink, "", count_object, &objects, e) < 0)
        return -1;
    if (objects == 0)
        return 0;
    error_set(e, ERROR_EXISTS, "the place holds %zu objects but no repository", objects);
    return error_hint(e, "choose an empty place, or remove what is there");
}

static int read_config(struct sink *sink, struct config_object *config, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = CONFIG_OBJECT_MAX};
    if (sink_get(sink, "config", CONFIG_OBJECT_MAX, &text, e) < 0)
        return -1;
    return config_object_decode(text.data, text.length, config, e);
}

/* Whoever wrote it may have been killed before it was durable: a sink makes it so when it says "exists". */
static int make_config_durable(struct sink *sink, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = CONFIG_OBJECT_MAX};
    if (sink_get(sink, "config", CONFIG_OBJECT_MAX, &text, e) < 0)
        return -1;
    if (sink_put(sink, "config", text.data, text.length, true, e) < 0 && e->class != ERROR_EXISTS)
        return -1;
    return sink_sync(sink, e);
}

/* A place that takes everything and gives nothing back shows at once. */
static int read_back(struct sink *sink, const struct bytes *config, struct error *e)
{
    AUTO_BYTES struct bytes back = {.maximum = CONFIG_OBJECT_MAX};
    if (sink_get(sink, "config", CONFIG_OBJECT_MAX, &back, e) < 0)
        return error_context(e, "read back 'config': ");
    if (back.length == config->length && memcmp(back.data, config->data, back.length) == 0)
        return 0;
    return error_set(e, ERROR_PERMANENT, "read back 'config': it is not what was written");
}

int repository_create(struct sink *sink, const struct key *key, bool plain, char id_text[2 * REPOSITORY_ID_SIZE + 1],
                      bool *existed, struct error *e)
{
    struct config_object config;
    *existed = true;
    if (read_config(sink, &config, e) == 0) {
        text_hex(config.repository, sizeof config.repository, id_text);
        bool same = plain || memcmp(config.public.id, key->public.id, KEY_ID_SIZE) == 0;
        if (config.plain != plain || !same)
            return error_set(e, ERROR_EXISTS, "there is a repository already, made with another key");
        return make_config_durable(sink, e);
    }
    if (e->class != ERROR_NOT_FOUND || check_empty(sink, e) < 0)
        return -1;
    *existed = false;
    AUTO_BYTES struct bytes text = {.maximum = CONFIG_OBJECT_MAX};
    config_object_make(&config, key, plain);
    if (config_object_encode(&config, key, &text, e) < 0)
        return -1;
    text_hex(config.repository, sizeof config.repository, id_text);
    if (sink_put(sink, "config", text.data, text.length, true, e) < 0 || sink_sync(sink, e) < 0)
        return -1;
    return read_back(sink, &text, e);
}

/* ---- open ---- */

static int not_initialised(const char *sink, struct error *e)
{
    char cause[sizeof e->hint];
    snprintf(cause, sizeof cause, "%s", e->hint);
    error_set(e, ERROR_NOT_INITIALISED, "holds no repository");
    error_subject(e, "sink", sink);
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
        error_set(e, ERROR_AUTH, "is configured with a key, but its repository was made with encryption = none");
        error_subject(e, "sink", sink_name(r->sink));
        return error_hint(e,
                          "somebody may have replaced the repository: do not save to it before you know who made it. "
                          "If you did, take the key out of the section and write encryption = none");
    }
    if (config->plain)
        return key_from_seed(config->seed, &r->key, e);
    if (!key_file) {
        error_set(e, ERROR_AUTH, "says encryption = none, but its repository is encrypted");
        return error_subject(e, "sink", sink_name(r->sink));
    }
    if (key_load(key_file, &r->key, e) < 0)
        return -1;
    if (memcmp(r->key->public.id, config->public.id, KEY_ID_SIZE) == 0)
        return config_object_verify(config, r->key, e);
    char have[2 * KEY_ID_SIZE + 1], want[2 * KEY_ID_SIZE + 1];
    text_hex(r->key->public.id, KEY_ID_SIZE, have);
    text_hex(config->public.id, KEY_ID_SIZE, want);
    error_set(e, ERROR_AUTH, "key file '%s' is key %s, but key %s is needed", key_file, have, want);
    error_subject(e, "sink", sink_name(r->sink));
    return error_hint(e, "if the key file is the one that it always was, somebody may have replaced the repository");
}

static char *join(const char *directory, const char *below, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s%s", directory, below, name) < 0 ? NULL : path;
}

static int open_cache(struct repository *r, const struct repository_spec *spec, struct error *e)
{
    r->cache = join(spec->cache_dir, "", r->id_text);
    r->state = join(spec->state_dir, "repositories/", r->id_text);
    r->damaged = r->state ? join(r->state, "", "damaged") : NULL;
    r->ledger = r->state ? join(r->state, "", "stored") : NULL;
    if (!r->cache || !r->damaged || !r->ledger)
        return error_memory(e);
    return file_make_trusted(r->cache, e);
}

static int open_signers(struct repository *r, struct error *e)
{
    if (signers_open(r->sink, r->key, r->state, &r->signers, e) < 0)
        return error_subject(e, "sink", sink_name(r->sink));
    return 0;
}

static int open_in_place(struct repository *r, const struct repository_spec *spec, struct error *e)
{
    r->trust_hosts = spec->trust_hosts;
    r->host = text_copy(spec->host);
    if (!r->host)
        return error_memory(e);
    struct config_object config;
    if (read_config(r->sink, &config, e) < 0) {
        if (e->class == ERROR_NOT_FOUND)
            return not_initialised(sink_name(r->sink), e);
        return error_subject(e, "sink", sink_name(r->sink));
    }
    memcpy(r->id, config.repository, sizeof r->id);
    memcpy(r->full_signer, config.signer, sizeof r->full_signer);
    text_hex(r->id, sizeof r->id, r->id_text);
    if (load_key(r, &config, spec->key_file, e) < 0 || open_cache(r, spec, e) < 0)
        return -1;
    return open_signers(r, e);
}

int repository_open(struct sink *sink, const struct repository_spec *spec, struct repository **repository,
                    struct error *e)
{
    struct repository *r = calloc(1, sizeof *r);
    if (!r) {
        sink_free(sink);
        return error_memory(e);
    }
    r->sink = sink;
    r->dear = DEAR;
    r->many_packs = MANY_PACKS;
    pthread_mutex_init(&r->finding, NULL);
    if (open_in_place(r, spec, e) < 0) {
        repository_close(r);
        return -1;
    }
    *repository = r;
    return 0;
}

static int refuse_revoked(const struct repository *r, const struct revocation *revocation, struct error *e)
{
    char since[CLOCK_TEXT_MAX];
    error_set(e, ERROR_AUTH, "its key was revoked, as of %s: nothing that it signs counts any more",
              clock_format_shown(revocation->since, since));
    error_subject(e, "sink", sink_name(r->sink));
    if (r->key->certificate.roles == KEY_REMOVE)
        return error_hint(e, "make another where the full key is: cofre key prune FULLKEY PRUNEKEY");
    return error_hint(e, "make another where the full key is: cofre key put FULLKEY PUTKEY --host %s", r->host);
}

/* It adds nothing at all, or nothing of that host. */
static int refuse_writer(const struct repository *r, const char *host, struct error *e)
{
    char own[KEY_HOST_SIZE + 1];
    key_host(&r->key->certificate, own);
    bool adds = r->key->certificate.roles & KEY_ADD;
    if (!adds)
        error_set(e, ERROR_AUTH, "its key is a prune key, which removes snapshots and stores none");
    else if (strcmp(host, r->host) == 0)
        error_set(e, ERROR_AUTH, "its key is the put key of host '%s', and this is host '%s'", own, host);
    else
        error_set(e, ERROR_AUTH, "its key is the put key of host '%s', and stores nothing of host '%s'", own, host);
    error_subject(e, "sink", sink_name(r->sink));
    if (strcmp(host, r->host) != 0)
        return error_hint(e, "name the full key as key");
    if (!adds)
        return error_hint(e, "name another key as key: cofre key put FULLKEY PUTKEY --host %s", host);
    return error_hint(e, "set host = %s in [engine], or make another key: cofre key put FULLKEY PUTKEY --host %s", own,
                      host);
}

int repository_check_writer(const struct repository *repository, const char *host, struct error *e)
{
    const struct key *key = repository->key;
    const struct revocation *revocation = signers_revoked(repository->signers, key->signer_public);
    if (revocation)
        return refuse_revoked(repository, revocation, e);
    return key_may(&key->certificate, KEY_ADD, host) ? 0 : refuse_writer(repository, host, e);
}

/* It is only for speed. */
static void merge_index(const struct repository *repository)
{
    struct error e;
    if (!repository->index || cancel_requested() || index_merge(repository->index, &e) == 0)
        return;
    error_subject(&e, "sink", sink_name(repository->sink));
    log_error(LOG_WARNING, &e);
}

void repository_warn(struct repository *repository, struct error *why)
{
    error_subject(why, "sink", sink_name(repository->sink));
    log_error(++repository->warned <= WARNINGS_SAID ? LOG_WARNING : LOG_DEBUG, why);
}

void repository_close(struct repository *repository)
{
    if (!repository)
        return;
    if (repository->warned > WARNINGS_SAID)
        log_line(LOG_WARNING, "sink '%s': %zu more such warnings were left out; -v says all",
                 sink_name(repository->sink), (size_t)repository->warned - WARNINGS_SAID);
    if (repository->doubted > 0)
        log_line(
            LOG_NOTICE,
            "sink '%s': damaged packs are not relied on any more (%zu): the next run stores again what its sources "
            "still have of them",
            sink_name(repository->sink), (size_t)repository->doubted);
    merge_index(repository);
    signers_free(repository->signers);
    sink_free(repository->sink);
    index_free(repository->index);
    key_free(repository->key);
    free(repository->host);
    free(repository->cache);
    free(repository->state);
    free(repository->damaged);
    free(repository->ledger);
    bytes_free(&repository->plans);
    bytes_free(&repository->planned);
    pthread_mutex_destroy(&repository->finding);
    free(repository);
}
