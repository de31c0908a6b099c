#include "job/formats.h"

#include "archive/archive_vault.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "format/vault.h"
#include "job/history.h"
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

/* Does the state know of snapshots of the job, and none of them in that repository? */
static bool is_strange(const struct config *config, const struct config_job *job, const char *repository)
{
    struct history history;
    struct error e;
    if (history_of_job(config, job->name, &history, &e) < 0)
        log_error(LOG_WARNING, &e);
    bool strange = history.count > 0 && !history_newest_in(&history, repository);
    history_free(&history);
    return strange;
}

static void compare_with_state(const struct config *config, const struct config_instance *sink, const char *repository)
{
    for (size_t i = 0; i < config->job_count; i++)
        if (config_job_uses(&config->jobs[i], sink) && is_strange(config, &config->jobs[i], repository)) {
            log_line(LOG_WARNING,
                     "sink '%s': job '%s' of this machine has saved to other repositories, and never to %s, which is "
                     "there: was it made anew, or has somebody replaced it?",
                     sink->name, config->jobs[i].name, repository);
            return;
        }
}

int formats_may_recover(const struct config_instance *sink, struct error *e)
{
    if (config_usable(sink, e) < 0)
        return -1;
    if (formats_of(sink)->recover)
        return 0;
    error_set(e, ERROR_CONFIG, "holds an archive, which has no key");
    error_subject(e, "sink", sink->name);
    return error_hint(e, "what is encrypted in it opens with gpg: see encrypt_to and passphrase in cofre(8)");
}

int formats_recover(const struct engine *engine, const struct config_instance *sink, const char *id, const char *path,
                    struct error *e)
{
    char repository[33];
    if (formats_may_recover(sink, e) < 0 || formats_of(sink)->recover(engine, sink, id, path, repository, e) < 0)
        return -1;
    compare_with_state(engine->config, sink, repository);
    return 0;
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
