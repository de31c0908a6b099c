/* The plugins that there are, by the names of their files. */
#ifndef COFRE_JOB_PLUGINS_H
#define COFRE_JOB_PLUGINS_H

#include <stdbool.h>
#include <stddef.h>

struct config;
struct error;

#define PLUGINS_MAX 1024

struct plugins {
    char *names[PLUGINS_MAX + 1]; /* sorted, each once; NULL at the end */
    size_t count;
};

/* Those in all plugin directories, of which one that is not there holds none. plugins_free, also after an error. */
int plugins_list(const struct config *config, struct plugins *plugins, struct error *e);
void plugins_free(struct plugins *plugins);
bool plugins_have(const struct plugins *plugins, const char *name);

#endif
