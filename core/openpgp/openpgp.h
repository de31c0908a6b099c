/* How a sink's section leads to OpenPGP: for archives, and for the copy of a repository's key. */
#ifndef COFRE_OPENPGP_OPENPGP_H
#define COFRE_OPENPGP_OPENPGP_H

#include <limits.h>

#include "openpgp/pgp.h"

struct config;
struct config_instance;
struct error;

/* Nobody but root and ourselves can change the section's gnupg_home, whose gpg.conf names programs. Fine when the
 * section names none, or it is not there. ERROR_CONFIG. The functions below look too. */
int openpgp_check_home(const struct config_instance *sink, struct error *e);

/* home: memory for the directory that is used when the section names none; it must outlive the spec. The caller frees
 * the spec's two secrets with secret_free. */
int openpgp_spec(const struct config *config, const struct config_instance *sink, char home[PATH_MAX],
                 struct pgp_spec *spec, struct error *e);

/* The section's OpenPGP, opened; its secrets are there and have a form that can be used. */
struct openpgp {
    char home[PATH_MAX];
    struct pgp_spec spec;
    struct pgp *pgp;
};
int openpgp_open(const struct config *config, const struct config_instance *sink, struct openpgp *openpgp,
                 struct error *e);
void openpgp_close(struct openpgp *openpgp);

/* Tell of the spec's two secrets, each with how it was written in the section; NULL and 0 for one that is not there. */
void openpgp_tell(const struct config_instance *sink, const struct pgp_spec *spec,
                  void (*tell)(void *context, const char *key, const char *text, const void *bytes, size_t length),
                  void *context);

#endif
