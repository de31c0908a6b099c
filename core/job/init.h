/* init: make the repository or archive of a sink, and a repository's key file if there is none. */
#ifndef COFRE_JOB_INIT_H
#define COFRE_JOB_INIT_H

#include <stdbool.h>

struct config_instance;
struct engine;
struct error;
struct sink;

struct init_result {
    bool key_created;    /* else the existing key file was used */
    bool existed;        /* the repository was there already, made with this key: nothing was changed */
    bool recoverable;    /* the key is kept in the repository, wrapped by OpenPGP */
    char repository[33]; /* id of the repository or archive, hex */
    char key[33];        /* id, hex; "" with encryption = none, and of an archive */
};

/* Refuses (ERROR_EXISTS) a place that holds a repository of another key or any other objects. An interrupted init is
 * completed by the next one. */
int init_run(const struct engine *engine, const struct config_instance *sink, struct init_result *result,
             struct error *e);

/* For vault_format.init. */
int init_repository(const struct engine *engine, struct sink *sink, const struct config_instance *section,
                    struct init_result *result, struct error *e);
int init_archive(const struct engine *engine, struct sink *sink, const struct config_instance *section,
                 struct init_result *result, struct error *e);

#endif
