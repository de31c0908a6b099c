#include "repository/revocation.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "repository/statement.h"

#define PREFIX "signers/revoked/"

void revocation_key(const uint8_t signer[32], char *out)
{
    memcpy(out, PREFIX, strlen(PREFIX));
    text_hex(signer, 32, out + strlen(PREFIX));
}

bool revocation_parse_key(const char *key, uint8_t signer[32])
{
    return strncmp(key, PREFIX, strlen(PREFIX)) == 0 && text_parse_hex(key + strlen(PREFIX), signer, 32);
}

int revocation_encode(const struct revocation *revocation, const struct key *key, struct bytes *out, struct error *e)
{
    char since[CLOCK_TEXT_MAX];
    json_t *counting = json_array();
    int failed = 0;
    for (size_t i = 0; i < revocation->count; i++)
        failed |= json_array_append_new(counting, statement_hex(revocation->counting[i], SEAL_HASH_SIZE));
    if (failed) { /* one that is not listed would count no more */
        json_decref(counting);
        return error_memory(e);
    }
    json_t *json = json_pack("{s:i, s:o, s:s, s:o}", "format", STATEMENT_FORMAT, "signer",
                             statement_hex(revocation->signer, sizeof revocation->signer), "since",
                             clock_format_exact(revocation->since, since), "counting", counting);
    return statement_write(key, SEAL_REVOKED, json, out, e);
}

static int damaged(const char *name, const char *why, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "object '%s' is damaged: %s", name, why);
}

static int read_counting(const json_t *list, const char *name, struct revocation *r, struct error *e)
{
    size_t count = json_array_size(list);
    r->counting = malloc((count + 1) * sizeof *r->counting);
    if (!r->counting)
        return error_memory(e);
    for (; r->count < count; r->count++) {
        const char *text = json_string_value(json_array_get(list, r->count));
        if (!text || !text_parse_hex(text, r->counting[r->count], SEAL_HASH_SIZE))
            return damaged(name, "what counts is not a list of hashes", e);
    }
    return 0;
}

static int from_json(const json_t *json, const char *name, struct revocation *r, struct error *e)
{
    uint8_t named[32];
    const char *since = json_string_value(json_object_get(json, "since"));
    const json_t *counting = json_object_get(json, "counting");
    if (!statement_get_hex(json, "signer", r->signer, sizeof r->signer) || !since ||
        !clock_parse_exact(since, &r->since) || !json_is_array(counting))
        return damaged(name, "a member is missing or malformed", e);
    if (!revocation_parse_key(name, named) || memcmp(named, r->signer, sizeof named) != 0)
        return damaged(name, "it is the revocation of another signer under this name", e);
    return read_counting(counting, name, r, e);
}

int revocation_decode(const void *p, size_t n, const char *name, const uint8_t root[KEY_SIZE],
                      struct revocation *revocation, struct error *e)
{
    struct statement statement;
    *revocation = (struct revocation){0};
    if (statement_read(p, n, name, &statement, e) < 0)
        return -1;
    int result = 0;
    if (!statement_is_signed(&statement, SEAL_REVOKED, root))
        result = damaged(name, "its signature is not of this repository's root", e);
    if (result == 0)
        result = statement_check_format(&statement, name, e);
    if (result == 0)
        result = from_json(statement.json, name, revocation, e);
    statement_free(&statement);
    if (result < 0)
        revocation_free(revocation);
    return result;
}

void revocation_free(struct revocation *revocation)
{
    free(revocation->counting);
    *revocation = (struct revocation){0};
}

bool revocation_counts(const struct revocation *revocation, const uint8_t object[SEAL_HASH_SIZE])
{
    for (size_t i = 0; i < revocation->count; i++)
        if (memcmp(revocation->counting[i], object, SEAL_HASH_SIZE) == 0)
            return true;
    return false;
}
