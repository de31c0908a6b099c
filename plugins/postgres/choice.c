#include "postgres/choice.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cofre/plugin.h"

static unsigned digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a') + 10;
}

/* Hexadecimal digits, two for each byte, to the bytes, in place. */
static void decode(char *hex)
{
    char *to = hex;
    for (const char *p = hex; p[0] && p[1]; p += 2)
        *to++ = (char)(digit(p[0]) << 4 | digit(p[1]));
    *to = '\0';
}

static int32_t translate(struct session *s, const char *encoding, const char *name, struct namelist *to,
                         struct cofre_error *error)
{
    SESSION_RESULT found = NULL;
    const char *const parameters[] = {name, encoding};
    char what[200], out[4 * SESSION_NAME_MAX + 4];
    snprintf(what, sizeof what, "look for '%.130s' in a dump in %.20s", name, encoding);
    int32_t status = session_query(s, &found, what, "SELECT pg_catalog.encode(pg_catalog.convert_to($1, $2), 'hex')", 2,
                                   parameters, error);
    if (status != COFRE_OK)
        return status;
    snprintf(out, sizeof out, "%s", PQgetvalue(found, 0, 0));
    decode(out);
    return namelist_add(to, out) ? COFRE_OK : cofre_fail_errno(error, ENOMEM, "restore");
}

static int32_t translate_all(struct session *s, const char *encoding, struct cofre_list *list, struct namelist *to,
                             struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < list->count; i++)
        status = translate(s, encoding, list->items[i], to, error);
    *list = (struct cofre_list){.items = (const char *const *)to->list, .count = to->count};
    return status;
}

int32_t choice_make(struct choice *c, struct session *session, const struct options *options, const char *encoding,
                    struct cofre_error *error)
{
    *c = (struct choice){.options = *options};
    /* SQL_ASCII is no encoding: names are the bytes that somebody wrote. */
    if (!encoding || strcmp(encoding, "UTF8") == 0 || strcmp(encoding, "SQL_ASCII") == 0)
        return COFRE_OK;
    int32_t status = translate_all(session, encoding, &c->options.tables, &c->tables, error);
    return status == COFRE_OK ? translate_all(session, encoding, &c->options.only_schemas, &c->schemas, error) : status;
}

void choice_free(struct choice *c)
{
    namelist_free(&c->tables);
    namelist_free(&c->schemas);
}
