#include "repository/statement.h"

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"

#define SIGNATURE_DIGITS (2 * (size_t)KEY_SIGNATURE_SIZE)

int statement_write(const struct key *key, enum seal_statement kind, json_t *json, struct bytes *out, struct error *e)
{
    char *line = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!line)
        return error_memory(e);
    uint8_t signature[KEY_SIGNATURE_SIZE];
    char digits[SIGNATURE_DIGITS + 1];
    int result = seal_sign_root(key, kind, line, strlen(line), signature, e);
    if (result == 0) {
        bytes_print(out, "%s\n%s\n", line, text_hex(signature, sizeof signature, digits));
        result = bytes_check(out, "statement", e);
    }
    free(line);
    return result;
}

static int damaged(const char *name, const char *why, struct error *e)
{
    return error_set(e, ERROR_INTEGRITY, "object '%s' is damaged: %s", name, why);
}

int statement_read(const void *p, size_t n, const char *name, struct statement *statement, struct error *e)
{
    const char *text = p;
    const char *end = n > 0 ? memchr(text, '\n', n) : NULL;
    char digits[SIGNATURE_DIGITS + 1] = "";
    *statement = (struct statement){.line = text};
    if (!end || n - (size_t)(end - text) != 2 + SIGNATURE_DIGITS || text[n - 1] != '\n')
        return damaged(name, "it is not two lines", e);
    statement->length = (size_t)(end - text);
    memcpy(digits, end + 1, SIGNATURE_DIGITS);
    if (!text_parse_hex(digits, statement->signature, sizeof statement->signature))
        return damaged(name, "its signature is malformed", e);
    json_error_t where;
    statement->json = json_loadb(text, statement->length, JSON_REJECT_DUPLICATES, &where);
    return statement->json ? 0 : damaged(name, where.text, e);
}

bool statement_is_signed(const struct statement *statement, enum seal_statement kind, const uint8_t root[KEY_SIZE])
{
    return seal_verify_root(root, kind, statement->line, statement->length, statement->signature);
}

void statement_free(struct statement *statement)
{
    json_decref(statement->json);
    statement->json = NULL;
}

int statement_check_format(const struct statement *statement, const char *name, struct error *e)
{
    if (json_integer_value(json_object_get(statement->json, "format")) == STATEMENT_FORMAT)
        return 0;
    error_set(e, ERROR_UNSUPPORTED, "object '%s' has another format than %d", name, STATEMENT_FORMAT);
    return error_hint(e, "install a newer cofre");
}

json_t *statement_hex(const void *p, size_t n)
{
    char text[2 * 64 + 1];
    return json_string(text_hex(p, n, text));
}

bool statement_get_hex(const json_t *json, const char *member, void *p, size_t n)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text && text_parse_hex(text, p, n);
}
