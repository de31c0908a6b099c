#include "postgres/freeze.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"

static void connect(struct freeze_moment *m, struct cofre_call *call, const struct options *options,
                    const char *database, const char *name)
{
    *m = (struct freeze_moment){.why = {.struct_size = sizeof m->why}};
    m->database = strdup(database);
    m->result = m->database ? session_open(&m->session, call, options, database, name, &m->why)
                            : cofre_fail_errno(&m->why, ENOMEM, "take a snapshot");
}

static void take(struct freeze_moment *m)
{
    static const char what[] = "take a snapshot of the database";
    SESSION_RESULT found = NULL;
    if (m->result == COFRE_OK)
        m->result = session_run(&m->session, what, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", &m->why);
    if (m->result == COFRE_OK)
        m->result = session_query(&m->session, &found, what, "SELECT pg_export_snapshot()", 0, NULL, &m->why);
    if (m->result == COFRE_OK)
        snprintf(m->snapshot, sizeof m->snapshot, "%s", PQgetvalue(found, 0, 0));
    else
        session_close(&m->session);
}

void freeze_open(struct freeze_moment *moment, struct cofre_call *call, const struct options *options,
                 const char *database, const char *name)
{
    connect(moment, call, options, database, name);
    take(moment);
}

void freeze_renew(struct freeze_moment *m)
{
    m->result = session_run(&m->session, "end the transaction of a snapshot", "ROLLBACK", &m->why);
    take(m);
}

void freeze_close(struct freeze_moment *moment)
{
    session_close(&moment->session);
    free(moment->database);
    moment->database = NULL;
}

int32_t freeze_more(struct freeze *freeze, struct cofre_call *call, const struct options *options,
                    char *const *databases, size_t count, const char *id, struct cofre_error *error)
{
    size_t first = freeze->count;
    struct freeze_moment *moments = reallocarray(freeze->moments, first + count, sizeof *moments);
    if (!moments)
        return cofre_fail_errno(error, ENOMEM, "take snapshots");
    freeze->moments = moments;
    for (size_t i = 0; i < count; i++) {
        connect(&moments[freeze->count++], call, options, databases[i], id);
        int32_t status = cofre->cancelled(call, error);
        if (status != COFRE_OK)
            return status;
    }
    for (size_t i = first; i < freeze->count; i++)
        take(&moments[i]);
    return COFRE_OK;
}

struct freeze_moment *freeze_find(const struct freeze *freeze, const char *database)
{
    for (size_t i = 0; i < freeze->count; i++)
        if (freeze->moments[i].database && strcmp(freeze->moments[i].database, database) == 0)
            return &freeze->moments[i];
    return NULL;
}

void freeze_free(struct freeze *freeze)
{
    for (size_t i = 0; i < freeze->count; i++)
        freeze_close(&freeze->moments[i]);
    free(freeze->moments);
    *freeze = (struct freeze){.count = 0};
}

int32_t freeze_forget(struct session *session, const char *id, struct cofre_error *error)
{
    SESSION_RESULT ended = NULL;
    const char *const parameters[] = {id};
    return session_query(session, &ended, "end sessions that an interrupted run left",
                         "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                         "WHERE application_name = $1 AND usename = current_user AND pid <> pg_backend_pid()",
                         1, parameters, error);
}
