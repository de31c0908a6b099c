#include "postgres/failing.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/failure.h"

#define LOOK "see the server's log for the reason, and try again"
#define LOCKED "somebody holds a lock (ALTER TABLE, VACUUM FULL, LOCK): another hour, or a longer lock_timeout"
#define NO_SUCH_HOST                                                                                                   \
    "nobody here knows that name; a server in a container is reached with container = NAME, without host"
#define NO_CONNECTION_LEFT "raise max_connections, or the CONNECTION LIMIT of the role or the database; or another hour"

/* The first row whose words are in the text and which has no SQLSTATE; else the first whose SQLSTATE begins with
 * `state`; else, when there is none, the first whose words are in the text. Programs give no SQLSTATE. The server's
 * words are in its own language: where a row has only words, they are of libpq or a program, which speak English here,
 * or say more than the SQLSTATE to those whose server does. */
static const struct {
    const char *state, *words;
    int32_t class;
    const char *hint;
} rows[] = {
    {"28P01", "password authentication failed", COFRE_E_AUTH, "set user and password (or passfile) of this source"},
    {"", "no pg_hba.conf entry", COFRE_E_AUTH, "allow this user, database and address in the server's pg_hba.conf"},
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
    {"", "Temporary failure in name resolution", COFRE_E_RETRY, NO_SUCH_HOST},
    {"", "could not translate host name", COFRE_E_PERMANENT, NO_SUCH_HOST},
    {"", "Is the server running", COFRE_E_RETRY, "is the server running, and are host and port right?"},
    {"28", "is not permitted to log in", COFRE_E_AUTH,
     "is there such a role that may log in, and does pg_hba.conf allow it, with this database and address?"},
    {"3D000", "\" does not exist", COFRE_E_NOT_FOUND, "check the names in this source's section"},
    {"42501", "permission denied", COFRE_E_DENIED,
     "let the user read everything: GRANT pg_read_all_data TO the user, or make it the owner"},
    {"", "row-level security", COFRE_E_DENIED,
     "the user would see only a part of the table: ALTER ROLE the user BYPASSRLS, or use a superuser"},
    {"", "must be superuser", COFRE_E_DENIED, "use a superuser"},
    {"", "is not currently accepting connections", COFRE_E_DENIED,
     "ALTER DATABASE ... ALLOW_CONNECTIONS true lets cofre in"},
    {"42P04", "already exists", COFRE_E_EXISTS, ""},
    {"55P03", "lock timeout", COFRE_E_TIMEOUT, LOCKED},
    {"55006", "is being accessed by other users", COFRE_E_BUSY, "end its other sessions, and try again"},
    {"", "statement timeout; detail: Query was: LOCK", COFRE_E_TIMEOUT, LOCKED},
    {"", "killed by signal", COFRE_E_PERMANENT, "was it the kernel, for want of memory? See its log"},
    {"40001", "conflict with recovery", COFRE_E_RETRY,
     "on a standby: raise max_standby_streaming_delay, set hot_standby_feedback = on, or save the primary"},
    {"57014", "canceling statement", COFRE_E_TIMEOUT, "see statement_timeout, and who cancelled it, on the server"},
    {"57P03", "the database system is", COFRE_E_RETRY, "the server is starting or stopping: try again"},
    {"57P", "terminating connection", COFRE_E_RETRY, "the server was stopped, or ended the session: try again"},
    {"", "server closed the connection", COFRE_E_RETRY, LOOK},
    {"", "no connection to the server", COFRE_E_RETRY, LOOK},
    {"", "could not receive data", COFRE_E_RETRY, LOOK},
    {"", "connection has been closed", COFRE_E_RETRY, LOOK},
    {"53300", "too many clients", COFRE_E_RETRY, NO_CONNECTION_LEFT},
    {"53300", "too many connections for", COFRE_E_RETRY, NO_CONNECTION_LEFT},
    {"53300", "remaining connection slots", COFRE_E_RETRY, NO_CONNECTION_LEFT},
    {"08", "connection to server", COFRE_E_RETRY, LOOK},
    {"53100", "No space left", COFRE_E_NO_SPACE, "make room on the disk that is full"},
    {"53200", "out of shared memory", COFRE_E_NO_SPACE, "raise max_locks_per_transaction on the server"},
    {"XX", "invalid page", COFRE_E_INTEGRITY,
     "the server's data are damaged: see its log, pg_amcheck, and an older snapshot"},
    /* The server speaks another language. */
    {"57014", "detail: Query was: LOCK TABLE", COFRE_E_TIMEOUT,
     "somebody holds a lock on it: another hour, or a longer lock_timeout; or the user may not read it: see cofre "
     "check"},
};

static const char *const prefixes[] = {"ERROR:  ", "FATAL:  ", "error: ", "fatal: "};

/* One line of UTF-8: line breaks are spaces, no full stop, without the server's own word for an error in front. What a
 * database that is not UTF-8 says is not either. */
static void tidy(const char *said, char *out, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(said, prefixes[i], strlen(prefixes[i])) == 0)
            said += strlen(prefixes[i]);
    for (const char *p = said; *p && n + 4 < size;) {
        size_t take = failure_character(p, strlen(p));
        bool space = strchr("\n\r\t ", *p) != NULL;
        if (space ? n > 0 && out[n - 1] != ' ' : take == 0)
            out[n++] = space ? ' ' : '?';
        else if (!space)
            n = (size_t)(stpncpy(out + n, p, take) - out);
        p += take ? take : 1;
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
    cofre_fail(error, class, "%s: %s", what, line);
    cofre_hint(error, "%s", known ? rows[row].hint : "");
    snprintf(error->code, sizeof error->code, "%s", sqlstate ? sqlstate : "");
    return class;
}

/* ---- a connection that failed ---- */

#define STATE_LENGTH 5

/* "FATAL:  28P01: ...": where the SQLSTATE begins, whatever the language of the word in front. NULL = nowhere. */
static const char *find_state(const char *line, size_t n)
{
    static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (size_t i = 0; i + 3 + STATE_LENGTH + 2 <= n; i++)
        if (strncmp(line + i, ":  ", 3) == 0 && strspn(line + i + 3, letters) == STATE_LENGTH &&
            strncmp(line + i + 3 + STATE_LENGTH, ": ", 2) == 0)
            return line + i + 3;
    return NULL;
}

/* "LOCATION:  auth_failed, auth.c:326", in any language. */
static bool is_location(const char *line, size_t n)
{
    size_t digits = 0;
    while (digits < n && strchr("0123456789", line[n - 1 - digits]))
        digits++;
    return digits > 0 && n > digits + 3 && strncmp(line + n - digits - 3, ".c:", 3) == 0;
}

/* What a connection says verbosely, without what is not for people: the first SQLSTATE goes to `state`. */
static void take_apart(const char *said, char state[STATE_LENGTH + 1], FILE *out)
{
    for (const char *line = said; *line;) {
        size_t n = strcspn(line, "\n");
        const char *code = find_state(line, n);
        if (code && !*state)
            snprintf(state, STATE_LENGTH + 1, "%.*s", STATE_LENGTH, code);
        if (code)
            fprintf(out, "%.*s%.*s\n", (int)(code - line), line, (int)(line + n - code) - STATE_LENGTH - 2,
                    code + STATE_LENGTH + 2);
        else if (!is_location(line, n))
            fprintf(out, "%.*s\n", (int)n, line);
        line += n + (line[n] == '\n');
    }
}

static int32_t fail_connection(struct cofre_error *error, const char *said, const char *what)
{
    char state[STATE_LENGTH + 1] = "", text[1000] = "";
    FILE *out = fmemopen(text, sizeof text - 1, "w");
    if (!out)
        return failing_set(error, NULL, what, said);
    take_apart(said, state, out);
    fclose(out);
    return failing_set(error, state, what, text);
}

int32_t failing_query(struct cofre_error *error, const PGconn *connection, const PGresult *result, const char *what)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    const char *said = result ? PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    if (said)
        return failing_set(error, state, what, said);
    said = result && *PQresultErrorMessage(result) ? PQresultErrorMessage(result) : PQerrorMessage(connection);
    return fail_connection(error, *said ? said : "the connection is gone", what);
}
