/* cofre version: of the program, of what it writes, of what it is made from. */
#include <sodium.h>
#include <zstd.h>

#include <cofre/plugin.h>

#include "cli/command.h"
#include "repository/repository.h"

static int version(struct cli *cli, struct error *e)
{
    (void)e;
    struct output *out = &cli->output;
    const struct {
        const char *name, *version;
    } libraries[] = {
        {"libsodium", sodium_version_string()}, {"zstd", ZSTD_versionString()}, {"jansson", jansson_version_str()}};
    json_t *object = json_object();
    output_print(out, "cofre %s\nrepository format %d, plugin ABI level %d\n", COFRE_VERSION, REPOSITORY_FORMAT,
                 COFRE_ABI_LEVEL);
    for (size_t i = 0; i < sizeof libraries / sizeof libraries[0]; i++) {
        output_print(out, "%s %s\n", libraries[i].name, libraries[i].version);
        if (json_object_set_new(object, libraries[i].name, json_string(libraries[i].version)) < 0)
            out->no_memory = true;
    }
    output_object(out, "version",
                  json_pack("{s:s, s:i, s:i, s:o}", "version", COFRE_VERSION, "format", REPOSITORY_FORMAT, "abi",
                            COFRE_ABI_LEVEL, "libraries", object));
    return EXIT_DONE;
}

static const struct argument_option options[] = {{0}};

const struct command cmd_version = {
    .name = "version",
    .usage = "version",
    .summary = "versions of the program, its formats and libraries",
    .help = "Says the version of cofre, the repository format that it writes, the plugin ABI level that it offers,\n"
            "and the libraries that it runs with.",
    .example = "cofre version\ncofre --json version",
    .statuses = "0   always",
    .options = options,
    .words_min = 0,
    .words_max = 0,
    .flags = COMMAND_NO_CONFIG | COMMAND_RESULT,
    .run = version,
};
