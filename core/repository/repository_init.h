/* Making a repository, and its key file if there is none. */
#ifndef COFRE_REPOSITORY_REPOSITORY_INIT_H
#define COFRE_REPOSITORY_REPOSITORY_INIT_H

struct config_instance;
struct engine;
struct error;
struct init_result;
struct sink;

/* vault_format.init. The key is on the disk before anything is sealed with it. */
int repository_init(const struct engine *engine, struct sink *sink, const struct config_instance *section,
                    struct init_result *result, struct error *e);

#endif
