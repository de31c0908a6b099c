/* A statement of the root: a line of JSON that anybody may read, and in a second line the root's signature over it. The
 * config of a repository is one, and each revocation. docs/format.md, sections 4 and 11.
 */
#ifndef COFRE_REPOSITORY_STATEMENT_H
#define COFRE_REPOSITORY_STATEMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "repository/seal.h"

struct bytes;
struct error;
struct key;

#define STATEMENT_FORMAT 1

/* What is read, and not proven before statement_is_signed. */
struct statement {
    json_t *json; /* an object */
    const char *line;
    size_t length;
    uint8_t signature[KEY_SIGNATURE_SIZE];
};

/* Takes json (NULL: out of memory), signs it with the root of a full key, and appends both lines to *out. ERROR_DENIED
 * with another key. */
int statement_write(const struct key *key, enum seal_statement kind, json_t *json, struct bytes *out, struct error *e);
/* The two lines in [p, p + n), which must last as long as the statement. name: of the object, for messages.
 * ERROR_INTEGRITY. After success statement_free is due. */
int statement_read(const void *p, size_t n, const char *name, struct statement *statement, struct error *e);
bool statement_is_signed(const struct statement *statement, enum seal_statement kind, const uint8_t root[KEY_SIZE]);
void statement_free(struct statement *statement);

/* Of those that have a format of their own, which is 1. name: for messages. ERROR_UNSUPPORTED. */
int statement_check_format(const struct statement *statement, const char *name, struct error *e);

/* Members. text_hex of n <= 64 bytes; the member as n bytes, false when it is not that. */
json_t *statement_hex(const void *p, size_t n);
bool statement_get_hex(const json_t *json, const char *member, void *p, size_t n);

#endif
