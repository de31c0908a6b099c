#include "postgres/failing.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/failure.h"

/* The first row whose SQLSTATE begins with `state`, or, when there is none, whose words are in the text. Programs give
 * no SQLSTATE; they run with English messages, and so does libpq where the server's own are English. */
static const struct {
    const char *state, *words;
    int32_t class;
    const char *hint;
} rows[] = {
    {"28P01", "password authentication failed", COFRE_E_AUTH, "set user and password (or passfile) of this source"},
    {"28", "no pg_hba.conf entry", COFRE_E_AUTH, "allow this user, database and address in the server's pg_hba.conf"},
    {"", "no password supplied", COFRE_E_AUTH,
     "set password or passfile (of the environment PGPASSWORD is not used: password = @env:PGPASSWORD)"},
    {"", "Peer authentication failed", COFRE_E_AUTH,
     "run cofre as that system user, or allow this user with a password in pg_hba.conf"},
    {"", "client certificate", COFRE_E_AUTH, "set sslcert and sslkey to what the server asks for"},
    {"", "certificate authentication failed", COFRE_E_AUTH,
     "set user to the name in sslcert, or allow it in pg_ident.conf"},
    {"", "certificate verify failed", COFRE_E_AUTH, "set sslrootcert to the authority that signed the server's key"},
    {"", "root certificate file", COFRE_E_CONFIG, "set sslrootcert to the authority that signed the server's key"},
    {"", "server certificate for", COFRE_E_AUTH, "set host to the name that is in the server's certificate"},
    {"", "does not support SSL", COFRE_E_AUTH, "turn ssl on in postgresql.conf, or see allow_unverified"},
    {"3D000", "\" does not exist", COFRE_E_NOT_FOUND, "check the names in this source's section"},
    {"42501", "permission denied", COFRE_E_DENIED,
     "let the user read everything: GRANT pg_read_all_data TO the user, or make it the owner"},
    {"", "row-level security", COFRE_E_DENIED,
     "the user would see only a part of the table: ALTER ROLE the user BYPASSRLS, or use a superuser"},
    {"", "must be superuser", COFRE_E_DENIED, "use a superuser"},
    {"42P04", "already exists", COFRE_E_EXISTS, ""},
    {"55P03", "lock timeout", COFRE_E_TIMEOUT,
     "somebody holds a lock (ALTER TABLE, VACUUM FULL, LOCK): another hour, or a longer lock_timeout"},
    {"55006", "is being accessed by other users", COFRE_E_BUSY, "end its other sessions, and try again"},
    {"", "statement timeout; detail: Query was: LOCK", COFRE_E_TIMEOUT,
     "somebody holds a lock (ALTER TABLE, VACUUM FULL, LOCK): another hour, or a longer lock_timeout"},
    {"", "killed by signal", COFRE_E_PERMANENT, "was it the kernel, for want of memory? See its log"},
    {"40001", "conflict with recovery", COFRE_E_RETRY,
     "on a standby: raise max_standby_streaming_delay, set hot_standby_feedback = on, or save the primary"},
    {"57014", "canceling statement", COFRE_E_TIMEOUT, "see statement_timeout, and who cancelled it, on the server"},
    {"57P03", "starting up", COFRE_E_RETRY, "the server is starting or stopping: try again"},
    {"57P", "terminating connection", COFRE_E_RETRY, "the server was stopped, or ended the session: try again"},
    {"", "server closed the connection", COFRE_E_RETRY, "see the server's log for the reason, and try again"},
    {"", "no connection to the server", COFRE_E_RETRY, "see the server's log for the reason, and try again"},
    {"", "could not receive data", COFRE_E_RETRY, "see the server's log for the reason, and try again"},
    {"", "connection has been closed", COFRE_E_RETRY, "see the server's log for the reason, and try again"},
    {"08", "connection to server", COFRE_E_RETRY, "is the server running, and are host and port right?"},
    {"53300", "too many clients", COFRE_E_RETRY, "raise max_connections, or run at another hour"},
    {"53100", "No space left", COFRE_E_NO_SPACE, "make room on the disk that is full"},
    {"53200", "out of shared memory", COFRE_E_NO_SPACE, "raise max_locks_per_transaction on the server"},
    {"XX", "invalid page", COFRE_E_INTEGRITY,
     "the server's data are damaged: see its log, pg_amcheck, and an older snapshot"},
};

static const char *const prefixes[] = {"ERROR:  ", "FATAL:  ", "error: ", "fatal: "};

/* One line: line breaks are spaces, no full stop, without the server's own word for an error in front. */
static void tidy(const char *said, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(said, prefixes[i], strlen(prefixes[i])) == 0)
            said += strlen(prefixes[i]);
    for (const char *p = said; *p && n + 1 < size; p++) {
        bool space = *p == '\n' || *p == '\r' || *p == '\t' || *p == ' ';
        if (!space || (n > 0 && out[n - 1] != ' '))
            out[n++] = space ? ' ' : *p;
    }
    while (n > 0 && (out[n - 1] == ' ' || out[n - 1] == '.'))
        n--;
    out[n] = '\0';
}

static bool matches(size_t row, const char *sqlstate, const char *said)
{
    if (sqlstate && sqlstate[0] != '\0')
        return rows[row].state[0] != '\0' && strncmp(sqlstate, rows[row].state, strlen(rows[row].state)) == 0;
    return strstr(said, rows[row].words) != NULL;
}

static size_t find(const char *sqlstate, const char *said)
{
    size_t row = 0;
    /* More is said by the words where a class of SQLSTATE has several reasons. */
    while (row < sizeof rows / sizeof rows[0] && !(rows[row].state[0] == '\0' && strstr(said, rows[row].words)))
        row++;
    if (row < sizeof rows / sizeof rows[0])
        return row;
    for (row = 0; row < sizeof rows / sizeof rows[0] && !matches(row, sqlstate, said);)
        row++;
    return row;
}

int32_t failing_set(struct cofre_error *error, const char *sqlstate, const char *what, const char *said)
{
    char line[400];
    tidy(said, line, sizeof line);
    size_t row = find(sqlstate, line);
    bool known = row < sizeof rows / sizeof rows[0];
    int32_t class = known ? rows[row].class : COFRE_E_PERMANENT;
    failure_set(error, class, "%s: %s", what, line);
    failure_hint(error, "%s", known ? rows[row].hint : "");
    snprintf(error->code, sizeof error->code, "%s", sqlstate ? sqlstate : "");
    return class;
}

int32_t failing_query(struct cofre_error *error, const PGconn *connection, const PGresult *result, const char *what)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *said = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (!said)
        said = result && *PQresultErrorMessage(result) ? PQresultErrorMessage(result) : PQerrorMessage(connection);
    return failing_set(error, state, what, *said ? said : "the connection is gone");
}
