#include "docker-volume/inspect.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/tree_check.h"
#include "docker-volume/backup.h"
#include "docker-volume/before.h"
#include "docker-volume/covered.h"
#include "docker-volume/say.h"
#include "docker-volume/user.h"

#define USERS_TEXT 600

struct inspection {
    const struct source *source;
    struct cofre_call *call;
    struct survey survey;
};

/* ---- the daemon ---- */

static int32_t say_daemon(struct inspection *in, struct cofre_error *error)
{
    struct daemon_about about;
    int32_t status = daemon_hello(in->source->daemon, in->call, &about, error);
    if (status == COFRE_OK)
        say_finding(in->call, COFRE_LOG_INFO, "", "%s: %s %s, %zu of its %zu volumes are saved",
                    daemon_name(in->source->daemon), about.product, about.version, in->survey.chosen_count,
                    in->survey.volumes.count);
    return status;
}

/* ---- volumes ---- */

static const char *deed(const struct inspection *in, const struct container *c, bool writes)
{
    bool known;
    if (!user_runs(c))
        return container_state_name(c->state);
    if (!writes)
        return "reads";
    enum options_during during = user_during(in->source->options, c, &known);
    if (during == OPTIONS_RUN)
        return user_is_self(c) ? "runs cofre, goes on" : "writes, goes on";
    return during == OPTIONS_PAUSE || c->removed_when_stopped ? "writes, is paused meanwhile"
                                                              : "writes, is stopped meanwhile";
}

/* "'app' (writes, goes on), 'old' (exited)"; "" = nobody. */
static void list_users(const struct inspection *in, const struct volume *volume, char text[USERS_TEXT])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < in->survey.containers.count && used < USERS_TEXT; i++) {
        const struct container *c = &in->survey.containers.items[i];
        if (user_mounts(c, volume))
            used += (size_t)snprintf(text + used, USERS_TEXT - used, "%s'%.80s' (%s)", used ? ", " : "", c->name,
                                     deed(in, c, user_writes(c, volume)));
    }
}

static int32_t look_into(struct inspection *in, const struct volume *volume, int root, struct cofre_error *error)
{
    char writer[BACKUP_WRITER_MAX];
    struct tree_read_options options =
        backup_reading(in->source, &in->survey, volume, root, backup_writer(&in->survey, volume, writer));
    /* A run halts whom it is to halt, and what they leave is then good enough. */
    bool writers_go_on = false;
    for (size_t i = 0; i < in->survey.containers.count; i++) {
        const struct container *c = &in->survey.containers.items[i];
        bool known;
        writers_go_on |=
            user_runs(c) && user_writes(c, volume) && user_during(in->source->options, c, &known) == OPTIONS_RUN;
    }
    options.living_accepted |= !writers_go_on;
    return tree_check(in->call, &options, root, error);
}

static int32_t inspect_volume(struct inspection *in, const struct volume *volume, struct cofre_error *error)
{
    char users[USERS_TEXT];
    struct cofre_error why = {.struct_size = sizeof why};
    int root;
    list_users(in, volume, users);
    int32_t opened = volume_open(in->source->daemon, volume, &root, &why);
    say_finding(in->call, COFRE_LOG_INFO, "", "volume '%s'%s%s%s: %s%s", volume->name,
                volume->plain ? "" : " of driver ", volume->plain ? "" : volume->driver,
                opened == COFRE_OK ? "" : " (read through the daemon: times in whole seconds, no extended attributes)",
                users[0] ? "used by " : "no container uses it", users);
    if (opened != COFRE_OK)
        return COFRE_OK;
    int32_t status = look_into(in, volume, root, error);
    close(root);
    return status;
}

static void inspect_names(const struct inspection *in)
{
    const char *name;
    for (size_t at = 0; (name = survey_absent(&in->survey, in->source->options, &at));)
        say_finding(in->call, COFRE_LOG_ERROR, "look at 'docker volume ls', and at volumes in the section",
                    "there is no volume '%.255s'", name);
}

static void inspect_labels(const struct inspection *in)
{
    for (size_t i = 0; i < in->survey.containers.count; i++) {
        const struct container *c = &in->survey.containers.items[i];
        bool known = true;
        if (user_writes_any(&in->survey, c))
            user_during(in->source->options, c, &known);
        if (!known)
            say_finding(in->call, COFRE_LOG_WARNING, "set it to run, pause or stop",
                        "container '%.100s': its label cofre.during = '%.40s' does not count", c->name, c->during);
    }
}

/* ---- what nobody saves ---- */

/* Does the project belong to this source: is it named, or is one of its volumes chosen? */
static bool has_project(const struct inspection *in, const char *project)
{
    const char *own = in->source->options->project;
    if (project[0] == '\0')
        return false;
    if (own && strcmp(own, project) == 0)
        return true;
    for (size_t i = 0; i < in->survey.volumes.count; i++)
        if (in->survey.chosen[i] && strcmp(in->survey.volumes.items[i].project, project) == 0)
            return true;
    return false;
}

/* By its own label, or because a container of the project mounts it: those that compose calls external, and nameless
 * ones, have no label. */
static bool is_of_projects(const struct inspection *in, const struct volume *volume)
{
    if (has_project(in, volume->project))
        return true;
    for (size_t i = 0; i < in->survey.containers.count; i++)
        if (has_project(in, in->survey.containers.items[i].project) &&
            user_mounts(&in->survey.containers.items[i], volume))
            return true;
    return false;
}

static int32_t inspect_rest(struct inspection *in, struct cofre_error *error)
{
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < in->survey.volumes.count && COFRE_HAS(cofre, configured); i++) {
        const struct volume *v = &in->survey.volumes.items[i];
        char covered[COVERED_NAME_MAX];
        if (in->survey.chosen[i] || !is_of_projects(in, v))
            continue;
        status = covered_volume(in->source, in->call, &in->survey, v, true, covered, error);
        if (status == COFRE_OK && !covered[0])
            say_finding(in->call, COFRE_LOG_WARNING, "add it to volumes, or to another source of a job",
                        "volume '%s' of the same project is saved by no job", v->name);
    }
    return status;
}

/* ---- all of it ---- */

static int32_t inspect(struct inspection *in, struct cofre_error *error)
{
    int32_t status = say_daemon(in, error);
    if (status != COFRE_OK)
        return status;
    inspect_names(in);
    inspect_labels(in);
    for (size_t i = 0; status == COFRE_OK && i < in->survey.volumes.count; i++)
        if (in->survey.chosen[i])
            status = inspect_volume(in, &in->survey.volumes.items[i], error);
    if (status == COFRE_OK)
        status = before_inspect(in->source->daemon, in->call, &in->survey, error);
    return status == COFRE_OK ? inspect_rest(in, error) : status;
}

int32_t inspect_run(const struct source *source, struct cofre_call *call, struct cofre_error *error)
{
    struct inspection in = {.source = source, .call = call};
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t status = survey_make(source, call, &in.survey, &why);
    if (status == COFRE_OK)
        status = inspect(&in, &why);
    survey_free(&in.survey);
    if (status == COFRE_OK || status == COFRE_E_CANCELLED || status == COFRE_E_RETRY || status == COFRE_E_BUSY) {
        *error = why;
        return status;
    }
    cofre->finding(call, COFRE_LOG_ERROR, why.message, why.hint);
    return COFRE_OK;
}
