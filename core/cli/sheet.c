#include "cli/sheet.h"

#include <string.h>

#include "base/error.h"
#include "cli/command.h"
#include "format/vault.h"
#include "job/init.h"
#include "worker/worker.h"

typedef void secrecy(struct output *out, const struct config_instance *sink, const struct init_result *result);

static secrecy print_key_secrecy, print_openpgp_secrecy;

/* What the sheet says of each format. */
static const struct {
    const char *title;
    const char *section;                 /* that a section says to have it */
    const char *recipients, *passphrase; /* what it calls what OpenPGP wraps something for */
    secrecy *print_secrecy;
    const char *without;
} formats[] = {
    [CONFIG_REPOSITORY] = {"Repository:", "", "recovery_to = ", "recovery_passphrase", print_key_secrecy,
                           "its documentation, docs/format.md, specifies every byte of the repository"},
    [CONFIG_ARCHIVE] = {"Archive:   ", "format = archive\n", "encrypt_to = ", "passphrase", print_openpgp_secrecy,
                        "sha256sum -c SHA256SUMS, then gpg -d, zstd -d and tar -x; see its README"},
};

/* As a configuration has it: no character in it needs an escape, but what was expanded must not be again. */
static void print_value(struct output *out, const char *name, const char *value)
{
    output_print(out, "%s = ", name);
    for (const char *variable; (variable = strstr(value, "${")) != NULL; value = variable + 2)
        output_print(out, "%.*s$${", (int)(variable - value), value);
    output_print(out, "%s\n", value);
}

/* A secret by where it is; one that stands in the configuration itself is not shown. */
static void print_secret(struct output *out, const char *name, const char *text)
{
    if (text && text[0] == '@' && text[1] != '@')
        print_value(out, name, text);
    else if (text)
        output_print(out, "%s = (a secret: write it again)\n", name);
}

static void print_openpgp(struct output *out, const struct config_instance *sink)
{
    const struct config_openpgp *o = &sink->openpgp;
    for (size_t i = 0; i < o->recipient_count; i++)
        output_print(out, "%s%s", i > 0 ? ", " : formats[sink->format].recipients, o->recipients[i]);
    if (o->recipient_count > 0)
        output_print(out, "\n");
    print_secret(out, formats[sink->format].passphrase, o->passphrase.text);
    if (o->signer)
        output_print(out, "sign_with = %s\n", o->signer);
    if (o->home)
        print_value(out, "gnupg_home", o->home);
    print_secret(out, "key_passphrase", o->key_passphrase.text);
}

static void print_key(struct output *out, const struct plugin_info *plugin, const struct config_key *key)
{
    for (size_t i = 0; i < plugin->option_count; i++)
        if (strcmp(plugin->options[i].name, key->name) == 0 && plugin->options[i].type != OPTION_SECRET) {
            print_value(out, key->name, key->value);
            return;
        }
    print_secret(out, key->name, key->value);
}

/* A section as it has to be written again, without secrets, which the plugin's table tells. Not indented: a
 * configuration must not be. */
static void print_instance(const struct cli *cli, struct output *out, const struct config_instance *instance)
{
    const char *kind = config_role_name(instance->role);
    struct worker *worker;
    char text[ERROR_TEXT_MAX];
    struct error e;
    if (config_usable(instance, &e) < 0 ||
        engine_start_plugin(&cli->engine, instance->plugin, instance->name, &worker, &e) < 0) {
        error_text(&e, text);
        output_print(out, "; [%s %s] cannot be shown: %s\n", kind, instance->name,
                     output_escape(out, text, strlen(text)));
        return;
    }
    output_print(out, "[%s %s]\nplugin = %s\n", kind, instance->name, instance->plugin);
    for (size_t i = 0; i < instance->key_count; i++)
        print_key(out, worker_plugin(worker), &instance->keys[i]);
    worker_stop(worker);
}

static void print_sink(const struct cli *cli, struct output *out, const struct config_instance *sink)
{
    print_instance(cli, out, sink);
    if (sink->key)
        print_value(out, "key", sink->key);
    output_print(out, "%s", formats[sink->format].section);
    if (sink->encryption == CONFIG_PLAIN)
        output_print(out, "encryption = none\n");
    print_openpgp(out, sink);
}

static bool is_saved(const struct config *config, const struct config_instance *source,
                     const struct config_instance *sink)
{
    for (size_t i = 0; i < config->job_count; i++)
        if (config_job_uses(&config->jobs[i], sink) && config_job_saves(&config->jobs[i], source))
            return true;
    return false;
}

/* What the jobs save to this sink, so that it can go back to where it came from. */
static void print_sources(const struct cli *cli, struct output *out, const struct config_instance *sink)
{
    const struct config *config = cli->engine.config;
    bool any = false;
    for (size_t i = 0; i < config->source_count; i++) {
        if (!is_saved(config, &config->sources[i], sink))
            continue;
        if (!any)
            output_print(out,
                         "\n; What was saved, for restore --in-place: as it was on this machine, to be looked at.\n");
        any = true;
        output_print(out, "\n");
        print_instance(cli, out, &config->sources[i]);
    }
}

static void print_openpgp_secrecy(struct output *out, const struct config_instance *sink,
                                  const struct init_result *result)
{
    (void)result;
    if (sink->openpgp.recipient_count > 0)
        output_print(
            out,
            "It is encrypted to the OpenPGP keys named below. WITHOUT THE SECRET PART OF ONE OF THEM, AND ITS\n"
            "PASSPHRASE, NOTHING IN IT CAN EVER BE READ. Keep them away from this machine: gpg --export-secret-keys\n"
            "writes them to a file. This machine needs the public keys alone.\n\n");
    else
        output_print(out, "It is encrypted with a passphrase. WITHOUT THE PASSPHRASE NOTHING IN IT CAN EVER BE READ.\n"
                          "Keep it away from this machine: a password manager, a sheet of paper.\n\n");
}

/* In plain words, what is lost when the key file is. */
static void print_key_secrecy(struct output *out, const struct config_instance *sink, const struct init_result *result)
{
    output_print(out, "Key file:    %s\n", output_escape(out, sink->key, strlen(sink->key)));
    output_print(out, "Key id:      %s\n\n", result->key);
    if (result->recoverable)
        output_print(
            out,
            "A copy of the key is kept in the repository, wrapped by OpenPGP. When the key file is lost, the secret\n"
            "key or passphrase named below gets it back:\n\n"
            "      cofre key recover %s %s --id %s\n\n"
            "The id proves that it is this key, and no other that somebody has put there. WITHOUT THE KEY FILE AND\n"
            "WITHOUT THE SECRET KEY OR PASSPHRASE, NOTHING IN THE REPOSITORY CAN EVER BE READ. Keep that away from\n"
            "this machine. Whoever has either and the repository can read all data.\n\n",
            sink->name, output_escape(out, sink->key, strlen(sink->key)), result->key);
    else
        output_print(out,
                     "WITHOUT THE KEY FILE NOTHING IN THE REPOSITORY CAN EVER BE READ. Nobody can replace it.\n"
                     "Keep a copy of the key file away from this machine and from the repository: a USB stick in a\n"
                     "drawer, a password manager, a sheet of paper (it is a short text). Keep this sheet with it.\n"
                     "Whoever has the key file and the repository can read all data.\n\n");
}

static void print_secrecy(struct output *out, const struct config_instance *sink, const struct init_result *result)
{
    if (sink->encryption == CONFIG_PLAIN) {
        output_print(
            out,
            "There is no encryption: WHOEVER CAN READ THE PLACE CAN READ THE DATA, and there is no key to lose.\n\n");
        return;
    }
    formats[sink->format].print_secrecy(out, sink, result);
}

static const char *first_job(const struct cli *cli, const struct config_instance *sink)
{
    for (size_t i = 0; i < cli->engine.config->job_count; i++)
        if (config_job_uses(&cli->engine.config->jobs[i], sink))
            return cli->engine.config->jobs[i].name;
    return "JOB";
}

void sheet_print(struct cli *cli, const struct config_instance *sink, const struct init_result *result)
{
    struct output *out = &cli->output;
    const char *job = first_job(cli, sink);
    output_print(out, "cofre recovery sheet\n====================\n\n");
    output_print(out, "%s  %s, in sink '%s' of host '%s'\n", formats[sink->format].title, result->repository,
                 sink->name, cli->engine.config->host);
    print_secrecy(out, sink, result);
    output_print(out, "To restore on a new machine:\n\n  1. Install cofre %s or later%s.\n", COFRE_VERSION,
                 sink->key ? ", and put the key file back, readable by root alone" : "");
    if (sink->key)
        output_print(out, "\n      install -D -m 600 COPY-OF-KEY-FILE %s\n\n",
                     output_escape(out, sink->key, strlen(sink->key)));
    output_print(
        out,
        "  2. Write /etc/cofre/conf.d/recovery.conf (first: mkdir -p /etc/cofre/conf.d):\n\n[engine]\nhost = %s\n\n",
        cli->engine.config->host);
    print_sink(cli, out, sink);
    print_sources(cli, out, sink);
    output_print(out, "\n  3. See what is there, and get it back:\n\n");
    output_print(out, "      cofre list --sink %s\n", sink->name);
    output_print(out, "      cofre restore %s --sink %s --into /srv/restored\n\n", job, sink->name);
    output_print(out, "Without cofre: %s.\n", formats[sink->format].without);
}
