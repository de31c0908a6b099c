#include "postgres/session.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/docker/inside.h"
#include "common/failure.h"
#include "postgres/failing.h"
#include "postgres/pool.h"

#define PATIENCE 100 /* ms between two looks at a cancellation */

/* ---- what is said to libpq ---- */

#define PARAMETERS 20
struct parameters {
    const char *keys[PARAMETERS + 1], *values[PARAMETERS + 1];
    int count;
    char port[8], *password;
};

static void add(struct parameters *p, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    p->keys[p->count] = key;
    p->values[p->count++] = value;
}

int64_t session_port(const struct options *options)
{
    return options->port || !options->inside || options->service ? options->port : SESSION_PORT;
}

static int32_t collect(struct parameters *p, const struct options *o, const char *database, const char *name,
                       struct cofre_error *error)
{
    if (o->password.length > 0) {
        p->password = strndup((const char *)o->password.bytes, o->password.length);
        if (!p->password)
            return cofre_fail_errno(error, ENOMEM, "connect");
    }
    int64_t port = session_port(o);
    if (port)
        snprintf(p->port, sizeof p->port, "%d", (int)port);
    add(p, "service", o->service);
    add(p, "host", o->host);
    /* Whatever service file and environment say is about other servers. */
    add(p, "hostaddr", o->inside ? o->host : NULL);
    add(p, "port", p->port);
    add(p, "user", o->user);
    add(p, "password", p->password);
    add(p, "passfile", o->passfile);
    add(p, "sslmode", o->sslmode);
    add(p, "sslrootcert", o->sslrootcert);
    add(p, "sslcert", o->sslcert);
    add(p, "sslkey", o->sslkey);
    add(p, "dbname", database ? database : o->database);
    add(p, "application_name", name ? name : "cofre");
    /* What every database can speak: its own bytes. Some can be converted from, but not while connecting. */
    add(p, "client_encoding", "SQL_ASCII");
    /* A server that is gone without a word is noticed within a minute or two. */
    add(p, "keepalives_idle", "30");
    add(p, "keepalives_interval", "10");
    add(p, "keepalives_count", "6");
    return COFRE_OK;
}

static void wipe(struct parameters *p)
{
    if (p->password)
        explicit_bzero(p->password, strlen(p->password));
    free(p->password);
}

/* ---- who is there ---- */

static const char *value_of(const PQconninfoOption *all, const char *key)
{
    for (; all->keyword; all++)
        if (strcmp(all->keyword, key) == 0)
            return all->val ? all->val : "";
    return "";
}

bool session_is_local(const char *host, size_t n)
{
    static const char *const exact[] = {"localhost", "::1", "localhost."};
    if (n == 0 || host[0] == '/' || host[0] == '@' || (n > 4 && memcmp(host, "127.", 4) == 0))
        return true;
    for (size_t i = 0; i < sizeof exact / sizeof exact[0]; i++)
        if (n == strlen(exact[i]) && memcmp(host, exact[i], n) == 0)
            return true;
    return false;
}

/* Lists of hosts: each of them. */
static bool all_local(const char *hosts)
{
    for (const char *p = hosts;; p++) {
        size_t n = strcspn(p, ",");
        if (!session_is_local(p, n))
            return false;
        p += n;
        if (*p == '\0')
            return true;
    }
}

/* Before anything is sent. What libpq made of options, service file and environment counts. */
static int32_t check_proof(PGconn *connection, const struct options *options, struct cofre_error *error)
{
    PQconninfoOption *all = PQconninfo(connection);
    if (!all)
        return cofre_fail_errno(error, ENOMEM, "connect");
    const char *address = value_of(all, "hostaddr"), *host = value_of(all, "host"), *mode = value_of(all, "sslmode");
    int32_t status = COFRE_OK;
    /* Who is in a container the daemon says. */
    if (!options->inside && !options->allow_unverified && strcmp(mode, "verify-full") != 0 &&
        !all_local(*address ? address : host)) {
        char quoted[FAILURE_QUOTE_MAX];
        status = cofre_fail(error, COFRE_E_CONFIG,
                            "connect to server '%s': it is not on this machine, and with sslmode '%s' nothing proves "
                            "who it is",
                            failure_quote(host, strlen(host), quoted), mode);
        cofre_hint(error, "set sslmode = verify-full and sslrootcert; or, knowing what it means, allow_unverified = "
                          "yes");
    }
    PQconninfoFree(all);
    return status;
}

/* ---- connecting ---- */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int32_t wait_socket(const struct session *s, short events, struct cofre_error *error)
{
    struct pollfd fd = {.fd = PQsocket(s->connection), .events = events};
    poll(&fd, 1, PATIENCE);
    return cofre->cancelled(s->call, error);
}

static void describe(const PGconn *connection, char *out, size_t size)
{
    char quoted[FAILURE_QUOTE_MAX];
    const char *name = PQdb(connection) ? PQdb(connection) : "";
    snprintf(out, size, "connect to database '%s'", failure_quote(name, strlen(name), quoted));
}

static int32_t establish(struct session *s, const struct options *options, struct cofre_error *error)
{
    char what[FAILURE_QUOTE_MAX + 32];
    int64_t until = now_ms() + options->connect_timeout;
    describe(s->connection, what, sizeof what);
    PostgresPollingStatusType step = PGRES_POLLING_WRITING;
    while (step != PGRES_POLLING_OK && step != PGRES_POLLING_FAILED) {
        int32_t status = wait_socket(s, step == PGRES_POLLING_READING ? POLLIN : POLLOUT, error);
        if (status != COFRE_OK)
            return status;
        if (now_ms() > until) {
            status = cofre_fail(error, COFRE_E_TIMEOUT, "%s: no answer within %lld seconds", what,
                                (long long)options->connect_timeout / 1000);
            cofre_hint(error, "check host, port and firewalls, or raise connect_timeout");
            return status;
        }
        step = PQconnectPoll(s->connection);
    }
    return step == PGRES_POLLING_OK ? COFRE_OK : failing_query(error, s->connection, NULL, what);
}

static void discard_notice(void *context, const PGresult *result)
{
    (void)context;
    (void)result;
}

/* Connected; nothing is set that another session could find in its server's memory. */
static int32_t reach(struct session *session, struct cofre_call *call, const struct options *options,
                     const struct parameters *p, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    *session = (struct session){.call = call, .connection = PQconnectStartParams(p->keys, p->values, 0)};
    if (!session->connection)
        return cofre_fail_errno(error, ENOMEM, "connect");
    PQsetNoticeReceiver(session->connection, discard_notice, NULL);
    /* The only way to the SQLSTATE of a connection that fails. */
    PQsetErrorVerbosity(session->connection, PQERRORS_VERBOSE);
    if (PQstatus(session->connection) == CONNECTION_BAD)
        status = failing_query(error, session->connection, NULL, "connect");
    if (status == COFRE_OK)
        status = check_proof(session->connection, options, error);
    if (status == COFRE_OK)
        status = establish(session, options, error);
    PQsetErrorVerbosity(session->connection, PQERRORS_DEFAULT);
    return status;
}

static int32_t refuse_pool(struct session *session, const struct options *options, const struct parameters *p,
                           struct cofre_error *error)
{
    SESSION_AUTO other = {.call = session->call};
    bool direct = false;
    int32_t status = pool_absent(session, &direct, error);
    if (status != COFRE_OK || direct)
        return status;
    status = reach(&other, session->call, options, p, error);
    return status == COFRE_OK ? pool_refuse(session, &other, error) : status;
}

static int32_t settle(struct session *s, const struct options *options, struct cofre_error *error)
{
    char sql[400];
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    snprintf(sql, sizeof sql,
             "SET search_path TO ''; SET statement_timeout TO 0; SET idle_in_transaction_session_timeout TO 0; "
             "SET row_security TO off; SET DateStyle TO ISO; SET lock_timeout TO %lld",
             (long long)options->lock_timeout);
    int32_t status = session_run(s, "prepare the session", sql, error);
    if (status == COFRE_OK && PQserverVersion(s->connection) >= 140000)
        status = session_run(s, "prepare the session", "SET idle_session_timeout TO 0", error);
    /* There is no way from MULE_INTERNAL to UTF-8. */
    if (status == COFRE_OK)
        session_run(s, "prepare the session", "SET client_encoding TO 'UTF8'", &ignored);
    return status;
}

/* What libpq cannot know. */
static void explain(const struct options *options, struct cofre_error *error)
{
    bool unknown = strstr(error->message, "could not translate host name") != NULL;
    if (options->inside && strstr(error->message, "Is the server running"))
        cofre_hint(error,
                   "container '%.100s' runs, but nothing in it listens there: is it starting (wait = 60s)? See its "
                   "listen_addresses and port",
                   options->inside->name);
    else if (unknown && !options->inside && options->host && *options->host)
        cofre_hint(error, "nobody here knows that name; if it is that of a container: container = %.100s, not host",
                   options->host);
}

int32_t session_open(struct session *session, struct cofre_call *call, const struct options *options,
                     const char *database, const char *name, struct cofre_error *error)
{
    struct parameters p = {.count = 0};
    *session = (struct session){.call = call};
    int32_t status = collect(&p, options, database, name, error);
    if (status == COFRE_OK)
        status = reach(session, call, options, &p, error);
    if (status == COFRE_OK)
        status = refuse_pool(session, options, &p, error);
    wipe(&p);
    if (status == COFRE_OK)
        status = settle(session, options, error);
    if (status == COFRE_OK)
        return COFRE_OK;
    explain(options, error);
    session_close(session);
    return status;
}

int32_t session_speak_raw(struct session *session, struct cofre_error *error)
{
    return session_run(session, "prepare the session", "SET client_encoding TO 'SQL_ASCII'", error);
}

bool session_is_raw(const struct session *session)
{
    const char *spoken = PQparameterStatus(session->connection, "client_encoding");
    return !spoken || strcmp(spoken, "UTF8") != 0;
}

void session_close(struct session *session)
{
    PQfinish(session->connection);
    session->connection = NULL;
}

/* ---- statements ---- */

bool session_ready(struct session *session)
{
    /* A connection that broke is ready to say so. */
    return !PQconsumeInput(session->connection) || !PQisBusy(session->connection);
}

/* The statement must not go on alone. */
static void cancel(struct session *session)
{
    char ignored[256];
    PGcancel *handle = PQgetCancel(session->connection);
    if (handle)
        PQcancel(handle, ignored, sizeof ignored);
    PQfreeCancel(handle);
}

static int weight(const PGresult *result)
{
    ExecStatusType type = PQresultStatus(result);
    return type == PGRES_COMMAND_OK ? 0 : type == PGRES_TUPLES_OK ? 1 : 2;
}

int32_t session_wait(struct session *session, PGresult **result, const char *what, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    *result = NULL;
    for (;;) {
        while (status == COFRE_OK && !session_ready(session))
            status = wait_socket(session, POLLIN, error);
        if (status != COFRE_OK) {
            cancel(session);
            return status;
        }
        PGresult *next = PQgetResult(session->connection);
        if (!next)
            break;
        /* Of several statements the first error counts, else the last rows, else the last result. */
        if (*result && weight(*result) > weight(next))
            PQclear(next);
        else {
            PQclear(*result);
            *result = next;
        }
        if (PQstatus(session->connection) == CONNECTION_BAD)
            break;
    }
    ExecStatusType type = PQresultStatus(*result);
    if (type == PGRES_TUPLES_OK || type == PGRES_COMMAND_OK)
        return COFRE_OK;
    status = failing_query(error, session->connection, *result, what);
    PQclear(*result);
    *result = NULL;
    return status;
}

int32_t session_query(struct session *session, PGresult **result, const char *what, const char *sql, int count,
                      const char *const *parameters, struct cofre_error *error)
{
    *result = NULL;
    if (!PQsendQueryParams(session->connection, sql, count, NULL, parameters, NULL, NULL, 0))
        return failing_query(error, session->connection, NULL, what);
    return session_wait(session, result, what, error);
}

int32_t session_run(struct session *session, const char *what, const char *sql, struct cofre_error *error)
{
    SESSION_RESULT result = NULL;
    if (!PQsendQuery(session->connection, sql))
        return failing_query(error, session->connection, NULL, what);
    return session_wait(session, &result, what, error);
}

int32_t session_run_made(struct session *session, const char *what, const char *sql, int count,
                         const char *const *parameters, struct cofre_error *error)
{
    SESSION_RESULT made = NULL;
    int32_t status = session_query(session, &made, what, sql, count, parameters, error);
    for (int i = 0; status == COFRE_OK && i < PQntuples(made); i++)
        status = session_run(session, what, PQgetvalue(made, i, 0), error);
    return status;
}

const char *session_identifier(const char *name, char out[SESSION_QUOTED_MAX])
{
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; name[i] && i < SESSION_NAME_MAX; i++) {
        if (name[i] == '"')
            out[n++] = '"';
        out[n++] = name[i];
    }
    out[n++] = '"';
    out[n] = '\0';
    return out;
}

/* ---- for programs ---- */

static void put_pair(FILE *out, const char *key, const char *value)
{
    if (!value || !*value)
        return;
    fprintf(out, "%s='", key);
    for (; *value; value++)
        fprintf(out, *value == '\'' || *value == '\\' ? "\\%c" : "%c", *value);
    fputs("' ", out);
}

char *session_string(const struct session *session, const struct options *options, const char *database,
                     const char *passfile)
{
    /* What was left to the environment or a service file is named as it came out, so that the programs reach the same
     * server; an exported snapshot is known to no other. */
    static const char *const taken[] = {"service", "user",    "sslmode",         "sslrootcert",
                                        "sslcert", "sslkey",  "gssencmode",      "channel_binding",
                                        "sslcrl",  "options", "keepalives_idle", "keepalives_interval"};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    PQconninfoOption *all = PQconninfo(session->connection);
    if (out && all) {
        for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
            put_pair(out, taken[i], value_of(all, taken[i]));
        put_pair(out, "host", PQhost(session->connection));
        if (*value_of(all, "hostaddr"))
            put_pair(out, "hostaddr", PQhostaddr(session->connection));
        put_pair(out, "port", PQport(session->connection));
        put_pair(out, "dbname", database);
        put_pair(out, "passfile", passfile ? passfile : options->passfile);
    }
    PQconninfoFree(all);
    if (out && fclose(out) == 0 && all)
        return text;
    free(text);
    return NULL;
}

char *session_string_inside(const struct session *session, const char *database, const char *passfile, const char *name)
{
    static const char *const taken[] = {"user", "options", "keepalives_idle", "keepalives_interval"};
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    PQconninfoOption *all = PQconninfo(session->connection);
    if (out && all) {
        const char *mode = value_of(all, "sslmode");
        for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
            put_pair(out, taken[i], value_of(all, taken[i]));
        /* The files that prove something are on this machine, and over there it speaks to itself. */
        put_pair(out, "sslmode", strncmp(mode, "verify-", 7) == 0 ? "require" : mode);
        put_pair(out, "host", "127.0.0.1");
        put_pair(out, "hostaddr", "127.0.0.1");
        put_pair(out, "port", PQport(session->connection));
        put_pair(out, "dbname", database);
        put_pair(out, "passfile", passfile);
        put_pair(out, "application_name", name);
    }
    PQconninfoFree(all);
    if (out && fclose(out) == 0 && all)
        return text;
    free(text);
    return NULL;
}
