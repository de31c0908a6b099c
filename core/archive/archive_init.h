/* Making an archive. */
#ifndef COFRE_ARCHIVE_ARCHIVE_INIT_H
#define COFRE_ARCHIVE_ARCHIVE_INIT_H

struct config_instance;
struct engine;
struct error;
struct init_result;
struct sink;

/* vault_format.init */
int archive_init(const struct engine *engine, struct sink *sink, const struct config_instance *section,
                 struct init_result *result, struct error *e);

#endif
