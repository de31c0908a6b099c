/* The sources of the configuration, as a source's check and discover may know them: without their secrets. */
#ifndef COFRE_WORKER_CONFIGURED_H
#define COFRE_WORKER_CONFIGURED_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/wire.h"

struct error;
struct worker;

struct configured_setting {
    const char *name, *value;
};

struct configured_source {
    const char *name, *plugin;
    bool in_job;
    struct configured_setting *settings;
    size_t setting_count;
};

struct configured {
    struct configured_source *sources;
    size_t count;
};

/* Begin a call whose arguments were begun, and send what the worker was told of (worker_tell): none to a sink. */
int configured_begin(struct worker *w, enum wire_call kind, struct error *e);

#endif
