/* postgres: saves databases of a PostgreSQL server with pg_dump, each as of one moment, and puts them back beside the
 * live ones before it replaces them.
 *
 *   backup.c     what is saved: databases and globals, in order
 *   dump.c       one database: pg_dump, its dump looked at (archive.c), rows counted beside it (tally.c, count.c)
 *   globals.c    roles and tablespaces
 *   freeze.c     snapshots that stay open (connections.c: how many), and altered.c: what they no longer show
 *   restore.c    entries back to databases: stage.c, choice.c, target.c, load.c with complaint.c, swap.c
 *   obstacle.c   what is in a restore's way; replication.c: what does not follow; before.c: what was replaced
 *   inspect.c    cofre check
 *   session.c    libpq, and pool.c: what may be in between
 *   launch.c     PostgreSQL's own programs, here or in the server's container: tool.c, program.c, pump.c
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "common/docker/inside.h"
#include "postgres/backup.h"
#include "postgres/cluster.h"
#include "postgres/connections.h"
#include "postgres/inspect.h"
#include "postgres/options.h"
#include "postgres/restore.h"
#include "postgres/survey.h"

#define ROW(member, type, flags, fallback, help) COFRE_OPTION(struct options, member, type, flags, fallback, help)

static const struct cofre_option rows[] = {
    ROW(container, STRING, COFRE_O_RESTORE, NULL,
        "the container that the server is in: name, id, or PROJECT/SERVICE; in place of host"),
    COFRE_OPTION_CHOICE(struct options, tools, COFRE_O_RESTORE, "container", "container|host",
                        "with container: whose pg_dump and pg_restore"),
    ROW(docker, STRING, COFRE_O_RESTORE, NULL,
        "the daemon: unix://PATH, tcp://HOST:PORT; default: DOCKER_HOST, " DAEMON_ADDRESS),
    ROW(docker_tls, PATH, COFRE_O_RESTORE | COFRE_O_TRUSTED, NULL,
        "directory of ca.pem, cert.pem and key.pem for tcp://"),
    ROW(host, STRING, COFRE_O_RESTORE, NULL, "host name, address, or directory of the socket; default: libpq's"),
    COFRE_OPTION_RANGE(struct options, port, INTEGER, COFRE_O_RESTORE, NULL, 1, 65535, "port; default: libpq's, 5432"),
    ROW(user, STRING, COFRE_O_RESTORE, NULL, "role to connect as; default: libpq's"),
    ROW(password, SECRET, COFRE_O_RESTORE, NULL, "its password"),
    ROW(passfile, PATH, COFRE_O_RESTORE, NULL, "file of passwords, as libpq's; default: ~/.pgpass"),
    ROW(service, STRING, COFRE_O_RESTORE, NULL, "section of libpq's service file"),
    ROW(sslmode, STRING, COFRE_O_RESTORE, NULL, "as libpq's; a server elsewhere needs verify-full"),
    ROW(sslrootcert, PATH, COFRE_O_RESTORE | COFRE_O_TRUSTED, NULL, "authority that signed the server's certificate"),
    ROW(sslcert, PATH, COFRE_O_RESTORE, NULL, "certificate to show to the server"),
    ROW(sslkey, PATH, COFRE_O_RESTORE, NULL, "its private key"),
    ROW(allow_unverified, BOOLEAN, COFRE_O_RESTORE, "no",
        "talk to a server elsewhere although nothing proves who it is"),
    COFRE_OPTION_RANGE(struct options, connect_timeout, DURATION, COFRE_O_RESTORE, "30s", 1000, 3600000,
                       "how long a connection may take"),
    ROW(bin_dir, PATH, COFRE_O_RESTORE | COFRE_O_TRUSTED, NULL,
        "where pg_dump and pg_restore are; default: the newest that fit the server"),
    ROW(database, STRING, COFRE_O_RESTORE, NULL, "the database; at restore: the name that it gets"),
    ROW(databases, LIST, 0, NULL, "several databases instead; * = all but templates"),
    ROW(globals, BOOLEAN, COFRE_O_RESTORE, "yes", "roles, memberships and tablespaces, too"),
    ROW(schemas, LIST, 0, NULL, "only these schemas; patterns as pg_dump's --schema"),
    ROW(exclude_tables, LIST, 0, NULL, "without these tables; patterns as pg_dump's --exclude-table"),
    ROW(exclude_table_data, LIST, 0, NULL, "without the rows of these; patterns as pg_dump's --exclude-table-data"),
    COFRE_OPTION_CHOICE(struct options, row_counts, 0, "exact", "exact|estimate|no",
                        "rows of each table, as facts: counted, as the planner thinks, or not at all"),
    COFRE_OPTION_RANGE(struct options, lock_timeout, DURATION, COFRE_O_RESTORE, "5min", 0, INT32_MAX,
                       "how long to wait for a table that is locked; 0 = until stall_timeout"),
    ROW(max_size, SIZE, 0, "0",
        "how large the dump of a database may be; 0 = a thousand times what the server says, and 1 GiB"),
    COFRE_OPTION_CHOICE(struct options, section, COFRE_O_RESTORE, "all", "all|schema|data",
                        "restore: definitions alone, or rows alone into empty tables"),
    ROW(only_schemas, LIST, COFRE_O_RESTORE, NULL, "restore: these schemas alone"),
    ROW(tables, LIST, COFRE_O_RESTORE, NULL, "restore: these tables alone; SCHEMA.TABLE"),
    ROW(overwrite, BOOLEAN, COFRE_O_RESTORE | COFRE_O_REPLACE, "no",
        "restore: replace a database of the same name (--in-place sets it)"),
    ROW(drop_old, BOOLEAN, COFRE_O_RESTORE, "no", "restore: drop the replaced database instead of keeping it"),
    ROW(no_owner, BOOLEAN, COFRE_O_RESTORE, "no", "restore: everything belongs to the user, without grants and roles"),
    ROW(go_on, BOOLEAN, COFRE_O_RESTORE, "no", "restore: leave out what cannot be made, name it, and go on"),
    COFRE_OPTION_RANGE(struct options, drop_before, DURATION, COFRE_O_RESTORE, NULL, 86400000, INT64_MAX / 1000000,
                       "drop a NAME_before_ID so long after a restore replaced it; default: never"),
    ROW(prefix, STRING, COFRE_O_RESTORE, NULL, "restore: put this before the name of every database"),
    COFRE_OPTION_RANGE(struct options, jobs, INTEGER, COFRE_O_RESTORE, "0", 0, 64,
                       "restore: tables and indexes at once; 0 = as many as there are processors, at most 4"),
    ROW(stage_dir, PATH, COFRE_O_RESTORE, NULL,
        "restore: where a dump is kept meanwhile; default: below the state directory"),
};

struct postgres {
    struct options conf;
    const struct options *options; /* conf */
    struct freeze freeze;
    bool frozen;   /* by this instance: its end is the end of the sessions */
    bool restored; /* by this instance, which left nothing on the server */
};

static void postgres_close(void *instance)
{
    struct postgres *p = instance;
    freeze_free(&p->freeze);
    inside_close(p->conf.inside);
    free(p);
}

static bool is_set(const char *text)
{
    return text && *text;
}

static int32_t open_container(struct options *o, struct cofre_error *error)
{
    if (!is_set(o->container))
        return COFRE_OK;
    if (is_set(o->host)) {
        cofre_fail(error, COFRE_E_CONFIG, "options 'container' and 'host' exclude each other");
        cofre_hint(error, "take one of them out of the section; for one restore: --set container= or --set host=");
        return COFRE_E_CONFIG;
    }
    return inside_open(&o->inside, o->container, o->docker, o->docker_tls, error);
}

static int32_t postgres_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    struct postgres *p = calloc(1, sizeof *p);
    if (!p)
        return cofre_fail_errno(error, ENOMEM, "open the source");
    memcpy(&p->conf, conf, offsetof(struct options, inside));
    p->options = &p->conf;
    int32_t status = open_container(&p->conf, error);
    if (status != COFRE_OK) {
        free(p);
        return status;
    }
    *instance = p;
    return COFRE_OK;
}

/* Once for every call that connects: a container is not where it was. */
static int32_t reach(struct postgres *p, struct cofre_call *call, struct cofre_error *error)
{
    if (!p->conf.inside)
        return COFRE_OK;
    int64_t port = session_port(p->options);
    int32_t status = inside_reach(p->conf.inside, call, port ? port : SESSION_PORT, error);
    p->conf.host = p->conf.inside->host;
    return status;
}

/* At restore `database` says where a dump goes; before, that there is only one. */
static int32_t check_names(const struct options *o, struct cofre_error *error)
{
    if (!o->database || o->databases.count == 0)
        return COFRE_OK;
    int32_t class = cofre_fail(error, COFRE_E_CONFIG, "options 'database' and 'databases' exclude each other");
    cofre_hint(error, "take one of them out of the section");
    return class;
}

static int32_t inspect(struct postgres *p, struct cofre_call *call, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t status = reach(p, call, &why);
    /* Nothing was looked at: the host knows whether to wait for a container that is starting. */
    if (status == COFRE_E_RETRY || status == COFRE_E_BUSY || status == COFRE_E_CANCELLED) {
        *error = why;
        return status;
    }
    if (status != COFRE_OK) {
        cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
        return COFRE_OK;
    }
    return inspect_run(call, p->options, error);
}

static int32_t postgres_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    struct postgres *p = instance;
    struct cofre_error why = {.struct_size = sizeof why};
    if (depth != COFRE_CHECK_OFFLINE && depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    if (check_names(p->options, &why) != COFRE_OK) {
        cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
        return COFRE_OK;
    }
    return depth == COFRE_CHECK_OFFLINE ? COFRE_OK : inspect(p, call, error);
}

static int32_t postgres_backup(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct postgres *p = instance;
    int32_t status = check_names(p->options, error);
    if (status == COFRE_OK)
        status = reach(p, call, error);
    return status == COFRE_OK ? backup_run(call, p->options, &p->freeze, error) : status;
}

static int32_t postgres_restore(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct postgres *p = instance;
    int32_t status = reach(p, call, error);
    return status == COFRE_OK ? restore_run(call, p->options, &p->restored, error) : status;
}

/* All of them at one moment, if the server has the connections; else as many as it has, and the others later. */
static int32_t freeze(struct postgres *p, struct session *session, const char *id, struct cofre_error *error)
{
    NAMELIST_AUTO databases = {.count = 0};
    size_t share;
    char text[200];
    int32_t status = cluster_databases(session, p->options, &databases, error);
    if (status == COFRE_OK)
        status = connections_share(session, &share, error);
    if (status != COFRE_OK)
        return status;
    snprintf(text, sizeof text, CONNECTIONS_FEW, databases.count, share);
    if (share < databases.count)
        cofre->log(session->call, COFRE_LOG_NOTICE, text);
    else
        share = databases.count;
    return freeze_more(&p->freeze, session->call, p->options, databases.list, share, id, error);
}

static int32_t postgres_freeze(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    struct postgres *p = instance;
    SESSION_AUTO session = {.call = call};
    int32_t status = check_names(p->options, error);
    p->frozen = true;
    if (status == COFRE_OK)
        status = reach(p, call, error);
    if (status == COFRE_OK && p->options->databases.count > 0)
        status = cluster_connect(&session, call, p->options, NULL, error);
    else if (status == COFRE_OK)
        status = session_open(&session, call, p->options, NULL, NULL, error);
    return status == COFRE_OK ? freeze(p, &session, id, error) : status;
}

/* What this instance did it knows to be undone; of a dead one's doings only the server can tell. */
static int32_t postgres_thaw(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    struct postgres *p = instance;
    freeze_free(&p->freeze);
    bool left = p->conf.inside && p->conf.inside->abandoned;
    if ((p->frozen || p->restored) && !left)
        return COFRE_OK;
    SESSION_AUTO session = {.call = call};
    int32_t status = reach(p, call, error);
    if (status != COFRE_OK)
        return status;
    status = cluster_connect(&session, call, p->options, NULL, error);
    /* Who may not go there can have frozen something all the same. The database of the options need not exist: it may
     * be what a restore was to make. */
    if (status == COFRE_E_AUTH || status == COFRE_E_DENIED || status == COFRE_E_NOT_FOUND)
        status = session_open(&session, call, p->options, NULL, NULL, error);
    if (status == COFRE_OK)
        status = freeze_forget(&session, id, error);
    return status == COFRE_OK ? restore_forget(&session, p->options, id, error) : status;
}

static int32_t postgres_scratch_make(void *instance, struct cofre_call *call, const char *id, char *overrides,
                                     size_t length, struct cofre_error *error)
{
    (void)instance;
    (void)call;
    /* The databases themselves are made by the restore, as the snapshot says that they are. */
    int n = snprintf(overrides, length, "prefix=" RESTORE_TRIAL "\n", id);
    if (n > 0 && (size_t)n < length)
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_BUG, "make a place for a trial: there is no room for its name");
}

static int32_t postgres_scratch_drop(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    struct postgres *p = instance;
    SESSION_AUTO session = {.call = call};
    int32_t status = reach(p, call, error);
    if (status == COFRE_OK)
        status = cluster_connect(&session, call, p->options, NULL, error);
    return status == COFRE_OK ? restore_forget(&session, p->options, id, error) : status;
}

static int32_t postgres_facts(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct postgres *p = instance;
    int32_t status = reach(p, call, error);
    return status == COFRE_OK ? survey_facts(call, p->options, error) : status;
}

static int32_t postgres_estimate(void *instance, struct cofre_call *call, int64_t *entries, int64_t *bytes,
                                 struct cofre_error *error)
{
    struct postgres *p = instance;
    int32_t status = reach(p, call, error);
    return status == COFRE_OK ? survey_estimate(call, p->options, entries, bytes, error) : status;
}

static const struct cofre_source source = {
    .struct_size = sizeof source,
    .capabilities = COFRE_SOURCE_PARTS,
    .open = postgres_open,
    .close = postgres_close,
    .check = postgres_check,
    .backup = postgres_backup,
    .restore = postgres_restore,
    .freeze = postgres_freeze,
    .thaw = postgres_thaw,
    .estimate = postgres_estimate,
    .scratch_make = postgres_scratch_make,
    .scratch_drop = postgres_scratch_drop,
    .facts = postgres_facts,
};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "postgres",
    .version = "0.1.0",
    .summary = "databases of a PostgreSQL server",
    .license = "MIT",
    .example = "host     = /run/postgresql\nuser     = postgres\ndatabase = app\n",
    .options = COFRE_OPTIONS(struct options, rows),
    .source = &source,
    /* libpq's own, less PGPASSWORD: a password comes from the configuration; and less PGCLIENTENCODING: a dump is in
     * the encoding of its database. */
    .environment = "PGHOST PGHOSTADDR PGPORT PGDATABASE PGUSER PGPASSFILE PGSERVICE PGSERVICEFILE PGOPTIONS PGAPPNAME "
                   "PGSSL* PGREQUIREPEER PGREQUIRESSL PGCHANNELBINDING PGGSS* PGKRBSRVNAME PGCONNECT_TIMEOUT "
                   "PGTARGETSESSIONATTRS PGSYSCONFDIR PGTZ PGDATESTYLE " DAEMON_ENVIRONMENT,
};

COFRE_PLUGIN(plugin)
