/* Where a job's sources are remembered on this machine. */
#ifndef COFRE_REPOSITORY_CACHE_PATH_H
#define COFRE_REPOSITORY_CACHE_PATH_H

#include <stddef.h>
#include <stdint.h>

struct config;
struct config_instance;
struct config_value;
struct error;
struct key;
struct plugin_info;

/* CACHE/KEY/JOB, made. out has PATH_MAX bytes. */
int cache_path_directory(const struct config *config, const struct key *key, const char *job, char *out,
                         struct error *e);
/* The catalogue of a source in it, and the one being written. */
int cache_path_catalogue(const char *directory, const char *source, char *out, char *fresh, struct error *e);

/* The key of the fingerprints: the same as long as key, plugin, its version and the source's options are the same, so
 * that a changed option makes everything be read again. */
void cache_path_fingerprint_key(const struct key *key, const struct plugin_info *plugin,
                                const struct config_instance *source, uint8_t out[16]);

#endif
