/* A sink's plugin, until it is opened: which files it may reach is known only when it has said its options and the
 * engine has given their values, and its code may not run before that. So it describes itself in a child that can do
 * nothing else, and this process loads it when it is confined. */
#ifndef COFRE_HOST_APART_H
#define COFRE_HOST_APART_H

#include <stddef.h>

#include "base/bytes.h"
#include "wire/plugin_info.h"

struct error;

struct apart {
    char *name;
    char **directories;
    size_t directory_count;
    struct bytes said;       /* as wire_put_plugin made it; the child may have made it up */
    struct plugin_info info; /* what it says */
};

/* The child's crash or exit is this process's, too: the engine sees how a worker ends. */
int apart_describe(const char *name, char *const *directories, size_t count, struct apart **apart, struct error *e);
/* NULL is fine. */
void apart_free(struct apart *apart);

#endif
