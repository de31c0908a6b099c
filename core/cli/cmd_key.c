/* cofre key: keys as files. And whose keys count in a repository. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "config/config.h"
#include "job/formats.h"
#include "repository/key.h"

/* What it may do, as JSON has it; NULL = out of memory. */
static json_t *roles_of(const struct key *key)
{
    unsigned roles = key->certificate.roles;
    if (roles == (KEY_ADD | KEY_REMOVE))
        return json_pack("[s, s]", "add", "remove");
    return json_pack("[s]", roles == KEY_ADD ? "add" : "remove");
}

static const char *about(const struct key *key)
{
    if (key->full)
        return "full key: reads, writes and removes";
    return key->certificate.roles == KEY_ADD ? "put key: adds snapshots, reads none"
                                             : "prune key: removes snapshots, adds and reads none";
}

static void give_key(struct cli *cli, const struct key *key, const char *path)
{
    struct output *out = &cli->output;
    char id[2 * KEY_ID_SIZE + 1], box[2 * KEY_SIZE + 1], root[2 * KEY_SIZE + 1], signer[2 * KEY_SIZE + 1];
    char of[KEY_HOST_SIZE + 1];
    text_hex(key->public.id, KEY_ID_SIZE, id);
    text_hex(key->public.box, KEY_SIZE, box);
    text_hex(key->public.root, KEY_SIZE, root);
    text_hex(key->signer_public, KEY_SIZE, signer);
    const char *host = key_host(&key->certificate, of);
    output_object(out, "key",
                  json_pack("{s:o, s:s, s:o, s:s, s:s, s:s, s:s, s:s*}", "file", output_text(out, path), "kind",
                            key_kind(key), "roles", roles_of(key), "id", id, "sealing", box, "root", root, "signer",
                            signer, "host", host[0] ? host : NULL));
    output_print(out, "file     %s\n", output_escape(out, path, strlen(path)));
    output_print(out, "kind     %s\n", about(key));
    if (!key->full)
        output_print(out, "host     %s\n", host[0] ? host : "every one");
    output_print(out, "id       %s\nsealing  %s\nroot     %s\nsigner   %s\n", id, box, root, signer);
}

static int save(const struct key *key, const char *path, struct error *e)
{
    if (key_save(key, path, e) == 0)
        return 0;
    if (e->class != ERROR_EXISTS)
        return -1;
    error_set(e, ERROR_EXISTS, "key file '%s' is there already", path);
    return error_hint(e, "a key file is never overwritten: choose another name");
}

static int create(struct cli *cli, char *const *paths, struct error *e)
{
    struct key *key;
    if (key_create(&key, e) < 0)
        return -1;
    int result = save(key, paths[0], e);
    if (result == 0) {
        log_line(LOG_NOTICE, "without the key file '%s' nothing that it seals can ever be read: keep a copy elsewhere",
                 paths[0]);
        give_key(cli, key, paths[0]);
    }
    key_free(key);
    return result;
}

/* paths: of the full key, and of the one that is made of it. name: of the host; NULL = all. */
static int derive(struct cli *cli, char *const *paths,
                  int (*make)(const struct key *full, const char *host, struct key **made, struct error *e),
                  const char *name, struct error *e)
{
    struct key *full, *key = NULL;
    char host[CONFIG_HOST_MAX + 1];
    if (name)
        config_host_name(name, host);
    if (key_load(paths[0], &full, e) < 0)
        return -1;
    int result = make(full, name ? host : NULL, &key, e);
    if (result == 0)
        result = save(key, paths[1], e);
    if (result == 0)
        give_key(cli, key, paths[1]);
    key_free(key);
    key_free(full);
    return result;
}

static int put(struct cli *cli, char *const *paths, struct error *e)
{
    const char *name = arguments_value(&cli->arguments, "host");
    if (!name) {
        error_set(e, ERROR_USAGE, "a put key is for one host: cofre key put FULLKEY PUTKEY --host NAME");
        return error_hint(e,
                          "the name is what 'host' is in the [engine] of the machine that is to have the key, or what "
                          "'hostname' says there");
    }
    return derive(cli, paths, key_create_put, name, e);
}

static int prune(struct cli *cli, char *const *paths, struct error *e)
{
    return derive(cli, paths, key_create_prune, arguments_value(&cli->arguments, "host"), e);
}

static int show(struct cli *cli, char *const *paths, struct error *e)
{
    struct key *key;
    if (key_load(paths[0], &key, e) < 0)
        return -1;
    give_key(cli, key, paths[0]);
    key_free(key);
    return 0;
}

/* Blanks go, and letters become small: it may have been typed from paper. */
static bool tidy_id(const char *text, char id[2 * KEY_ID_SIZE + 1])
{
    uint8_t bytes[KEY_ID_SIZE];
    size_t n = 0;
    for (; *text; text++)
        if (!isspace((unsigned char)*text) && n < 2 * KEY_ID_SIZE + 1)
            id[n++] = (char)tolower((unsigned char)*text);
    bool whole = n == 2 * KEY_ID_SIZE;
    id[whole ? n : 0] = '\0';
    return whole && text_parse_hex(id, bytes, sizeof bytes);
}

/* Which key it has to be: from the command line, or asked for. */
static int wanted_id(struct cli *cli, char id[2 * KEY_ID_SIZE + 1], struct error *e)
{
    const char *text = arguments_value(&cli->arguments, "id");
    char line[256];
    if (!text && isatty(STDIN_FILENO)) {
        fprintf(stderr, "Which key is it? Its id stands on the recovery sheet, behind 'Key id': ");
        text = fgets(line, sizeof line, stdin) ? line : "";
    }
    if (text && tidy_id(text, id))
        return 0;
    if (text)
        error_set(e, ERROR_USAGE, "'%.100s' is no id of a key: that has %d digits, 0-9 and a-f", text, 2 * KEY_ID_SIZE);
    else
        error_set(e, ERROR_USAGE, "which key is it? Say --id ID: somebody may have put another one into the sink");
    return error_hint(
        e, "the id stands on the recovery sheet, behind 'Key id'; 'cofre key show' tells that of a put or prune key");
}

/* ---- forms that look at the configuration ---- */

/* Loads it; the sink is its section. Afterwards end_configured is due, also after an error. */
static int begin_configured(struct cli *cli, const char *name, const struct config_instance **sink, struct error *e)
{
    struct config *config;
    if (config_load(cli->config_dir, &config, e) < 0)
        return -1;
    cli->engine.config = config;
    return command_sink(cli, name, sink, e);
}

static void end_configured(struct cli *cli)
{
    config_free((struct config *)(uintptr_t)cli->engine.config);
    cli->engine.config = NULL;
}

static int recover(struct cli *cli, char *const *words, struct error *e)
{
    const struct config_instance *sink;
    char id[2 * KEY_ID_SIZE + 1];
    int result = begin_configured(cli, words[0], &sink, e);
    if (result == 0)
        result = formats_may_recover(sink, e);
    if (result == 0)
        result = wanted_id(cli, id, e);
    if (result == 0)
        result = formats_recover(&cli->engine, sink, id, words[1], e);
    end_configured(cli);
    return result < 0 ? -1 : show(cli, words + 1, e);
}

static void give_signer(void *context, const struct vault_signer *signer)
{
    struct cli *cli = context;
    struct output *out = &cli->output;
    output_object(out, "signer",
                  json_pack("{s:s, s:s, s:s, s:b, s:s, s:s, s:o, s:o}", "host", signer->host, "job", signer->job,
                            "signer", signer->signer, "own", signer->own, "first", signer->first, "last", signer->last,
                            "snapshots", output_number(signer->snapshots), "doubtful",
                            output_number(signer->doubtful)));
    output_print(out, "%s/%s  %.16s...%s  %llu snapshots, %s to %s", signer->host, signer->job, signer->signer,
                 signer->own ? " (the key at hand)" : "", (unsigned long long)signer->snapshots, signer->first,
                 signer->last);
    if (signer->doubtful > 0)
        output_print(out, ", of which %llu do not count", (unsigned long long)signer->doubtful);
    output_print(out, "\n");
}

static int accept_signers(struct cli *cli, char *const *words, struct error *e)
{
    const struct config_instance *sink;
    char host[CONFIG_HOST_MAX + 1];
    int result = begin_configured(cli, words[0], &sink, e);
    config_host_name(words[1], host);
    if (result == 0)
        result = formats_accept(&cli->engine, sink, host, give_signer, cli, e);
    end_configured(cli);
    return result;
}

/* The signer of a put or prune key: its file, or, where that is lost, what `key show` said. */
static int find_signer(const char *word, uint8_t signer[KEY_SIZE], struct error *e)
{
    struct key *key;
    if (text_parse_hex(word, signer, KEY_SIZE))
        return 0;
    if (key_load(word, &key, e) < 0) {
        if (e->class == ERROR_NOT_FOUND)
            error_hint(e, "give the file of the key, or the 64 digits of its signer, as 'key show' says them");
        return -1;
    }
    memcpy(signer, key->signer_public, KEY_SIZE);
    key_free(key);
    return 0;
}

static int find_since(const struct cli *cli, int64_t *since, struct error *e)
{
    const char *text = arguments_value(&cli->arguments, "since");
    *since = clock_now();
    if (!text || clock_parse_shown(text, since))
        return 0;
    error_set(e, ERROR_USAGE, "--since '%.100s' is no date", text);
    return error_hint(e, "write 2026-11-20, or 2026-11-20T02:00");
}

static int revoke_signer(struct cli *cli, char *const *words, struct error *e)
{
    const struct config_instance *sink;
    uint8_t signer[KEY_SIZE];
    int64_t since;
    if (find_signer(words[1], signer, e) < 0 || find_since(cli, &since, e) < 0)
        return -1;
    int result = begin_configured(cli, words[0], &sink, e);
    if (result == 0)
        result = formats_revoke(&cli->engine, sink, signer, since, give_signer, cli, e);
    end_configured(cli);
    return result;
}

static const struct argument_option options[] = {
    {.name = "host", .value = "NAME", .help = "put, prune: the host whose snapshots the key may add, or remove"},
    {.name = "since", .value = "DATE", .help = "revoke: what it stored from then on does not count; default: now"},
    {.name = "id", .value = "ID", .help = "recover: the id of the key, as the recovery sheet has it"},
    {0},
};

static const struct {
    const char *name, *arguments;
    const char *option; /* that it takes; NULL = none */
    size_t words;
    int (*run)(struct cli *cli, char *const *paths, struct error *e);
} forms[] = {
    {"create", "FILE", NULL, 1, create},
    {"put", "FULLKEY PUTKEY --host NAME", "host", 2, put},
    {"prune", "FULLKEY PRUNEKEY [--host NAME]", "host", 2, prune},
    {"show", "FILE", NULL, 1, show},
    {"recover", "SINK FILE [--id ID]", "id", 2, recover},
    {"accept", "SINK HOST", NULL, 2, accept_signers},
    {"revoke", "SINK KEY [--since DATE]", "since", 2, revoke_signer},
};

/* Is one given that belongs to another form? */
static bool has_other_option(const struct arguments *a, const char *own)
{
    for (const struct argument_option *o = options; o->name; o++)
        if (arguments_has(a, o->name) && !(own && strcmp(o->name, own) == 0))
            return true;
    return false;
}

static int key(struct cli *cli, struct error *e)
{
    static const char *const names[] = {"create", "put", "prune", "show", "recover", "accept", "revoke", NULL};
    const struct arguments *a = &cli->arguments;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(forms[i].name, a->words[0]) != 0)
            continue;
        if (a->word_count - 1 == forms[i].words && !has_other_option(a, forms[i].option))
            return forms[i].run(cli, a->words + 1, e);
        return error_set(e, ERROR_USAGE, "usage: cofre key %s %s", forms[i].name, forms[i].arguments);
    }
    const char *nearest = text_nearest(a->words[0], names);
    error_set(e, ERROR_USAGE, "unknown form '%.100s' of cofre key", a->words[0]);
    if (nearest)
        return error_hint(e, "did you mean cofre key %s?", nearest);
    return error_hint(e, "there are create, put, prune, show, recover, accept and revoke");
}

const struct command cmd_key = {
    .name = "key",
    .usage = "key create FILE\n"
             "key put FULLKEY PUTKEY --host NAME\n"
             "key prune FULLKEY PRUNEKEY [--host NAME]\n"
             "key show FILE\n"
             "key recover SINK FILE [--id ID]\n"
             "key accept SINK HOST\n"
             "key revoke SINK KEY [--since DATE]",
    .summary = "make and look at key files; say whose keys count",
    .help = "create makes a new full key, which can read and write. put derives a put key from it, for the server\n"
            "--host, which may add snapshots of its own but must not be able to read any: name that file as key\n"
            "in its configuration, and keep the full key elsewhere. prune derives a key that removes snapshots, of\n"
            "every host or of --host, and can add and read none: for the machine that keeps house. show says what\n"
            "a key file is: what it may do, its id and the public parts, never a secret. recover gets the full key\n"
            "of a sink's repository back, with what the section names in recovery_to or recovery_passphrase.\n"
            "It must be the key of the id that the recovery sheet has, given with --id or asked for: somebody may\n"
            "have put another repository there. Files are made with mode 0600, and an existing file is never\n"
            "overwritten.\n"
            "\n"
            "accept says that whoever signed what the sink has of a host may do so, after the key of that host was\n"
            "changed: with the full key to everybody, with another key on this machine. revoke says, to everybody,\n"
            "that a put or prune key counts no more, because its machine was broken into: what it stored before, or\n"
            "before --since, still does. It takes the full key.",
    .example = "cofre key create /etc/cofre/keys/gym.key\n"
               "cofre key put gym.key gym-put.key --host gym\n"
               "cofre key prune gym.key nas-prune.key\n"
               "cofre key show gym-put.key\n"
               "cofre key recover nas /etc/cofre/keys/gym.key --id 0123456789abcdef0123456789abcdef\n"
               "cofre key accept nas gym\n"
               "cofre key revoke nas gym-put.key --since 2026-11-20",
    .statuses = "0   done\n1   the file exists already, cannot be read, or cannot be written\n"
                "12  it is no key file, it was cut or mistyped, or it is no full key where that is needed; or\n"
                "    what is at hand does not open the wrapped key, or it is another one than --id says\n"
                "78  others can read the key file, or change what is above it",
    .options = options,
    .words_min = 1,
    .words_max = 3,
    .flags = COMMAND_NO_CONFIG | COMMAND_RESULT,
    .run = key,
};
