#include "postgres/swap.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "cofre/plugin.h"
#include "postgres/before.h"
#include "postgres/cluster.h"
#include "postgres/failing.h"
#include "postgres/obstacle.h"
#include "postgres/replication.h"

#define ATTEMPTS 2  /* the server itself waits up to 5 seconds in each */
#define PATIENCE 50 /* ms between two looks */

static int32_t rename_sql(const char *from, const char *to, char *out, size_t size)
{
    char one[SESSION_QUOTED_MAX], other[SESSION_QUOTED_MAX];
    return snprintf(out, size, "ALTER DATABASE %s RENAME TO %s", session_identifier(from, one),
                    session_identifier(to, other));
}
#define RENAME_MAX (2 * SESSION_QUOTED_MAX + 40)

/* Ask every session of the database to go. Each by itself: one that may not be ended must not shield the others. */
static void end_sessions(struct session *second, const char *database)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    SESSION_RESULT found = NULL;
    const char *const parameters[] = {database};
    if (session_query(second, &found, "list sessions", "SELECT pid FROM pg_stat_activity WHERE datname = $1", 1,
                      parameters, &ignored) != COFRE_OK)
        return;
    for (int i = 0; i < PQntuples(found); i++) {
        SESSION_RESULT ended = NULL;
        const char *const pid[] = {PQgetvalue(found, i, 0)};
        session_query(second, &ended, "end a session", "SELECT pg_terminate_backend($1::int)", 1, pid, &ignored);
    }
}

/* The statement takes the database's lock, so that nobody new comes in, and waits for those who are there; meanwhile a
 * second session asks them to go. */
static int32_t rename_away(struct session *admin, struct session *second, const char *from, const char *to,
                           struct cofre_error *error)
{
    SESSION_RESULT result = NULL;
    char sql[RENAME_MAX], what[120];
    rename_sql(from, to, sql, sizeof sql);
    snprintf(what, sizeof what, "rename database '%s'", from);
    if (!PQsendQuery(admin->connection, sql))
        return failing_query(error, admin->connection, NULL, what);
    while (!session_ready(admin)) {
        end_sessions(second, from);
        poll(NULL, 0, PATIENCE);
        cofre->progress(admin->call, 1, 0);
    }
    return session_wait(admin, &result, what, error);
}

static int32_t attempt(struct target *t, struct session *second, const char *before, struct cofre_error *error)
{
    char sql[RENAME_MAX];
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    int32_t status = session_run(t->admin, "begin a transaction", "BEGIN", error);
    if (status == COFRE_OK)
        status = rename_away(t->admin, second, t->name, before, error);
    rename_sql(t->work, t->name, sql, sizeof sql);
    if (status == COFRE_OK)
        status = session_run(t->admin, "rename the restored database", sql, error);
    if (status == COFRE_OK)
        status = session_run(t->admin, "rename the databases", "COMMIT", error);
    if (status != COFRE_OK)
        session_run(t->admin, "roll back", "ROLLBACK", &ignored);
    return status;
}

/* For drop_before, which leaves alone what it knows nothing of. */
static void mark(struct target *t, const char *before)
{
    struct cofre_error why = {.struct_size = sizeof why};
    if (before_mark(t->admin, before, t->name, &why) != COFRE_OK)
        cofre->log(t->admin->call, COFRE_LOG_WARNING, why.message);
}

static void say(struct target *t, const char *before, bool dropped)
{
    char text[400];
    snprintf(text, sizeof text, "database '%s' was replaced; what it was is %s '%s'%s", t->name,
             dropped ? "dropped:" : "kept as database", before, dropped ? "" : ": drop it when all is well");
    /* It takes room until somebody drops it. */
    cofre->log(t->admin->call, dropped ? COFRE_LOG_INFO : COFRE_LOG_WARNING, text);
    if (!dropped)
        before_name(t->admin->call, before);
}

/* The restore is done: an old one that stays is no failure of it. */
static bool drop_old(struct target *t, const char *before)
{
    struct cofre_error why = {.struct_size = sizeof why};
    char quoted[SESSION_QUOTED_MAX], sql[SESSION_QUOTED_MAX + 20];
    snprintf(sql, sizeof sql, "DROP DATABASE %s", session_identifier(before, quoted));
    bool dropped = session_run(t->admin, "drop the old database", sql, &why) == COFRE_OK;
    if (!dropped)
        cofre->log(t->admin->call, COFRE_LOG_WARNING, why.message);
    return dropped;
}

/* It has happened, and stays. */
static void conclude(struct target *t, const char *before)
{
    mark(t, before);
    bool dropped = t->options->drop_old && !t->partial && drop_old(t, before);
    say(t, before, dropped);
    if (!dropped)
        replication_say(t->admin, before, t->name);
}

static int32_t replace(struct target *t, const char *id, struct cofre_error *error)
{
    char before[SESSION_NAME_MAX + 1];
    SESSION_AUTO second = {.call = t->admin->call};
    int32_t status = before_choose(t->admin, t->name, id, before, error);
    if (status == COFRE_OK)
        status = cluster_connect(&second, t->admin->call, t->options, t->name, error);
    if (status != COFRE_OK)
        return status;
    for (int i = 0; i < ATTEMPTS; i++) {
        status = attempt(t, &second, before, error);
        if (status != COFRE_E_BUSY)
            break;
    }
    if (status == COFRE_E_BUSY)
        return obstacle_name(&second, t->name, error);
    t->made = t->made && status != COFRE_OK;
    if (status == COFRE_OK)
        conclude(t, before);
    return status;
}

int32_t swap_partial(struct target *t, const char *id, struct cofre_error *error)
{
    char sql[RENAME_MAX], name[SESSION_NAME_MAX + 1];
    int32_t status = target_free_name(t->admin, t->name, "_partial_", id, name, error);
    rename_sql(t->work, name, sql, sizeof sql);
    if (status == COFRE_OK)
        status = session_run(t->admin, "give the restored database a name", sql, error);
    if (status != COFRE_OK)
        return status;
    snprintf(t->work, sizeof t->work, "%s", name);
    t->made = false;
    before_name(t->admin->call, name);
    return COFRE_OK;
}

int32_t swap_names(struct target *t, const char *id, struct cofre_error *error)
{
    char sql[RENAME_MAX];
    if (strcmp(t->work, t->name) == 0)
        return COFRE_OK;
    if (t->exists)
        return replace(t, id, error);
    rename_sql(t->work, t->name, sql, sizeof sql);
    int32_t status = session_run(t->admin, "give the restored database its name", sql, error);
    t->made = t->made && status != COFRE_OK;
    return status;
}
