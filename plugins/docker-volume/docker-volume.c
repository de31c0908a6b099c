/* docker-volume: saves volumes of a Docker daemon, with what describes them and the containers that use them.
 *
 *   source.c     one instance
 *   halt.c       containers that are paused or stopped meanwhile
 *   restore.c    what a snapshot holds, put back; its undo record is in note.c
 *   services.c   what is stopped around a restore
 *   layout.h     what a snapshot holds
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/failure.h"
#include "docker-volume/options.h"
#include "docker-volume/restore.h"
#include "docker-volume/services.h"
#include "docker-volume/source.h"

#define ROW(member, type, flags, fallback, help) COFRE_OPTION(struct options, member, type, flags, fallback, help)

static const struct cofre_option rows[] = {
    ROW(volumes, LIST, 0, NULL, "names and patterns of volumes: shop_uploads, shop_*"),
    ROW(project, STRING, 0, NULL, "the volumes of this compose project, those that it gets tomorrow too"),
    ROW(exclude, LIST, 0, NULL, "names and patterns of volumes that are left out"),
    ROW(exclude_paths, LIST, 0, NULL, "patterns of what is left out in volumes: *.tmp, cache/, /shop_uploads/thumbs"),
    ROW(compose_files, BOOLEAN, 0, "yes", "also the compose files of the containers that use them"),
    ROW(docker, STRING, COFRE_O_RESTORE, NULL,
        "the daemon: unix:///PATH or tcp://HOST:PORT; default: DOCKER_HOST, else /var/run/docker.sock"),
    ROW(tls, PATH, COFRE_O_RESTORE, NULL, "directory of ca.pem, cert.pem and key.pem, for tcp://"),
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
    ROW(overwrite, BOOLEAN, COFRE_O_RESTORE, "no", "restore: replace what is in a volume (--in-place sets it)"),
    ROW(exact, BOOLEAN, COFRE_O_RESTORE, "no", "restore: what the snapshot does not have goes"),
    ROW(devices, BOOLEAN, COFRE_O_RESTORE, "no", "restore: make devices (needs root)"),
    ROW(setuid, BOOLEAN, COFRE_O_RESTORE, "no",
        "restore: put back setuid and setgid bits of files and file capabilities (needs root)"),
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

static int32_t prepare(struct source *s, struct cofre_error *error)
{
    const struct options *o = s->options;
    struct daemon_options daemon = {.address = o->docker, .tls = o->tls};
    int32_t status = pattern_compile(&s->volumes, "volumes", &o->volumes, "/", error);
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
        return failure_system(error, ENOMEM, "open the source");
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
    (void)instance;
    (void)call;
    (void)depth;
    return failure_set(error, COFRE_E_UNSUPPORTED, "check: not there yet");
}

static int32_t docker_backup(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    (void)instance;
    (void)call;
    return failure_set(error, COFRE_E_UNSUPPORTED, "backup: not there yet");
}

static int32_t docker_restore(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    return restore_run(instance, call, error);
}

/* Volumes first: what starts again must find one or the other content. */
static int32_t docker_thaw(void *instance, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    const struct source *s = instance;
    struct cofre_error why = {.struct_size = sizeof why};
    struct halt halt;
    int32_t status = restore_settle(s, call, id, error);
    if (status == COFRE_OK)
        status = source_halt(s, call, &halt, error);
    if (status != COFRE_OK)
        return status;
    int32_t started = halt_undo(&halt, call, id, error);
    status = restore_tidy(s, call, id, started == COFRE_OK ? error : &why);
    if (started != COFRE_OK && status != COFRE_OK)
        cofre->log(call, COFRE_LOG_ERROR, why.message);
    return started == COFRE_OK ? status : started;
}

static int32_t docker_services(void *instance, struct cofre_call *call, int32_t what, const char *id, const char *which,
                               struct cofre_error *error)
{
    return services_run(instance, call, what, id, which, error);
}

static const struct cofre_source source = {
    .struct_size = sizeof source,
    .open = docker_open,
    .close = docker_close,
    .check = docker_check,
    .backup = docker_backup,
    .restore = docker_restore,
    .thaw = docker_thaw,
    .services = docker_services,
};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = 1,
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
