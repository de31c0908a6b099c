#include "docker-volume/survey.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"

#define BEFORE_LABEL "cofre.before" /* of volumes that a restore kept */
#define NAMED 8                     /* volumes in a message */

int32_t survey_options(const struct options *o, struct cofre_error *error)
{
    if (o->volumes.count > 0 || (o->project && o->project[0]))
        return COFRE_OK;
    int32_t class = cofre_fail(error, COFRE_E_CONFIG, "neither option 'volumes' nor 'project' says what to save");
    cofre_hint(error, "'cofre discover' shows the volumes that there are");
    return class;
}

static bool is_named(const struct options *options, const char *name)
{
    for (size_t i = 0; i < options->volumes.count; i++)
        if (strcmp(options->volumes.items[i], name) == 0)
            return true;
    return false;
}

/* What a restore replaced and kept is meant by its whole name alone, and not by a pattern. */
static bool is_of(const struct source *source, const struct volume *volume)
{
    const char *project = source->options->project;
    size_t length = strlen(volume->name);
    bool named = pattern_matches(&source->volumes, volume->name, length, false);
    bool own = project && project[0] && strcmp(volume->project, project) == 0;
    if (json_object_get(json_object_get(volume->json, "Labels"), BEFORE_LABEL))
        named = own = is_named(source->options, volume->name);
    return (named || own) && !pattern_matches(&source->exclude, volume->name, length, false);
}

static int32_t choose(const struct source *source, struct survey *survey, struct cofre_error *error)
{
    survey->chosen = calloc(survey->volumes.count + 1, sizeof *survey->chosen);
    if (!survey->chosen)
        return cofre_fail_errno(error, ENOMEM, "choose volumes");
    for (size_t i = 0; i < survey->volumes.count; i++) {
        survey->chosen[i] = is_of(source, &survey->volumes.items[i]);
        survey->chosen_count += survey->chosen[i];
    }
    return COFRE_OK;
}

/* "a, b, c and 4 more" */
static void list_names(const struct survey *survey, char *text, size_t room)
{
    size_t used = 0, shown = survey->volumes.count < NAMED ? survey->volumes.count : NAMED;
    text[0] = '\0';
    for (size_t i = 0; i < shown && used < room; i++)
        used += (size_t)snprintf(text + used, room - used, "%s'%.40s'", i ? ", " : "", survey->volumes.items[i].name);
    if (survey->volumes.count > shown && used < room)
        snprintf(text + used, room - used, " and %zu more", survey->volumes.count - shown);
}

static int32_t none(const struct source *source, const struct survey *survey, struct cofre_error *error)
{
    char names[400];
    list_names(survey, names, sizeof names);
    if (survey->volumes.count == 0)
        cofre_fail(error, COFRE_E_NOT_FOUND, "%s has no volumes", daemon_name(source->daemon));
    else
        cofre_fail(error, COFRE_E_NOT_FOUND, "%s has no volume of those wanted; there are %s",
                   daemon_name(source->daemon), names);
    cofre_hint(error, "look at 'docker volume ls', and at volumes, project and exclude in the section");
    return COFRE_E_NOT_FOUND;
}

int32_t survey_all(const struct source *source, struct cofre_call *call, struct survey *survey,
                   struct cofre_error *error)
{
    struct daemon_about about;
    *survey = (struct survey){.chosen = NULL};
    int32_t status = daemon_hello(source->daemon, call, &about, error);
    if (status == COFRE_OK)
        status = volumes_list(source->daemon, call, &survey->volumes, error);
    if (status == COFRE_OK)
        status = containers_list(source->daemon, call, &survey->containers, error);
    if (status == COFRE_OK)
        status = containers_order(&survey->containers, error);
    return status == COFRE_OK ? choose(source, survey, error) : status;
}

int32_t survey_make(const struct source *source, struct cofre_call *call, struct survey *survey,
                    struct cofre_error *error)
{
    *survey = (struct survey){.chosen = NULL};
    int32_t status = survey_options(source->options, error);
    if (status == COFRE_OK)
        status = survey_all(source, call, survey, error);
    if (status == COFRE_OK && survey->chosen_count == 0)
        status = none(source, survey, error);
    return status;
}

void survey_free(struct survey *survey)
{
    volumes_free(&survey->volumes);
    containers_free(&survey->containers);
    free(survey->chosen);
    *survey = (struct survey){.chosen = NULL};
}

static size_t position(const struct survey *survey, const char *name)
{
    size_t low = 0, high = survey->volumes.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(survey->volumes.items[middle].name, name);
        if (order == 0)
            return middle;
        low = order < 0 ? middle + 1 : low;
        high = order < 0 ? high : middle;
    }
    return SIZE_MAX;
}

const struct volume *survey_volume(const struct survey *survey, const char *name)
{
    size_t at = position(survey, name);
    return at == SIZE_MAX ? NULL : &survey->volumes.items[at];
}

bool survey_is_chosen(const struct survey *survey, const char *name)
{
    size_t at = position(survey, name);
    return at != SIZE_MAX && survey->chosen[at];
}

const char *survey_absent(const struct survey *survey, const struct options *options, size_t *at)
{
    while (*at < options->volumes.count) {
        const char *name = options->volumes.items[(*at)++];
        if (!strpbrk(name, "*?[\\") && position(survey, name) == SIZE_MAX)
            return name;
    }
    return NULL;
}
