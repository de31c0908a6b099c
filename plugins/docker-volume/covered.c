#include "docker-volume/covered.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "docker-volume/database.h"
#include "docker-volume/user.h"

/* NULL = not set. */
static const char *setting(const struct cofre_section *section, const char *name)
{
    const char *row = (const char *)section->settings;
    for (uint32_t i = 0; i < section->setting_count; i++, row += section->setting_stride) {
        const struct cofre_setting *s = (const struct cofre_setting *)(const void *)row;
        if (strcmp(s->name, name) == 0)
            return s->value;
    }
    return NULL;
}

/* What option docker means, as daemon_open takes it. */
static const char *address(const char *written)
{
    const char *host = getenv("DOCKER_HOST");
    if (written && written[0])
        return written;
    return host && host[0] ? host : DAEMON_ADDRESS;
}

/* ---- lists, as they are written ---- */

static char *trimmed(char *word)
{
    word += strspn(word, " \t\r\n");
    size_t length = strlen(word);
    while (length > 0 && strchr(" \t\r\n", word[length - 1]))
        word[--length] = '\0';
    return word;
}

/* Does a list of patterns name the volume? What is wrong with one is told where its own source is checked. */
static bool names(const char *list, const char *volume)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    char *copy = list ? strdup(list) : NULL, *rest = NULL;
    bool found = false;
    for (char *word = copy ? strtok_r(copy, ",", &rest) : NULL; word && !found; word = strtok_r(NULL, ",", &rest)) {
        const char *items[] = {trimmed(word)};
        const struct cofre_list one = {.items = items, .count = 1};
        struct pattern_set set;
        if (pattern_compile(&set, "volumes", &one, "/", &ignored) == COFRE_OK)
            found = pattern_matches(&set, volume, strlen(volume), false);
        pattern_free(&set);
    }
    free(copy);
    return found;
}

/* ---- sections ---- */

static bool chooses(const struct source *source, const struct cofre_section *section, const struct volume *volume)
{
    const char *project = setting(section, "project");
    if (strcmp(section->plugin, "docker-volume") != 0 ||
        strcmp(address(setting(section, "docker")), address(source->options->docker)) != 0 ||
        names(setting(section, "exclude"), volume->name))
        return false;
    return names(setting(section, "volumes"), volume->name) ||
           (project && project[0] && strcmp(project, volume->project) == 0);
}

static bool is_of_container(const struct cofre_section *section, const char *plugin, const struct container *container)
{
    char reference[USER_REFERENCE_MAX];
    const char *written = setting(section, "container");
    return written && strcmp(section->plugin, plugin) == 0 &&
           (strcmp(written, container->name) == 0 || strcmp(written, user_reference(container, reference)) == 0 ||
            (strlen(written) >= 12 && strncmp(written, container->id, strlen(written)) == 0));
}

static bool keeps_data(const struct cofre_section *section, const struct survey *survey, const struct volume *volume)
{
    for (size_t i = 0; i < survey->containers.count; i++) {
        const struct container *c = &survey->containers.items[i];
        const struct database *d = database_find(c);
        if (d && database_has_data(d, c, volume->name) && is_of_container(section, d->plugin, c))
            return true;
    }
    return false;
}

/* The section at index that counts; NULL with COFRE_END after the last. */
static int32_t section_at(struct cofre_call *call, uint64_t index, bool in_job, const struct cofre_section **section,
                          struct cofre_error *error)
{
    *section = NULL;
    if (!COFRE_HAS(cofre, configured))
        return COFRE_END;
    int32_t status = cofre->configured(call, index, section, error);
    if (status == COFRE_OK && in_job && !((*section)->flags & COFRE_SECTION_IN_JOB))
        *section = NULL;
    return status;
}

int32_t covered_volume(const struct source *source, struct cofre_call *call, const struct survey *survey,
                       const struct volume *volume, bool in_job, char covered[COVERED_NAME_MAX],
                       struct cofre_error *error)
{
    const struct cofre_section *section;
    covered[0] = '\0';
    for (uint64_t i = 0;; i++) {
        int32_t status = section_at(call, i, in_job, &section, error);
        if (status != COFRE_OK)
            return status == COFRE_END ? COFRE_OK : status;
        if (section && (chooses(source, section, volume) || keeps_data(section, survey, volume))) {
            snprintf(covered, COVERED_NAME_MAX, "%s", section->name);
            return COFRE_OK;
        }
    }
}

int32_t covered_container(struct cofre_call *call, const char *plugin, const struct container *container, bool in_job,
                          char covered[COVERED_NAME_MAX], struct cofre_error *error)
{
    const struct cofre_section *section;
    covered[0] = '\0';
    for (uint64_t i = 0;; i++) {
        int32_t status = section_at(call, i, in_job, &section, error);
        if (status != COFRE_OK)
            return status == COFRE_END ? COFRE_OK : status;
        if (section && is_of_container(section, plugin, container)) {
            snprintf(covered, COVERED_NAME_MAX, "%s", section->name);
            return COFRE_OK;
        }
    }
}
