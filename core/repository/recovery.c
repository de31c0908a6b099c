#include "repository/recovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "openpgp/openpgp.h"
#include "openpgp/pgp.h"
#include "repository/config_object.h"
#include "repository/key.h"
#include "worker/engine.h"
#include "worker/sink.h"
#include "worker/worker.h"

#define WRAPPED_MAX ((size_t)256 << 10)

bool recovery_wanted(const struct config_instance *sink)
{
    return sink->openpgp.recipient_count > 0 || sink->openpgp.passphrase.text;
}

/* ---- into the repository ---- */

static void object_key(const struct key_public *public, char key[201])
{
    char id[2 * KEY_ID_SIZE + 1];
    snprintf(key, 201, "keys/%s.gpg", text_hex(public->id, KEY_ID_SIZE, id));
}

/* Memory that held a key. */
static void wipe(struct bytes *text)
{
    if (text->data)
        explicit_bzero(text->data, text->capacity);
    bytes_free(text);
}

static int wrap(struct openpgp *w, const struct key *key, struct bytes *wrapped, struct error *e)
{
    struct bytes text = {.maximum = KEY_TEXT_MAX};
    int result = pgp_ready(w->pgp, NULL, NULL, e);
    if (result == 0)
        result = key_encode(key, &text, e);
    if (result == 0)
        result = pgp_encrypt_bytes(w->pgp, &text, wrapped, e);
    wipe(&text);
    return result;
}

static int put(struct sink *sink, const struct key *key, const struct bytes *wrapped, struct error *e)
{
    AUTO_BYTES struct bytes back = {.maximum = WRAPPED_MAX + 1};
    char name[201];
    object_key(&key->public, name);
    if (sink_put(sink, name, wrapped->data, wrapped->length, false, e) < 0 || sink_sync(sink, e) < 0 ||
        sink_get(sink, name, WRAPPED_MAX, &back, e) < 0)
        return -1;
    if (back.length == wrapped->length && memcmp(back.data, wrapped->data, back.length) == 0)
        return 0;
    return error_set(e, ERROR_INTEGRITY, "read back '%s': it is not what was written", name);
}

int recovery_store(struct openpgp *openpgp, struct sink *sink, const struct key *key, struct error *e)
{
    AUTO_BYTES struct bytes wrapped = {.maximum = WRAPPED_MAX};
    return wrap(openpgp, key, &wrapped, e) < 0 ? error_context(e, "wrap the key: ") : put(sink, key, &wrapped, e);
}

int recovery_find(struct sink *sink, const struct key *key, bool *there, struct error *e)
{
    char name[201];
    uint64_t size;
    object_key(&key->public, name);
    *there = sink_stat(sink, name, &size, e) == 0;
    return *there || e->class == ERROR_NOT_FOUND ? 0 : -1;
}

/* ---- and back ---- */

static int read_config(struct sink *sink, struct config_object *config, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = CONFIG_OBJECT_MAX + 1};
    if (sink_get(sink, "config", CONFIG_OBJECT_MAX, &text, e) < 0) {
        if (e->class != ERROR_NOT_FOUND)
            return -1;
        error_set(e, ERROR_NOT_INITIALISED, "it holds no repository");
        return error_hint(e, "look whether the right disk is mounted");
    }
    return config_object_decode(text.data, text.length, config, e);
}

static int read_wrapped(struct sink *sink, const struct config_object *config, struct bytes *wrapped, struct error *e)
{
    char name[201];
    object_key(&config->public, name);
    if (sink_get(sink, name, WRAPPED_MAX, wrapped, e) == 0)
        return 0;
    if (e->class != ERROR_NOT_FOUND)
        return -1;
    error_set(e, ERROR_NOT_FOUND, "no copy of its key is kept in the repository");
    return error_hint(e, "recovery_to or recovery_passphrase would have had to be set when 'cofre init' was last run");
}

/* Is it the key that is expected? */
static int check_id(const struct key *key, const char *id, const char *repository, struct error *e)
{
    char have[2 * KEY_ID_SIZE + 1];
    text_hex(key->public.id, KEY_ID_SIZE, have);
    if (strcmp(have, id) == 0)
        return 0;
    if (strcmp(repository, id) == 0) {
        error_set(e, ERROR_AUTH, "%s is the id of the repository, which anybody could give to another one", id);
        return error_hint(e, "give the id of the key: it stands on the recovery sheet, behind 'Key id'");
    }
    error_set(e, ERROR_AUTH, "the key that is kept there is %s, and not %s: nothing was written", have, id);
    return error_hint(e, "compare the id with the recovery sheet; if it is right, somebody may have replaced the "
                         "repository: do not use that key");
}

/* The text is the key, the repository's own, and the one that is expected. */
static int take_key(const struct bytes *text, const struct config_object *config, const char *id, const char *path,
                    char repository[33], struct error *e)
{
    struct key *key;
    text_hex(config->repository, sizeof config->repository, repository);
    if (key_decode(text->data, text->length, "the recovered key", &key, e) < 0)
        return -1;
    int result = config_object_verify(config, key, e);
    if (result == 0)
        result = check_id(key, id, repository, e);
    if (result == 0)
        result = key_save(key, path, e);
    key_free(key);
    return result;
}

static int unwrap(struct openpgp *w, struct sink *sink, const char *id, const char *path, char repository[33],
                  struct error *e)
{
    AUTO_BYTES struct bytes wrapped = {.maximum = WRAPPED_MAX + 1};
    /* So large from the start that it never moves, and all of it can be wiped. */
    struct bytes text = {.maximum = 2 * KEY_TEXT_MAX};
    struct config_object config;
    if (!bytes_reserve(&text, 2 * KEY_TEXT_MAX))
        return error_memory(e);
    int result = read_config(sink, &config, e);
    if (result == 0)
        result = read_wrapped(sink, &config, &wrapped, e);
    if (result == 0)
        result = pgp_decrypt_bytes(w->pgp, &wrapped, &text, e);
    if (result == 0)
        result = take_key(&text, &config, id, path, repository, e);
    wipe(&text);
    return result;
}

/* Does it open, and is it the key? */
static int compare(struct openpgp *w, const struct bytes *wrapped, const struct key *key, struct error *e)
{
    struct bytes text = {.maximum = 2 * KEY_TEXT_MAX};
    struct key *kept = NULL;
    if (!bytes_reserve(&text, 2 * KEY_TEXT_MAX))
        return error_memory(e);
    int result = pgp_decrypt_bytes(w->pgp, wrapped, &text, e);
    if (result == 0)
        result = key_decode(text.data, text.length, "the kept copy", &kept, e);
    if (result == 0 && memcmp(kept->public.id, key->public.id, KEY_ID_SIZE) != 0)
        result = error_set(e, ERROR_INTEGRITY, "it is another key");
    key_free(kept);
    wipe(&text);
    return result;
}

int recovery_prove(struct openpgp *openpgp, struct sink *sink, const struct key *key, struct error *e)
{
    AUTO_BYTES struct bytes wrapped = {.maximum = WRAPPED_MAX + 1};
    char name[201];
    if (!openpgp->spec.passphrase)
        return 0;
    object_key(&key->public, name);
    if (sink_get(sink, name, WRAPPED_MAX, &wrapped, e) < 0)
        return -1;
    if (compare(openpgp, &wrapped, key, e) == 0)
        return 0;
    error_hint(e, "if recovery_passphrase was changed, wrap the key anew: cofre init %s", sink_name(sink));
    return error_context(e, "the copy of the key in '%s': ", name);
}

int recovery_recover(const struct engine *engine, const struct config_instance *section, const char *id,
                     const char *path, char repository[33], struct error *e)
{
    struct openpgp w;
    struct sink *sink;
    if (!recovery_wanted(section)) {
        error_set(e, ERROR_CONFIG, "[sink %s] has neither recovery_to nor recovery_passphrase", section->name);
        return error_hint(e, "write what was there when the repository was made: how else should the key be opened?");
    }
    if (openpgp_open(engine->config, section, &w, e) < 0)
        return -1;
    int result = engine_open_sink(engine, section, 1, &sink, e);
    if (result == 0) {
        result = unwrap(&w, sink, id, path, repository, e);
        sink_free(sink);
    }
    openpgp_close(&w);
    return result < 0 ? error_subject(e, "sink", section->name) : 0;
}
