#include "repository/acceptance.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "repository/statement.h"

void acceptance_key(const struct acceptance *acceptance, char *out)
{
    char hex[2 * KEY_SIZE + 1];
    snprintf(out, 201, "signers/accepted/%s/%s", acceptance->host, text_hex(acceptance->signer, KEY_SIZE, hex));
}

bool acceptance_parse_key(const char *key, struct acceptance *acceptance)
{
    char hex[2 * KEY_SIZE + 1];
    int end = 0;
    return sscanf(key, "signers/accepted/%63[^/]/%64[^/]%n", acceptance->host, hex, &end) == 2 && key[end] == '\0' &&
           text_is_name(acceptance->host) && text_parse_hex(hex, acceptance->signer, KEY_SIZE);
}

int acceptance_encode(const struct acceptance *acceptance, const struct key *key, struct bytes *out, struct error *e)
{
    json_t *json = json_pack("{s:i, s:s, s:o}", "format", STATEMENT_FORMAT, "host", acceptance->host, "signer",
                             statement_hex(acceptance->signer, KEY_SIZE));
    return statement_write(key, SEAL_ACCEPTED, json, out, e);
}

static int from_json(const json_t *json, const char *name, struct acceptance *acceptance, struct error *e)
{
    uint8_t signer[KEY_SIZE];
    const char *host = json_string_value(json_object_get(json, "host"));
    if (!acceptance_parse_key(name, acceptance) || !host || strcmp(host, acceptance->host) != 0 ||
        !statement_get_hex(json, "signer", signer, sizeof signer) ||
        memcmp(signer, acceptance->signer, sizeof signer) != 0)
        return error_set(e, ERROR_INTEGRITY, "object '%s' is damaged: it is the acceptance of another signer", name);
    return 0;
}

int acceptance_decode(const void *p, size_t n, const char *name, const uint8_t root[KEY_SIZE],
                      struct acceptance *acceptance, struct error *e)
{
    struct statement statement;
    if (statement_read(p, n, name, &statement, e) < 0)
        return -1;
    int result = 0;
    if (!statement_is_signed(&statement, SEAL_ACCEPTED, root))
        result = error_set(e, ERROR_INTEGRITY, "object '%s' is damaged: its signature is not of this repository's root",
                           name);
    if (result == 0)
        result = statement_check_format(&statement, name, e);
    if (result == 0)
        result = from_json(statement.json, name, acceptance, e);
    statement_free(&statement);
    return result;
}
