/* cofre discover: ready sections for what is on this machine. */
#include <string.h>

#include "base/error.h"
#include "cli/command.h"
#include "config/config.h"
#include "job/discover.h"

/* Does a job save this source? One that a plugin names may be any text. */
static bool is_saved(const struct config *config, const char *source)
{
    for (size_t i = 0; i < config->job_count; i++)
        for (size_t k = 0; k < config->jobs[i].source_count; k++)
            if (strcmp(config->jobs[i].sources[k]->name, source) == 0)
                return true;
    return false;
}

static void comment(struct output *out, const struct discover_offer *o)
{
    output_print(out, "# %s", output_escape(out, o->about, strlen(o->about)));
}

static void print_section(struct output *out, const struct discover_offer *o)
{
    output_print(out, "\n");
    comment(out, o);
    output_print(out, "\n[source %s]\n%s", o->name, o->options);
}

static bool is_in_group(const struct cli *cli, const struct discover_offer *o, bool saved)
{
    return o->covered_by && is_saved(cli->engine.config, o->covered_by) == saved;
}

/* What has a section already, in a job or in none. */
static void print_covered(struct cli *cli, const struct discover *found, bool saved, const char *title)
{
    struct output *out = &cli->output;
    size_t count = 0;
    for (size_t i = 0; i < found->count; i++) {
        const struct discover_offer *o = &found->offers[i];
        if (!is_in_group(cli, o, saved))
            continue;
        if (count++ == 0)
            output_print(out, "\n# %s:\n", title);
        comment(out, o);
        output_print(out, " (source '%s')\n", output_escape(out, o->covered_by, strlen(o->covered_by)));
    }
}

static void print_all(struct cli *cli, const struct discover *found, size_t covered)
{
    struct output *out = &cli->output;
    if (found->count == 0)
        output_print(out, "# nothing was found that could be a source\n");
    else if (covered == found->count)
        output_print(out, "# all that was found is configured\n");
    else
        output_print(out, "# no source saves these: put those that you want into the configuration, and name them in a "
                          "job\n");
    for (size_t i = 0; i < found->count; i++)
        if (!found->offers[i].covered_by)
            print_section(out, &found->offers[i]);
    print_covered(cli, found, false, "configured, and in no job");
    print_covered(cli, found, true, "saved already");
}

/* Lines keep their ends. */
static json_t *lines(struct output *out, const char *text)
{
    json_t *string = json_string(text);
    return string ? string : output_text(out, text);
}

static void give_objects(struct cli *cli, const struct discover *found, size_t covered)
{
    struct output *out = &cli->output;
    for (size_t i = 0; i < found->count; i++) {
        const struct discover_offer *o = &found->offers[i];
        bool in_job = o->covered_by && is_saved(cli->engine.config, o->covered_by);
        output_object(out, "offer",
                      json_pack("{s:s, s:o, s:o, s:o, s:b}", "name", o->name, "options", lines(out, o->options),
                                "about", output_text(out, o->about), "covered_by", output_text(out, o->covered_by),
                                "in_job", in_job));
    }
    output_object(out, "summary",
                  json_pack("{s:s, s:o, s:o, s:o}", "status", found->failed ? "incomplete" : "complete", "offers",
                            output_number(found->count), "covered", output_number(covered), "failed",
                            output_number(found->failed)));
}

static int discover(struct cli *cli, struct error *e)
{
    struct discover found;
    size_t covered = 0;
    int result = discover_run(&cli->engine, &found, e);
    for (size_t i = 0; i < found.count; i++)
        covered += found.offers[i].covered_by != NULL;
    if (result == 0 && cli->output.json)
        give_objects(cli, &found, covered);
    else if (result == 0)
        print_all(cli, &found, covered);
    if (result == 0 && found.failed)
        result = found.count > 0 ? EXIT_INCOMPLETE : error_exit_status(found.reason);
    discover_free(&found);
    return result;
}

static const struct argument_option options[] = {{0}};

const struct command cmd_discover = {
    .name = "discover",
    .usage = "discover",
    .summary = "ready sections for what is on this machine",
    .help = "Asks the plugins that can look around what there is that could be a source: those of the configured\n"
            "sources, where these lead to, and all others where their defaults lead to. Prints a [source] section for\n"
            "what no source saves, ready to be put into the configuration, and as comments what is saved already, and\n"
            "by which source. Works without a configuration, and changes nothing.",
    .example = "cofre discover\ncofre discover > found.conf",
    .statuses = "0   done; what is not there is a notice\n"
                "3   a configured source could not look; it is named, and the others are printed\n"
                "N   nothing could be found, because a configured source could not look: the status of its error",
    .options = options,
    .words_min = 0,
    .words_max = 0,
    .flags = COMMAND_OPTIONAL_CONFIG | COMMAND_RESULT,
    .run = discover,
};
