/* Finding a plugin's shared object, making sure that nobody else can have written it, and loading it. */
#ifndef COFRE_HOST_LOAD_H
#define COFRE_HOST_LOAD_H

#include <stddef.h>

#include "cofre/plugin.h"

struct describe;
struct error;

/* Loads DIR/NAME.so from the one directory that has it. *entry is its entry point; *path, the file's, is the caller's
 * to free. The object is never unloaded. */
int load_plugin(const char *name, char *const *directories, size_t count, char **path,
                const struct cofre_plugin *(**entry)(const struct cofre_host *), struct error *e);

/* The same, and it has described itself: into *d, empty after an error, else to be freed by the caller. No service of
 * the host is its yet. */
int load_described(const char *name, char *const *directories, size_t count,
                   const struct cofre_plugin *(**entry)(const struct cofre_host *), struct describe *d,
                   struct error *e);

/* Hands the host's services to the plugin, once in a process: instances that run in the engine's own process share the
 * object, and one must not be given them while another uses them. */
void load_bind(const struct cofre_plugin *(*entry)(const struct cofre_host *), const struct cofre_host *host);

#endif
