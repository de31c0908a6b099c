/* docker-volume: saves volumes of a Docker daemon, with what describes them and the containers that use them.
 *
 *   source.c     one instance
 *   survey.c     what there is, and which volumes are chosen; user.c: the containers that use them
 *   backup.c     each volume: as files, or as an archive (tape.c) by way of a container (carrier.c)
 *   describe.c   what goes into .docker (layout.h), as small files (sheet.c)
 *   during.c     what becomes of containers meanwhile; halt.c, halt_undo.c: how they are halted and put back
 *   inspect.c    cofre check
 *   discover.c   cofre discover; database.c: databases in containers; covered.c: what is a source already
 *   restore.c    volumes, put back: fill.c, or pour.c through the daemon; replace.c, before.c: what they held; note.c
 *   services.c   what is stopped around a restore
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "docker-volume/backup.h"
#include "docker-volume/carrier.h"
#include "docker-volume/discover.h"
#include "docker-volume/during.h"
#include "docker-volume/inspect.h"
#include "docker-volume/options.h"
#include "docker-volume/restore.h"
#include "docker-volume/services.h"
#include "docker-volume/source.h"
#include "docker-volume/survey.h"

#define ROW(member, type, flags, fallback, help) COFRE_OPTION(struct options, member, type, flags, fallback, help)

static const struct cofre_option rows[] = {
    ROW(volumes, LIST, 0, NULL, "names and patterns of volumes: shop_uploads, shop_*"),
    ROW(project, STRING, 0, NULL, "the volumes of this compose project, those that it gets tomorrow too"),
    ROW(exclude, LIST, 0, NULL, "names and patterns of volumes that are left out"),
    ROW(exclude_paths, LIST, 0, NULL, "patterns of what is left out in volumes: *.tmp, cache/, /shop_uploads/thumbs"),
    ROW(compose_files, BOOLEAN, 0, "yes", "also the compose files of the containers that use them"),
    ROW(docker, STRING, COFRE_O_RESTORE, NULL,
        "the daemon: unix:///PATH or tcp://HOST:PORT; default: DOCKER_HOST, else /var/run/docker.sock"),
    ROW(docker_tls, PATH, COFRE_O_RESTORE | COFRE_O_TRUSTED, NULL,
        "directory of ca.pem, cert.pem and key.pem, for tcp://"),
    COFRE_OPTION_CHOICE(struct options, during, 0, "run", "run|pause|stop",
                        "what containers do that write to the volumes, while those are read"),
    COFRE_OPTION_RANGE(struct options, stop_timeout, DURATION, COFRE_O_RESTORE, NULL, 1000, 3600000,
                       "how long a container may take to stop until it is killed; default: its own"),
    COFRE_OPTION_RANGE(struct options, health_wait, DURATION, COFRE_O_RESTORE, "2min", 0, 86400000,
                       "how long to wait for a container that was healthy to be so again; 0 = not at all"),
    COFRE_OPTION_CHOICE(struct options, live_database, 0, "incomplete", "incomplete|accept",
                        "what files of a database are worth whose server is running: the snapshot is then incomplete"),
    ROW(one_file_system, BOOLEAN, 0, "yes", "do not enter mount points in a volume"),
    ROW(numeric_owner, BOOLEAN, COFRE_O_RESTORE, "yes", "owners as numbers only, not by the names of this machine"),
    ROW(volume, STRING, COFRE_O_RESTORE, NULL, "restore: into this volume instead"),
    ROW(overwrite, BOOLEAN, COFRE_O_RESTORE | COFRE_O_REPLACE, "no",
        "restore: replace what is in a volume (--in-place sets it)"),
    ROW(exact, BOOLEAN, COFRE_O_RESTORE, "no", "restore: what the snapshot does not have goes"),
    ROW(devices, BOOLEAN, COFRE_O_RESTORE, "no", "restore: make devices (needs root)"),
    ROW(setuid, BOOLEAN, COFRE_O_RESTORE, "no",
        "restore: put back setuid and setgid bits of files, security.* and trusted.* (needs root)"),
    ROW(force, BOOLEAN, COFRE_O_RESTORE, "no", "restore: also where something does not fit what the snapshot recorded"),
};

static void docker_close(void *instance)
{
    struct source *s = instance;
    daemon_close(s->daemon);
    pattern_free(&s->volumes);
    pattern_free(&s->exclude);
    pattern_free(&s->exclude_paths);
    free(s);
}

static int32_t check_names(const struct cofre_list *list, const char *option, struct cofre_error *error)
{
    for (size_t i = 0; i < list->count; i++) {
        if (!strchr(list->items[i], '/'))
            continue;
        cofre_fail(error, COFRE_E_CONFIG, "option '%s': '%.200s' is no name of a volume", option, list->items[i]);
        cofre_hint(error, "what is left out in volumes stands in exclude_paths: NAME/path, *.tmp");
        return COFRE_E_CONFIG;
    }
    return COFRE_OK;
}

static int32_t prepare(struct source *s, struct cofre_error *error)
{
    const struct options *o = s->options;
    struct daemon_options daemon = {.address = o->docker, .tls = o->docker_tls};
    int32_t status = check_names(&o->volumes, "volumes", error);
    if (status == COFRE_OK)
        status = check_names(&o->exclude, "exclude", error);
    if (status == COFRE_OK)
        status = pattern_compile(&s->volumes, "volumes", &o->volumes, "/", error);
    if (status == COFRE_OK)
        status = pattern_compile(&s->exclude, "exclude", &o->exclude, "/", error);
    if (status == COFRE_OK)
        status = pattern_compile(&s->exclude_paths, "exclude_paths", &o->exclude_paths, "/", error);
    return status == COFRE_OK ? daemon_open(&daemon, &s->daemon, error) : status;
}

static int32_t docker_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    struct source *s = calloc(1, sizeof *s);
    if (!s)
        return cofre_fail_errno(error, ENOMEM, "open the source");
    s->options = conf;
    int32_t status = prepare(s, error);
    if (status != COFRE_OK) {
        docker_close(s);
        return status;
    }
    *instance = s;
    return COFRE_OK;
}

static int32_t docker_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    const struct source *s = instance;
    struct cofre_error why = {.struct_size = sizeof why};
    if (depth != COFRE_CHECK_OFFLINE && depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    if (survey_options(s->options, &why) != COFRE_OK) {
        cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
        return COFRE_OK;
    }
    return depth == COFRE_CHECK_OFFLINE ? COFRE_OK : inspect_run(s, call, error);
}

static int32_t docker_backup(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    return backup_run(instance, call, error);
}

static int32_t docker_freeze(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    return during_begin(instance, call, id, error);
}

static int32_t docker_facts(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct tree_read_counts counts;
    bool whole;
    return backup_count(instance, call, true, &counts, &whole, error);
}

static int32_t docker_estimate(void *instance, struct cofre_call *call, int64_t *entries, int64_t *bytes,
                               struct cofre_error *error)
{
    struct tree_read_counts counts;
    bool whole;
    int32_t status = backup_count(instance, call, false, &counts, &whole, error);
    *entries = status == COFRE_OK && whole ? (int64_t)counts.entries : -1;
    *bytes = status == COFRE_OK && whole ? (int64_t)counts.bytes : -1;
    return status;
}

static int32_t docker_discover(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    return discover_run(instance, call, error);
}

static int32_t docker_restore(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    return restore_run(instance, call, error);
}

/* Keep the first error. */
static void add_failure(struct cofre_call *call, int32_t result, const struct cofre_error *why, int32_t *status,
                        struct cofre_error *error)
{
    if (result == COFRE_OK)
        return;
    if (*status == COFRE_OK) {
        *error = *why;
        *status = result;
    } else {
        cofre->log(call, COFRE_LOG_ERROR, why->message);
    }
}

/* What starts again must find its volumes whole, and waits for nothing else. */
static int32_t docker_thaw(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t status = restore_settle(instance, call, id, error);
    if (status != COFRE_OK)
        return status;
    status = during_end(instance, call, id, error);
    add_failure(call, carrier_clear(instance, call, id, &why), &why, &status, error);
    add_failure(call, restore_tidy(instance, call, id, &why), &why, &status, error);
    return status;
}

static int32_t docker_services(void *instance, struct cofre_call *call, int32_t what, const char *id, const char *which,
                               struct cofre_error *error)
{
    if (what < COFRE_SERVICES_SAY || what > COFRE_SERVICES_KEEP)
        return cofre_unknown(error, "services", "request", (uint32_t)what);
    return services_run(instance, call, what, id, which, error);
}

static const struct cofre_source source = {
    .struct_size = sizeof source,
    .capabilities = COFRE_SOURCE_PARTS,
    .open = docker_open,
    .close = docker_close,
    .check = docker_check,
    .backup = docker_backup,
    .restore = docker_restore,
    .freeze = docker_freeze,
    .thaw = docker_thaw,
    .estimate = docker_estimate,
    .facts = docker_facts,
    .discover = docker_discover,
    .services = docker_services,
};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "docker-volume",
    .version = "0.1.0",
    .summary = "volumes of a Docker daemon",
    .license = "MIT",
    .example = "project = shop\nexclude = shop_postgres\nduring  = pause\n",
    .options = COFRE_OPTIONS(struct options, rows),
    .source = &source,
    .environment = DAEMON_ENVIRONMENT,
};

COFRE_PLUGIN(plugin)
