/* A line as what the root has signed: as config, as a revocation, as an acceptance. And the buffer as the whole object.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/acceptance.h"
#include "repository/config_object.h"
#include "repository/key.h"
#include "repository/revocation.h"
#include "repository/statement.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct key *root(void)
{
    static struct key *key;
    static const uint8_t seed[KEY_SIZE] = {1};
    struct error e;
    if (!key && (seal_init(&e) < 0 || key_from_seed(seed, &key, &e) < 0))
        abort();
    return key;
}

/* Under the key that it would have. */
static void decode(const struct bytes *object, const json_t *json)
{
    struct config_object config;
    struct revocation revocation;
    struct acceptance acceptance = {.host = "web1"};
    struct error e;
    char key[201];
    statement_get_hex(json, "signer", acceptance.signer, sizeof acceptance.signer);
    revocation_key(acceptance.signer, key);
    if (revocation_decode(object->data, object->length, key, root()->public.root, &revocation, &e) == 0) {
        if (memcmp(revocation.signer, acceptance.signer, sizeof acceptance.signer) != 0)
            abort();
        revocation_free(&revocation);
    }
    acceptance_key(&acceptance, key);
    acceptance_decode(object->data, object->length, key, root()->public.root, &acceptance, &e);
    config_object_decode(object->data, object->length, &config, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum seal_statement kinds[] = {SEAL_CONFIG, SEAL_REVOKED, SEAL_ACCEPTED};
    struct error e;
    json_error_t where;
    struct bytes whole = {.maximum = size + 1};
    bytes_put(&whole, data, size);
    decode(&whole, NULL);
    bytes_free(&whole);
    json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &where);
    for (size_t i = 0; json && i < sizeof kinds / sizeof kinds[0]; i++) {
        struct bytes object = {.maximum = REVOCATION_MAX};
        if (statement_write(root(), kinds[i], json_incref(json), &object, &e) == 0)
            decode(&object, json);
        bytes_free(&object);
    }
    json_decref(json);
    return 0;
}
