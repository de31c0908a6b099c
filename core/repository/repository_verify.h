/* verify for repositories: manifests, index objects, catalogues, packs. */
#ifndef COFRE_REPOSITORY_REPOSITORY_VERIFY_H
#define COFRE_REPOSITORY_REPOSITORY_VERIFY_H

struct engine;
struct error;
struct repository;
struct verify_audience;
struct verify_request;
struct verify_result;

/* 0 also when damage was found, of which the audience was told. -1: could not look. Without the full key only hashes
 * and signatures are checked, and a warning says so. engine: for its progress. */
int repository_verify(const struct engine *engine, struct repository *repository, const struct verify_request *request,
                      const struct verify_audience *audience, struct verify_result *result, struct error *e);

#endif
