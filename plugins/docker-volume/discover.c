#include "docker-volume/discover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "docker-volume/backup.h"
#include "docker-volume/covered.h"
#include "docker-volume/database.h"
#include "docker-volume/user.h"

#define BEFORE_LABEL "cofre.before"
#define ANONYMOUS_LABEL "com.docker.volume.anonymous"
#define ABOUT_MAX 400
#define NAME_LENGTH 64 /* of an anonymous volume */

struct discovery {
    const struct source *source;
    struct cofre_call *call;
    struct cofre_error *error;
    struct survey survey;
    bool *done; /* of each volume: offered, or no business of a backup */
};

/* ---- what is said ---- */

/* Labels hold anything: what goes into a section is looked at. */
static bool is_plain(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    return text[0] && text[strspn(text, plain)] == '\0';
}

/* What the section needs to reach the same daemon. */
static void put_daemon(const struct discovery *d, FILE *out)
{
    const struct options *o = d->source->options;
    if (o->docker && o->docker[0])
        fprintf(out, "docker    = %s\n", o->docker);
    if (o->docker_tls && o->docker_tls[0])
        fprintf(out, "docker_tls = %s\n", o->docker_tls);
}

static void human(uint64_t bytes, char out[24])
{
    static const char *const units[] = {"bytes", "KB", "MB", "GB", "TB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1000 && unit + 1 < sizeof units / sizeof units[0]) {
        value /= 1000;
        unit++;
    }
    snprintf(out, 24, unit ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

/* false: its files cannot be reached. */
static bool measure(struct discovery *d, const struct volume *volume, uint64_t *bytes)
{
    struct cofre_error why = {.struct_size = sizeof why};
    struct tree_read_counts counts = {.entries = 0};
    int root;
    if (volume_open(d->source->daemon, volume, &root, &why) != COFRE_OK)
        return false;
    struct tree_read_options options = backup_reading(d->source, &d->survey, volume, root, NULL);
    bool counted = tree_read_count(d->call, &options, &counts, &why) == COFRE_OK;
    close(root);
    *bytes += counts.bytes;
    return counted;
}

static void list_users(const struct discovery *d, const struct volume *volume, char *text, size_t room)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < d->survey.containers.count && used < room; i++)
        if (user_mounts(&d->survey.containers.items[i], volume))
            used += (size_t)snprintf(text + used, room - used, "%s%.60s", used ? ", " : "; used by ",
                                     d->survey.containers.items[i].name);
}

static int32_t offer(struct discovery *d, const char *name, const char *options, const char *about, const char *covered)
{
    const struct cofre_offer o = {.struct_size = sizeof o,
                                  .name = name,
                                  .options = options,
                                  .about = about,
                                  .covered_by = covered[0] ? covered : NULL};
    return cofre->offer(d->call, &o, d->error);
}

/* text is what an open_memstream made; NULL: it could not. */
static int32_t offer_text(struct discovery *d, const char *name, char *text, const char *about, const char *covered)
{
    int32_t status =
        text ? offer(d, name, text, about, covered) : cofre_fail_errno(d->error, ENOMEM, "offer '%s'", name);
    free(text);
    return status;
}

/* ---- databases ---- */

static void options_of_database(const struct discovery *d, FILE *out, const struct database *kind,
                                const struct container *container)
{
    char reference[USER_REFERENCE_MAX];
    const char *user = database_user(kind, container), *name = container->name;
    if (is_plain(container->project) && is_plain(container->service))
        name = user_reference(container, reference);
    fprintf(out, "plugin    = %s\ncontainer = %s\n", kind->plugin, name);
    if (user)
        fprintf(out, "user      = %s\n", user);
    if (strcmp(kind->plugin, "postgres") == 0)
        fprintf(out, "databases = *\n");
    put_daemon(d, out);
}

static int32_t offer_database(struct discovery *d, const struct container *c)
{
    const struct database *kind = database_find(c);
    char covered[COVERED_NAME_MAX], about[ABOUT_MAX], *text = NULL;
    size_t length;
    if (!kind || !is_plain(c->name))
        return COFRE_OK;
    int32_t status = covered_container(d->call, kind->plugin, c, false, covered, d->error);
    if (status != COFRE_OK)
        return status;
    for (size_t i = 0; i < d->survey.volumes.count; i++)
        d->done[i] |= database_has_data(kind, c, d->survey.volumes.items[i].name);
    snprintf(about, sizeof about, "%s in container '%.100s' (%s), image %.100s", kind->what, c->name,
             container_state_name(c->state), c->image);
    FILE *out = open_memstream(&text, &length);
    if (out) {
        options_of_database(d, out, kind, c);
        fclose(out);
    }
    return offer_text(d, c->name, text, about, covered);
}

/* ---- volumes ---- */

static bool is_database_volume(const struct discovery *d, const struct volume *volume)
{
    for (size_t i = 0; i < d->survey.containers.count; i++) {
        const struct database *kind = database_find(&d->survey.containers.items[i]);
        if (kind && database_has_data(kind, &d->survey.containers.items[i], volume->name))
            return true;
    }
    return false;
}

static bool is_of(const struct discovery *d, size_t i, const char *project)
{
    return strcmp(d->survey.volumes.items[i].project, project) == 0;
}

static void options_of_project(const struct discovery *d, FILE *out, const char *project)
{
    const char *before = "exclude   = ";
    fprintf(out, "plugin    = docker-volume\nproject   = %s\n", project);
    for (size_t i = 0; i < d->survey.volumes.count; i++) {
        if (!is_of(d, i, project) || !is_database_volume(d, &d->survey.volumes.items[i]))
            continue;
        fprintf(out, "%s%s", before, d->survey.volumes.items[i].name);
        before = ", ";
    }
    if (before[0] == ',')
        fprintf(out, "\n");
    put_daemon(d, out);
}

/* By one source all of them; else nothing covers the project. */
static int32_t cover_project(struct discovery *d, const char *project, char covered[COVERED_NAME_MAX])
{
    char one[COVERED_NAME_MAX];
    bool first = true;
    covered[0] = '\0';
    for (size_t i = 0; i < d->survey.volumes.count; i++) {
        if (d->done[i] || !is_of(d, i, project))
            continue;
        int32_t status =
            covered_volume(d->source, d->call, &d->survey, &d->survey.volumes.items[i], false, one, d->error);
        if (status != COFRE_OK)
            return status;
        if (first)
            memcpy(covered, one, sizeof one);
        if (!one[0])
            covered[0] = '\0';
        if (!covered[0])
            return COFRE_OK;
        first = false;
    }
    return COFRE_OK;
}

/* The volumes of the project that `first` belongs to. */
static int32_t offer_project(struct discovery *d, size_t first)
{
    const char *project = d->survey.volumes.items[first].project;
    char covered[COVERED_NAME_MAX], about[ABOUT_MAX], size[24] = "", *text = NULL;
    size_t count = 0, length;
    uint64_t bytes = 0;
    bool measured = true;
    int32_t status = cover_project(d, project, covered);
    if (status != COFRE_OK)
        return status;
    for (size_t i = first; i < d->survey.volumes.count; i++) {
        if (d->done[i] || !is_of(d, i, project))
            continue;
        d->done[i] = true;
        measured &= measure(d, &d->survey.volumes.items[i], &bytes);
        count++;
    }
    human(bytes, size);
    snprintf(about, sizeof about, "%zu volume%s of compose project '%.100s'%s%s", count, count == 1 ? "" : "s", project,
             measured ? ", " : "", measured ? size : "");
    FILE *out = open_memstream(&text, &length);
    if (out) {
        options_of_project(d, out, project);
        fclose(out);
    }
    return offer_text(d, project, text, about, covered);
}

static int32_t offer_volume(struct discovery *d, const struct volume *volume)
{
    char covered[COVERED_NAME_MAX], about[ABOUT_MAX], users[200], size[24] = "", *text = NULL;
    size_t length;
    uint64_t bytes = 0;
    int32_t status = covered_volume(d->source, d->call, &d->survey, volume, false, covered, d->error);
    if (status != COFRE_OK)
        return status;
    if (measure(d, volume, &bytes))
        human(bytes, size);
    list_users(d, volume, users, sizeof users);
    snprintf(about, sizeof about, "volume '%.100s'%s%s%s", volume->name, size[0] ? ", " : "", size, users);
    FILE *out = open_memstream(&text, &length);
    if (out) {
        fprintf(out, "plugin    = docker-volume\nvolumes   = %s\n", volume->name);
        put_daemon(d, out);
        fclose(out);
    }
    return offer_text(d, volume->name, text, about, covered);
}

/* Nobody asked for it by a name, and nobody uses it; or a restore kept it. */
static bool is_waste(const struct discovery *d, const struct volume *volume)
{
    const json_t *labels = json_object_get(volume->json, "Labels");
    bool hex = strlen(volume->name) == NAME_LENGTH && strspn(volume->name, "0123456789abcdef") == NAME_LENGTH;
    if (json_object_get(labels, BEFORE_LABEL) || !is_plain(volume->name))
        return true;
    for (size_t i = 0; i < d->survey.containers.count; i++)
        if (user_mounts(&d->survey.containers.items[i], volume))
            return false;
    return hex || json_object_get(labels, ANONYMOUS_LABEL);
}

static int32_t offer_all(struct discovery *d)
{
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < d->survey.containers.count; i++)
        status = offer_database(d, &d->survey.containers.items[i]);
    for (size_t i = 0; status == COFRE_OK && i < d->survey.volumes.count; i++) {
        const struct volume *v = &d->survey.volumes.items[i];
        if (!d->done[i] && !is_waste(d, v))
            status = is_plain(v->project) ? offer_project(d, i) : offer_volume(d, v);
        if (status == COFRE_OK)
            status = cofre->cancelled(d->call, d->error);
    }
    return status;
}

int32_t discover_run(const struct source *source, struct cofre_call *call, struct cofre_error *error)
{
    struct discovery d = {.source = source, .call = call, .error = error};
    if (!COFRE_HAS(cofre, offer))
        return cofre_fail(error, COFRE_E_UNSUPPORTED, "this cofre is too old to be offered sources");
    int32_t status = survey_all(source, call, &d.survey, error);
    if (status == COFRE_OK)
        d.done = calloc(d.survey.volumes.count + 1, sizeof *d.done);
    if (status == COFRE_OK)
        status = d.done ? offer_all(&d) : cofre_fail_errno(error, ENOMEM, "look at what the daemon has");
    free(d.done);
    survey_free(&d.survey);
    return status;
}
