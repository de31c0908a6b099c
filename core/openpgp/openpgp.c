#include "openpgp/openpgp.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "config/config.h"
#include "config/secret.h"

static int resolve(const struct config_instance *sink, const struct config_secret *secret, const char *name,
                   const uint8_t **out, size_t *length, struct error *e)
{
    uint8_t *bytes;
    if (!secret->text)
        return 0;
    if (secret_resolve(secret->text, secret->private_file, &bytes, length, e) < 0)
        return error_context(e, "%s:%u: [sink %s]: '%s': ", sink->file, sink->line, sink->name, name);
    *out = bytes;
    return 0;
}

int openpgp_check_home(const struct config_instance *sink, struct error *e)
{
    const char *home = sink->openpgp.home;
    if (!home || access(home, F_OK) < 0 || file_check_trusted(home, e) == 0)
        return 0;
    e->class = ERROR_CONFIG;
    return error_context(e, "gnupg_home '%s': ", home);
}

int openpgp_spec(const struct config *config, const struct config_instance *sink, char home[PATH_MAX],
                 struct pgp_spec *spec, struct error *e)
{
    const struct config_openpgp *o = &sink->openpgp;
    *spec = (struct pgp_spec){
        .recipients = o->recipients, .recipient_count = o->recipient_count, .signer = o->signer, .home = o->home};
    if (openpgp_check_home(sink, e) < 0)
        return -1;
    if (!o->home && snprintf(home, PATH_MAX, "%s/gnupg", config->state_dir) >= PATH_MAX)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", config->state_dir);
    if (!o->home)
        spec->home = home;
    if (resolve(sink, &o->passphrase, o->passphrase_key, &spec->passphrase, &spec->passphrase_length, e) < 0)
        return -1;
    if (resolve(sink, &o->key_passphrase, "key_passphrase", &spec->key_passphrase, &spec->key_passphrase_length, e) ==
        0)
        return 0;
    secret_free((void *)(uintptr_t)spec->passphrase);
    return -1;
}

void openpgp_tell(const struct config_instance *sink, const struct pgp_spec *spec,
                  void (*tell)(void *context, const char *key, const char *text, const void *bytes, size_t length),
                  void *context)
{
    const struct config_openpgp *o = &sink->openpgp;
    tell(context, o->passphrase_key, o->passphrase.text, spec->passphrase, spec->passphrase_length);
    tell(context, "key_passphrase", o->key_passphrase.text, spec->key_passphrase, spec->key_passphrase_length);
}

void openpgp_close(struct openpgp *openpgp)
{
    pgp_free(openpgp->pgp);
    secret_free((void *)(uintptr_t)openpgp->spec.passphrase);
    secret_free((void *)(uintptr_t)openpgp->spec.key_passphrase);
}

int openpgp_open(const struct config *config, const struct config_instance *sink, struct openpgp *openpgp,
                 struct error *e)
{
    struct openpgp *o = openpgp;
    *o = (struct openpgp){0};
    if (openpgp_spec(config, sink, o->home, &o->spec, e) < 0)
        return -1;
    if ((sink->openpgp.home || strlen(o->home) > PGP_HOME_MAX || pgp_make_home(o->home, e) == 0) &&
        pgp_open(&o->spec, &o->pgp, e) == 0)
        return 0;
    openpgp_close(o);
    return -1;
}
