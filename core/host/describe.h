/* What a plugin says of itself, checked and copied. */
#ifndef COFRE_HOST_DESCRIBE_H
#define COFRE_HOST_DESCRIBE_H

#include <stddef.h>

#include "cofre/plugin.h"
#include "config/option.h"
#include "wire/plugin_info.h"

struct error;

/* What all roles have. */
struct describe_life {
    int32_t (*open)(struct cofre_call *, const void *conf, void **instance, struct cofre_error *error);
    void (*close)(void *instance);
    int32_t (*check)(void *instance, struct cofre_call *, int32_t depth, struct cofre_error *error);
};

/* A loaded plugin. Its role's table is copied, so that what an older plugin does not have is NULL. */
struct describe {
    char *path;
    enum plugin_role role;
    struct cofre_plugin plugin;
    struct cofre_source source;
    struct cofre_sink sink;
    struct cofre_notifier notifier;
    struct describe_life life;
    uint64_t capabilities;
    uint32_t offers;
    struct option *options; /* texts are the plugin's */
    const struct cofre_option **rows;
    size_t option_count;
};

/* path and name: the file's; path is copied. Each refusal names the file and the reason. */
int describe_plugin(const struct cofre_plugin *plugin, const char *path, const char *name, struct describe *d,
                    struct error *e);
void describe_free(struct describe *d);
/* The same for the engine; everything is lent. */
void describe_lend(const struct describe *d, struct plugin_info *plugin);

#endif
