/* cofre init: a repository, a key, and the sheet of paper that brings both back. */
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "job/init.h"
#include "worker/worker.h"

static const char *what_is_held(const struct config_instance *sink)
{
    return sink->format == CONFIG_ARCHIVE ? "archive" : "repository";
}

/* Is this key of the sink's section a secret? The plugin's table knows. */
static bool is_secret(const struct worker_plugin *plugin, const char *name)
{
    for (size_t i = 0; i < plugin->option_count; i++)
        if (strcmp(plugin->options[i].name, name) == 0)
            return plugin->options[i].type == OPTION_SECRET;
    return true;
}

/* A secret by where it is; one that stands in the configuration itself is not shown. */
static void print_secret(struct output *out, const char *name, const struct config_secret *secret)
{
    if (secret->text && secret->text[0] == '@' && secret->text[1] != '@')
        output_print(out, "%s = %s\n", name, output_escape(out, secret->text, strlen(secret->text)));
    else if (secret->text)
        output_print(out, "%s = (a secret: write it again)\n", name);
}

static void print_openpgp(struct output *out, const struct config_instance *sink)
{
    const struct config_openpgp *o = &sink->openpgp;
    bool archive = sink->format == CONFIG_ARCHIVE;
    for (size_t i = 0; i < o->recipient_count; i++)
        output_print(out, "%s%s", i > 0 ? ", " : archive ? "encrypt_to = " : "recovery_to = ", o->recipients[i]);
    if (o->recipient_count > 0)
        output_print(out, "\n");
    print_secret(out, archive ? "passphrase" : "recovery_passphrase", &o->passphrase);
    if (o->signer)
        output_print(out, "sign_with = %s\n", o->signer);
    if (o->home)
        output_print(out, "gnupg_home = %s\n", output_escape(out, o->home, strlen(o->home)));
    print_secret(out, "key_passphrase", &o->key_passphrase);
}

/* The section as it has to be written again, without secrets. Not indented: a configuration must not be. */
static void print_section(struct output *out, const struct config_instance *sink, const struct worker_plugin *plugin)
{
    output_print(out, "[sink %s]\nplugin = %s\n", sink->name, sink->plugin);
    for (size_t i = 0; i < sink->key_count; i++) {
        const struct config_key *key = &sink->keys[i];
        if (is_secret(plugin, key->name))
            output_print(out, "%s = (a secret: keep it where the key file is kept)\n", key->name);
        else
            output_print(out, "%s = %s\n", key->name, output_escape(out, key->value, strlen(key->value)));
    }
    if (sink->key)
        output_print(out, "key = %s\n", output_escape(out, sink->key, strlen(sink->key)));
    if (sink->format == CONFIG_ARCHIVE)
        output_print(out, "format = archive\n");
    if (sink->encryption == CONFIG_PLAIN)
        output_print(out, "encryption = none\n");
    print_openpgp(out, sink);
}

static void print_archive_secrecy(struct output *out, const struct config_instance *sink)
{
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
static void print_loss(struct output *out, const struct init_result *result)
{
    if (result->recoverable)
        output_print(
            out,
            "A copy of the key is kept in the repository, wrapped by OpenPGP. When the key file is lost, the secret\n"
            "key or passphrase named below gets it back: cofre key recover SINK FILE. WITHOUT THE KEY FILE AND\n"
            "WITHOUT THAT, NOTHING IN THE REPOSITORY CAN EVER BE READ. Keep that away from this machine.\n"
            "Whoever has either and the repository can read all data.\n\n");
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
    if (sink->format == CONFIG_ARCHIVE) {
        print_archive_secrecy(out, sink);
        return;
    }
    output_print(out, "Key file:    %s\n", output_escape(out, sink->key, strlen(sink->key)));
    output_print(out, "Key id:      %s\n\n", result->key);
    print_loss(out, result);
}

static const char *first_job(const struct cli *cli, const struct config_instance *sink)
{
    for (size_t i = 0; i < cli->engine.config->job_count; i++)
        if (command_job_uses(&cli->engine.config->jobs[i], sink))
            return cli->engine.config->jobs[i].name;
    return "JOB";
}

static void print_sheet(struct cli *cli, const struct config_instance *sink, const struct worker_plugin *plugin,
                        const struct init_result *result)
{
    struct output *out = &cli->output;
    const char *job = first_job(cli, sink);
    output_print(out, "cofre recovery sheet\n====================\n\n");
    output_print(out, "%s  %s, in sink '%s' of host '%s'\n",
                 sink->format == CONFIG_ARCHIVE ? "Archive:   " : "Repository:", result->repository, sink->name,
                 cli->engine.config->host);
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
    print_section(out, sink, plugin);
    output_print(out, "\n  3. See what is there, and get it back:\n\n");
    output_print(out, "      cofre list --sink %s\n", sink->name);
    output_print(out, "      cofre restore %s --sink %s --into /srv/restored\n\n", job, sink->name);
    if (sink->format == CONFIG_ARCHIVE)
        output_print(out, "Without cofre: sha256sum -c SHA256SUMS, then gpg -d, zstd -d and tar -x; see its README.\n");
    else
        output_print(out,
                     "Without cofre: its documentation, docs/format.md, specifies every byte of the repository.\n");
}

static json_t *describe(struct output *out, const struct config_instance *sink, const struct init_result *result)
{
    return json_pack("{s:o, s:o, s:s, s:s, s:o, s:o, s:b, s:b}", "sink", output_text(out, sink->name), "plugin",
                     output_text(out, sink->plugin), "repository", result->repository, "encryption",
                     sink->encryption == CONFIG_PLAIN ? "none" : "sealed", "key_file", output_text(out, sink->key),
                     "key", output_text(out, result->key[0] ? result->key : NULL), "key_created", result->key_created,
                     "existed", result->existed);
}

static int init(struct cli *cli, struct error *e)
{
    const struct config_instance *sink;
    struct init_result result = {0};
    struct worker *worker;
    if (command_sink(cli, cli->arguments.words[0], &sink, e) < 0 || init_run(&cli->engine, sink, &result, e) < 0)
        return -1;
    if (result.existed)
        log_line(LOG_NOTICE, "sink '%s' has its %s already; nothing was changed", sink->name, what_is_held(sink));
    else
        log_line(LOG_NOTICE, "sink '%s' has its %s now%s", sink->name, what_is_held(sink),
                 result.key_created ? ", with a new key" : "");
    output_object(&cli->output, "repository", cli->output.json ? describe(&cli->output, sink, &result) : NULL);
    if (cli->output.json)
        return EXIT_DONE;
    if (engine_start(&cli->engine, sink, WORKER_SINK, NULL, 0, &worker, e) < 0)
        return -1;
    print_sheet(cli, sink, worker_plugin(worker), &result);
    worker_stop(worker);
    return EXIT_DONE;
}

static const struct argument_option options[] = {{0}};

const struct command cmd_init = {
    .name = "init",
    .usage = "init SINK",
    .summary = "make the repository of a sink, and its key if there is none",
    .help = "Makes the repository in the place that the section [sink SINK] names. When the section's key file\n"
            "does not exist, a new full key is made there, mode 0600. Prints the recovery sheet: keep it, and a\n"
            "copy of the key file, away from this machine. Done again, it changes nothing and prints the sheet\n"
            "again; what an interrupted init left is completed.",
    .example = "cofre init nas > recovery-nas.txt",
    .statuses = "0   the repository is there, made with this key\n"
                "1   the place holds a repository of another key, or something else, or cannot be written to",
    .options = options,
    .words_min = 1,
    .words_max = 1,
    .flags = COMMAND_RESULT,
    .run = init,
};
