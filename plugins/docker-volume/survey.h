/* What the daemon has, and which of its volumes the source is about. */
#ifndef COFRE_DOCKER_VOLUME_SURVEY_H
#define COFRE_DOCKER_VOLUME_SURVEY_H

#include <stdbool.h>
#include <stddef.h>

#include "common/docker/container.h"
#include "common/docker/volume.h"
#include "docker-volume/source.h"

struct survey {
    struct volumes volumes;       /* all, in the order of their names */
    struct containers containers; /* all; dependencies first */
    bool *chosen;                 /* of each volume */
    size_t chosen_count;
};

/* COFRE_E_CONFIG: the options choose nothing; COFRE_E_NOT_FOUND: there is no such volume, and the text says what there
 * is. */
int32_t survey_make(const struct source *source, struct cofre_call *call, struct survey *survey,
                    struct cofre_error *error);
/* All there is, of which nothing need be chosen. */
int32_t survey_all(const struct source *source, struct cofre_call *call, struct survey *survey,
                   struct cofre_error *error);
void survey_free(struct survey *survey);
#define SURVEY_AUTO __attribute__((cleanup(survey_free))) struct survey

/* Do the options say which volumes? COFRE_E_CONFIG. */
int32_t survey_options(const struct options *options, struct cofre_error *error);

/* NULL, or the volume. */
const struct volume *survey_volume(const struct survey *survey, const char *name);
/* Is it one, and chosen? */
bool survey_is_chosen(const struct survey *survey, const char *name);

/* Names in the option volumes, without patterns, that no volume has: from index *at on. NULL = no more. */
const char *survey_absent(const struct survey *survey, const struct options *options, size_t *at);

#endif
