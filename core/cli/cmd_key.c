/* cofre key: keys as files. Nothing of this needs a configuration or a repository. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "job/formats.h"
#include "repository/key.h"

static void give_key(struct cli *cli, const struct key *key, const char *path)
{
    struct output *out = &cli->output;
    char id[2 * KEY_ID_SIZE + 1], box[2 * KEY_SIZE + 1], root[2 * KEY_SIZE + 1], signer[2 * KEY_SIZE + 1];
    text_hex(key->public.id, KEY_ID_SIZE, id);
    text_hex(key->public.box, KEY_SIZE, box);
    text_hex(key->public.root, KEY_SIZE, root);
    text_hex(key->signer_public, KEY_SIZE, signer);
    const char *kind = key->full ? "full" : "put";
    output_object(out, "key",
                  json_pack("{s:o, s:s, s:s, s:s, s:s, s:s}", "file", output_text(out, path), "kind", kind, "id", id,
                            "sealing", box, "root", root, "signer", signer));
    output_print(out, "file     %s\n", output_escape(out, path, strlen(path)));
    output_print(out, "kind     %s\n",
                 key->full ? "full key: reads and writes" : "put key: adds snapshots, reads none");
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

static int put(struct cli *cli, char *const *paths, struct error *e)
{
    struct key *full, *key = NULL;
    if (key_load(paths[0], &full, e) < 0)
        return -1;
    int result = key_create_put(full, &key, e);
    if (result == 0)
        result = save(key, paths[1], e);
    if (result == 0)
        give_key(cli, key, paths[1]);
    key_free(key);
    key_free(full);
    return result;
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
    return error_hint(e,
                      "the id stands on the recovery sheet, behind 'Key id'; 'cofre key show' tells that of a put key");
}

/* The one form that looks at the configuration. */
static int recover(struct cli *cli, char *const *words, struct error *e)
{
    const struct config_instance *sink;
    struct config *config;
    char id[2 * KEY_ID_SIZE + 1];
    if (config_load(cli->config_dir, &config, e) < 0)
        return -1;
    cli->engine.config = config;
    int result = command_sink(cli, words[0], &sink, e);
    if (result == 0)
        result = formats_may_recover(sink, e);
    if (result == 0)
        result = wanted_id(cli, id, e);
    if (result == 0)
        result = formats_recover(&cli->engine, sink, id, words[1], e);
    cli->engine.config = NULL;
    config_free(config);
    return result < 0 ? -1 : show(cli, words + 1, e);
}

static const struct {
    const char *name, *arguments;
    size_t words;
    int (*run)(struct cli *cli, char *const *paths, struct error *e);
} forms[] = {
    {"create", "FILE", 1, create},
    {"put", "FULLKEY PUTKEY", 2, put},
    {"show", "FILE", 1, show},
    {"recover", "SINK FILE [--id ID]", 2, recover},
};

static int key(struct cli *cli, struct error *e)
{
    static const char *const names[] = {"create", "put", "show", "recover", NULL};
    const struct arguments *a = &cli->arguments;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(forms[i].name, a->words[0]) != 0)
            continue;
        if (a->word_count - 1 == forms[i].words && (forms[i].run == recover || !arguments_has(a, "id")))
            return forms[i].run(cli, a->words + 1, e);
        return error_set(e, ERROR_USAGE, "usage: cofre key %s %s", forms[i].name, forms[i].arguments);
    }
    const char *nearest = text_nearest(a->words[0], names);
    error_set(e, ERROR_USAGE, "unknown form '%.100s' of cofre key", a->words[0]);
    if (nearest)
        return error_hint(e, "did you mean cofre key %s?", nearest);
    return error_hint(e, "there are create, put, show and recover");
}

static const struct argument_option options[] = {
    {.name = "id", .value = "ID", .help = "recover: the id of the key, as the recovery sheet has it"},
    {0},
};

const struct command cmd_key = {
    .name = "key",
    .usage = "key create FILE\nkey put FULLKEY PUTKEY\nkey show FILE\nkey recover SINK FILE [--id ID]",
    .summary = "make and look at key files",
    .help =
        "create makes a new full key, which can read and write. put derives a put key from it, for a server\n"
        "that may add snapshots but must not be able to read any: name that file as key in its configuration,\n"
        "and keep the full key elsewhere. show says what a key file is: its id and the public parts, never a\n"
        "secret. recover gets the full key of a sink's repository back, with what the section names in recovery_to\n"
        "or recovery_passphrase. It must be the key of the id that the recovery sheet has, given with --id or\n"
        "asked for: somebody may have put another repository there. Files are made with mode 0600, and an existing\n"
        "file is never overwritten.",
    .example =
        "cofre key create /etc/cofre/keys/gym.key\ncofre key put gym.key gym-put.key\ncofre key show gym-put.key\n"
        "cofre key recover nas /etc/cofre/keys/gym.key --id 0123456789abcdef0123456789abcdef",
    .statuses = "0   done\n1   the file exists already, cannot be read, or cannot be written\n"
                "12  it is no key file, it was cut or mistyped, or it is a put key where the full key is needed; or\n"
                "    what is at hand does not open the wrapped key, or it is another one than --id says\n"
                "78  others can read the key file, or change what is above it",
    .options = options,
    .words_min = 1,
    .words_max = 3,
    .flags = COMMAND_NO_CONFIG | COMMAND_RESULT,
    .run = key,
};
