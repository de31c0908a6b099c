/* How a sink's section leads to OpenPGP: for archives, and for the copy of a repository's key. */
#ifndef COFRE_JOB_VAULT_ARCHIVE_H
#define COFRE_JOB_VAULT_ARCHIVE_H

#include <limits.h>

struct config_instance;
struct engine;
struct error;
struct pgp_spec;

/* home: memory for the directory that is used when the section names none; it must outlive the spec. The caller frees
 * the spec's two secrets with secret_free. */
int vault_archive_pgp(const struct engine *engine, const struct config_instance *sink, char home[PATH_MAX],
                      struct pgp_spec *spec, struct error *e);

#endif
