#include "postgres/count.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/failure.h"
#include "postgres/failing.h"

#define PATIENCE 100 /* ms between two looks at a cancellation */

static const char go_back[] = "ROLLBACK TO SAVEPOINT counted; RELEASE SAVEPOINT counted";

static void describe(const struct archive_item *item, char *out, size_t size)
{
    char schema[FAILURE_QUOTE_MAX], name[FAILURE_QUOTE_MAX];
    snprintf(out, size, "count the rows of '%.120s.%.120s'", failure_quote(item->schema, strlen(item->schema), schema),
             failure_quote(item->name, strlen(item->name), name));
}

static int make_statement(const struct count *c, char **sql)
{
    const struct archive_item *item = c->items[c->next];
    char schema[SESSION_QUOTED_MAX], name[SESSION_QUOTED_MAX], table[2 * SESSION_QUOTED_MAX + 1];
    const char *begin = c->alone ? "BEGIN READ ONLY" : "SAVEPOINT counted", *end = c->alone ? "COMMIT" : go_back;
    snprintf(table, sizeof table, "%s.%s", session_identifier(item->schema, schema),
             session_identifier(item->name, name));
    if (!c->estimate)
        return asprintf(sql, "%s; SET LOCAL search_path TO DEFAULT; SELECT pg_catalog.count(*) FROM ONLY %s; %s", begin,
                        table, end);
    char *literal = PQescapeLiteral(c->session->connection, table, strlen(table));
    int made =
        literal ? asprintf(sql, "%s; SELECT greatest(reltuples, 0)::bigint FROM pg_class WHERE oid = %s::regclass; %s",
                           begin, literal, end)
                : -1;
    PQfreemem(literal);
    return made;
}

static int32_t ask(struct count *c, struct cofre_error *error)
{
    char *sql = NULL, what[300];
    describe(c->items[c->next], what, sizeof what);
    c->alone = PQtransactionStatus(c->session->connection) == PQTRANS_IDLE;
    if (make_statement(c, &sql) < 0)
        return cofre_fail_errno(error, ENOMEM, "%s", what);
    c->asked = PQsendQuery(c->session->connection, sql);
    free(sql);
    return c->asked ? COFRE_OK : failing_query(error, c->session->connection, NULL, what);
}

/* That of items[next]; the transaction is then as it was before. */
static int32_t fetch(struct count *c, int64_t *rows, struct cofre_error *error)
{
    SESSION_RESULT result = NULL;
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    char what[300];
    describe(c->items[c->next], what, sizeof what);
    c->asked = false;
    int32_t status = session_wait(c->session, &result, what, error);
    if (status == COFRE_OK && PQntuples(result) != 1)
        return cofre_fail(error, COFRE_E_NOT_FOUND, "%s: the table is gone", what);
    if (status == COFRE_OK)
        *rows = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    else if (PQtransactionStatus(c->session->connection) == PQTRANS_INERROR)
        session_run(c->session, what, c->alone ? "ROLLBACK" : go_back, &ignored);
    return status;
}

/* One table, of which the server has answered, or could not even be asked. */
static int32_t settle(struct count *c, int32_t status, struct cofre_error *error)
{
    const struct archive_item *item = c->items[c->next];
    int64_t rows = 0;
    if (status == COFRE_OK)
        status = fetch(c, &rows, error);
    if (status == COFRE_E_CANCELLED || (status != COFRE_OK && !c->failed))
        return status;
    c->next++;
    if (status == COFRE_OK)
        return c->found(c->context, item, rows, error);
    const struct cofre_error why = *error;
    return c->failed(c->context, item, &why, error);
}

int32_t count_step(struct count *c, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    while (status == COFRE_OK && !count_done(c)) {
        int32_t asked = c->asked ? COFRE_OK : ask(c, error);
        if (asked == COFRE_OK && !session_ready(c->session))
            return COFRE_OK;
        status = settle(c, asked, error);
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
