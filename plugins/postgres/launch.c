#include "postgres/launch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cofre/plugin.h"

/* The server lets in without a password whom it lets in from there: then none is handed over. */
static const char *password_inside(const struct launch *l)
{
    PGconn *connection = l->session->connection;
    return PQconnectionUsedPassword(connection) ? PQpass(connection) : NULL;
}

static char *connection_inside(const struct launch *l, const char *database)
{
    const char *id = COFRE_HAS(cofre, id) ? cofre->id(l->session->call) : NULL;
    /* By that name a later process finds, and ends, what this one left. */
    return session_string_inside(l->session, database, password_inside(l) ? PROGRAM_PASSFILE : NULL, id ? id : "cofre");
}

static int32_t connection_here(struct launch *l, const char *database, char **text, struct cofre_error *error)
{
    char passfile[40];
    if (l->options->password.length > 0) {
        l->passfile = program_passfile(&l->options->password, error);
        if (l->passfile < 0)
            return COFRE_E_CONFIG;
        snprintf(passfile, sizeof passfile, "/proc/self/fd/%d", l->passfile);
    }
    *text = session_string(l->session, l->options, database, l->passfile >= 0 ? passfile : NULL);
    return COFRE_OK;
}

int32_t launch_prepare(struct launch *l, struct session *session, const struct options *options, const char *name,
                       const char *database, struct cofre_error *error)
{
    char *connection = NULL;
    *l = (struct launch){.session = session, .options = options, .passfile = -1};
    int32_t status =
        tool_find(&l->tool, session->call, name, options, PQserverVersion(session->connection) / 10000, error);
    if (status == COFRE_OK && options_tools_inside(options))
        connection = connection_inside(l, database);
    else if (status == COFRE_OK)
        status = connection_here(l, database, &connection, error);
    if (status != COFRE_OK)
        return status;
    bool fine = connection && namelist_print(&l->words, "%s", l->tool.path) &&
                namelist_print(&l->words, "--no-password") && namelist_print(&l->words, "--dbname=%s", connection);
    free(connection);
    return fine ? COFRE_OK : cofre_fail_errno(error, ENOMEM, "run %s", name);
}

static int32_t start_here(struct launch *l, struct program *program, const struct stage *stage, bool output,
                          struct cofre_error *error)
{
    int kept[3] = {-1, -1, -1}, count = 0;
    if (stage) {
        kept[count++] = stage->fd;
        if (!namelist_print(&l->words, "%s", stage->path))
            return cofre_fail_errno(error, ENOMEM, "run %s", l->tool.path);
    }
    kept[count] = l->passfile;
    return program_start(program, l->tool.path, l->words.list, kept, output, error);
}

int32_t launch_start(struct launch *l, struct program *program, const struct stage *stage, bool output,
                     struct cofre_error *error)
{
    if (!options_tools_inside(l->options))
        return start_here(l, program, stage, output, error);
    const struct program_inside spec = {.inside = l->options->inside,
                                        .call = l->session->call,
                                        .words = l->words.list,
                                        .password = password_inside(l),
                                        .input = stage ? stage->fd : -1,
                                        .output = output};
    return program_start_inside(program, &spec, error);
}

void launch_free(struct launch *l)
{
    namelist_free(&l->words);
    if (l->passfile >= 0)
        close(l->passfile);
    l->passfile = -1;
}
