#include "repository/config_object.h"

#include <jansson.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "repository/chunker.h"
#include "repository/repository.h"
#include "repository/seal.h"
#include "repository/statement.h"

#define ENCRYPTION "x25519-xchacha20poly1305"

void config_object_make(struct config_object *config, const struct key *key, bool plain)
{
    *config = (struct config_object){.public = key->public, .plain = plain, .created = clock_now()};
    memcpy(config->signer, key->signer_public, sizeof config->signer);
    seal_random(config->repository, sizeof config->repository);
    if (plain)
        memcpy(config->seed, key->seed, sizeof config->seed);
}

static json_t *to_json(const struct config_object *config)
{
    char created[CLOCK_TEXT_MAX];
    json_t *json = json_pack(
        "{s:i, s:[], s:o, s:s, s:o, s:o, s:o, s:o, s:s, s:{s:i, s:i, s:i}}", "format", REPOSITORY_FORMAT, "features",
        "repository", statement_hex(config->repository, sizeof config->repository), "created",
        clock_format(config->created, created), "key", statement_hex(config->public.id, KEY_ID_SIZE), "box",
        statement_hex(config->public.box, KEY_SIZE), "root", statement_hex(config->public.root, KEY_SIZE), "signer",
        statement_hex(config->signer, KEY_SIZE), "encryption", config->plain ? "none" : ENCRYPTION, "chunker",
        "minimum", (int)CHUNKER_MINIMUM, "average", (int)CHUNKER_AVERAGE, "maximum", (int)CHUNKER_MAXIMUM);
    if (json && config->plain && json_object_set_new(json, "seed", statement_hex(config->seed, KEY_SIZE)) < 0) {
        json_decref(json);
        return NULL;
    }
    return json;
}

int config_object_encode(const struct config_object *config, const struct key *key, struct bytes *out, struct error *e)
{
    return statement_write(key, SEAL_CONFIG, to_json(config), out, e);
}

static int damaged(struct error *e, const char *why)
{
    return error_set(e, ERROR_INTEGRITY, "object 'config' is damaged: %s", why);
}

#define NEWER_HINT "install a newer cofre; if no newer one made this repository, its 'config' is damaged"

static int from_json(const json_t *json, struct config_object *config, struct error *e)
{
    json_int_t format = json_integer_value(json_object_get(json, "format"));
    if (format != REPOSITORY_FORMAT) {
        error_set(e, ERROR_UNSUPPORTED, "object 'config' has format %lld, this cofre knows format %d",
                  (long long)format, REPOSITORY_FORMAT);
        return error_hint(e, NEWER_HINT);
    }
    const json_t *features = json_object_get(json, "features");
    if (!json_is_array(features))
        return damaged(e, "it lists no features");
    if (json_array_size(features) > 0) {
        const char *name = json_string_value(json_array_get(features, 0));
        error_set(e, ERROR_UNSUPPORTED, "object 'config' asks for feature '%s', which this cofre does not have",
                  name ? name : "?");
        return error_hint(e, NEWER_HINT);
    }
    const char *encryption = json_string_value(json_object_get(json, "encryption"));
    if (!encryption || (strcmp(encryption, "none") != 0 && strcmp(encryption, ENCRYPTION) != 0)) {
        error_set(e, ERROR_UNSUPPORTED, "object 'config' has encryption '%s', which this cofre does not have",
                  encryption ? encryption : "?");
        return error_hint(e, NEWER_HINT);
    }
    config->plain = strcmp(encryption, "none") == 0;
    if (!statement_get_hex(json, "repository", config->repository, sizeof config->repository) ||
        !statement_get_hex(json, "key", config->public.id, KEY_ID_SIZE) ||
        !statement_get_hex(json, "box", config->public.box, KEY_SIZE) ||
        !statement_get_hex(json, "root", config->public.root, KEY_SIZE) ||
        !statement_get_hex(json, "signer", config->signer, KEY_SIZE) ||
        (config->plain && !statement_get_hex(json, "seed", config->seed, KEY_SIZE)))
        return damaged(e, "a member is missing");
    return 0;
}

int config_object_decode(const void *p, size_t n, struct config_object *config, struct error *e)
{
    struct statement statement;
    *config = (struct config_object){0};
    if (statement_read(p, n, "config", &statement, e) < 0)
        return -1;
    int result = from_json(statement.json, config, e);
    if (result == 0 && !statement_is_signed(&statement, SEAL_CONFIG, config->public.root))
        result = damaged(e, "its signature is wrong");
    statement_free(&statement);
    return result;
}

int config_object_verify(const struct config_object *config, const struct key *key, struct error *e)
{
    bool same = memcmp(&config->public, &key->public, sizeof config->public) == 0;
    if (same && (!key->full || memcmp(config->signer, key->signer_public, KEY_SIZE) == 0))
        return 0;
    error_set(e, ERROR_AUTH, "object 'config' names other public keys than the key file");
    return error_hint(e, "somebody may have replaced it; restore it from another copy of this repository");
}
