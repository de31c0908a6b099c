#include "postgres/count.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/failure.h"
#include "postgres/failing.h"

#define PATIENCE 100 /* ms between two looks at a cancellation */

static void describe(const struct archive_item *item, char *out, size_t size)
{
    snprintf(out, size, "count the rows of '%s.%s'", item->schema, item->name);
}

static int32_t ask(struct count *c, struct cofre_error *error)
{
    const struct archive_item *item = c->items[c->next];
    char schema[SESSION_QUOTED_MAX], name[SESSION_QUOTED_MAX], table[2 * SESSION_QUOTED_MAX + 1];
    char what[200], sql[sizeof table + 40];
    snprintf(table, sizeof table, "%s.%s", session_identifier(item->schema, schema),
             session_identifier(item->name, name));
    const char *const parameters[] = {table};
    snprintf(sql, sizeof sql, "SELECT count(*) FROM ONLY %s", table);
    int sent = c->estimate
                   ? PQsendQueryParams(c->session->connection,
                                       "SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = $1::regclass",
                                       1, NULL, parameters, NULL, NULL, 0)
                   : PQsendQuery(c->session->connection, sql);
    c->asked = sent;
    describe(item, what, sizeof what);
    return sent ? COFRE_OK : failing_query(error, c->session->connection, NULL, what);
}

static int32_t take(struct count *c, struct cofre_error *error)
{
    SESSION_RESULT result = NULL;
    char what[200];
    const struct archive_item *item = c->items[c->next];
    c->asked = false;
    describe(item, what, sizeof what);
    int32_t status = session_wait(c->session, &result, what, error);
    if (status != COFRE_OK)
        return status;
    if (PQntuples(result) != 1)
        return failure_set(error, COFRE_E_NOT_FOUND, "%s: the table is gone", what);
    c->next++;
    return c->found(c->context, item, strtoll(PQgetvalue(result, 0, 0), NULL, 10), error);
}

int32_t count_step(struct count *c, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    while (status == COFRE_OK && !count_done(c)) {
        if (!c->asked)
            status = ask(c, error);
        if (status == COFRE_OK && !session_ready(c->session))
            return COFRE_OK;
        if (status == COFRE_OK)
            status = take(c, error);
    }
    return status;
}

int32_t count_finish(struct count *c, struct cofre_error *error)
{
    int32_t status = count_step(c, error);
    while (status == COFRE_OK && !count_done(c)) {
        struct pollfd fd = {.fd = PQsocket(c->session->connection), .events = POLLIN};
        poll(&fd, 1, PATIENCE);
        cofre->progress(c->session->call, c->next, c->total);
        status = cofre->cancelled(c->session->call, error);
        if (status == COFRE_OK)
            status = count_step(c, error);
    }
    return status;
}
