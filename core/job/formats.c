#include "job/formats.h"

#include "archive/archive_vault.h"
#include "base/error.h"
#include "config/config.h"
#include "format/vault.h"
#include "repository/repository_vault.h"
#include "worker/engine.h"

const struct vault_format *formats_of(const struct config_instance *sink)
{
    static const struct vault_format *const formats[] = {
        [CONFIG_REPOSITORY] = &repository_vault, [CONFIG_ARCHIVE] = &archive_vault};
    return formats[sink->format];
}

int formats_open(const struct engine *engine, const struct config_instance *sink, struct vault **vault, struct error *e)
{
    struct sink *opened;
    if (engine_open_sink(engine, sink, formats_of(sink)->connections, &opened, e) < 0)
        return -1;
    return vault_open(formats_of(sink), engine, sink, opened, vault, e);
}

int formats_recover(const struct engine *engine, const struct config_instance *sink, const char *path, char id[33],
                    struct error *e)
{
    const struct vault_format *format = formats_of(sink);
    if (config_usable(sink, e) < 0)
        return -1;
    if (format->recover)
        return format->recover(engine, sink, path, id, e);
    error_set(e, ERROR_CONFIG, "holds an archive, which has no key");
    error_subject(e, "sink", sink->name);
    return error_hint(e, "what is encrypted in it opens with gpg: see encrypt_to and passphrase in cofre(8)");
}

static int no_signers(const struct config_instance *sink, struct error *e)
{
    error_set(e, ERROR_CONFIG, "holds an archive, which keys of cofre do not sign");
    error_subject(e, "sink", sink->name);
    return error_hint(e, "who signs it, with gpg, stands in its section: sign_with");
}

int formats_accept(const struct engine *engine, const struct config_instance *sink, const char *host,
                   vault_signed *told, void *context, struct error *e)
{
    struct vault *vault;
    if (!formats_of(sink)->accept)
        return no_signers(sink, e);
    if (formats_open(engine, sink, &vault, e) < 0)
        return -1;
    int result = vault->format->accept(vault, host, told, context, e);
    vault_close(vault);
    return result;
}

int formats_revoke(const struct engine *engine, const struct config_instance *sink, const uint8_t signer[32],
                   int64_t since, vault_signed *told, void *context, struct error *e)
{
    struct vault *vault;
    if (!formats_of(sink)->revoke)
        return no_signers(sink, e);
    if (formats_open(engine, sink, &vault, e) < 0)
        return -1;
    int result = vault->format->revoke(vault, signer, since, told, context, e);
    vault_close(vault);
    return result;
}
