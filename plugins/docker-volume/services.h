/* What is stopped around the restore of a job: the text of its restore_stop.
 *
 *   compose:PROJECT                        all containers of a compose project
 *   compose:PROJECT except SERVICE, ...    but for these, which run meanwhile: a database into which is restored
 *   containers:NAME, PROJECT/SERVICE, ...  these
 */
#ifndef COFRE_DOCKER_VOLUME_SERVICES_H
#define COFRE_DOCKER_VOLUME_SERVICES_H

#include <stdint.h>

#include "docker-volume/source.h"

/* services() of the plugin. */
int32_t services_run(const struct source *source, struct cofre_call *call, int32_t what, const char *id,
                     const char *which, struct cofre_error *error);

/* ---- the words ---- */

struct services_words {
    char *text;          /* what the others point into */
    const char *project; /* NULL = containers by name */
    char **names;        /* of containers, or of services that are excepted */
    size_t count;
};

/* COFRE_E_CONFIG names what is wrong. Freed by services_words_free, also after an error. */
int32_t services_words_read(struct services_words *words, const char *text, struct cofre_error *error);
void services_words_free(struct services_words *words);

#endif
