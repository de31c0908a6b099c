/* discover: what is there that could be a source, as the plugins see it. */
#ifndef COFRE_JOB_DISCOVER_H
#define COFRE_JOB_DISCOVER_H

#include <stddef.h>

#include "base/error.h"

struct engine;

struct discover_offer {
    char *name;       /* of the section; of what is not covered unique, and none that is configured */
    char *options;    /* INI lines, "plugin = ..." the first; ends with a newline */
    char *about;      /* one line, as the plugin gave it */
    char *covered_by; /* the source that saves it already; NULL = none does */
};

struct discover {
    struct discover_offer *offers; /* each once, in the order in which they were found */
    size_t count;
    size_t failed;           /* configured sources and plugins that could not look; each was logged */
    enum error_class reason; /* of the first */
};

/* Asks each configured source whose plugin can look, and each plugin that no source has, with nothing but defaults;
 * what such a one cannot reach is a notice and no failure. discover_free, also after an error. */
int discover_run(const struct engine *engine, struct discover *discover, struct error *e);
void discover_free(struct discover *discover);

#endif
