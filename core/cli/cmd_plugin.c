/* cofre plugin: which plugins are there, and what can be configured in a section of one. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/table.h"
#include "job/plugins.h"
#include "worker/worker.h"

static const char *role_name(const struct plugin_info *plugin)
{
    return config_role_name(plugin->role);
}

static const char *or_nothing(const char *text)
{
    return text ? text : "";
}

static json_t *option_json(struct output *out, const struct option *o)
{
    bool ranged = o->minimum != 0 || o->maximum != 0;
    json_t *choices = o->choices ? json_array() : json_null();
    for (const char *at = or_nothing(o->choices); *at;) {
        size_t n = strcspn(at, "|");
        if (json_array_append_new(choices, output_bytes(out, at, n)) < 0)
            out->no_memory = true;
        at += n + (at[n] == '|');
    }
    return json_pack("{s:o, s:s, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o}", "name", output_text(out, o->name), "type",
                     option_type_name(o->type), "required", (o->flags & OPTION_REQUIRED) != 0, "restore",
                     (o->flags & OPTION_RESTORE) != 0, "trusted", (o->flags & OPTION_TRUSTED) != 0, "default",
                     output_text(out, o->fallback), "minimum", ranged ? json_integer(o->minimum) : json_null(),
                     "maximum", ranged ? json_integer(o->maximum) : json_null(), "choices", choices, "help",
                     output_text(out, o->help));
}

/* An example keeps its line ends. */
static json_t *lines(struct output *out, const char *text)
{
    json_t *string = text ? json_string(text) : NULL;
    return string ? string : output_text(out, text);
}

static json_t *plugin_json(struct output *out, const struct plugin_info *p, bool options)
{
    json_t *object = json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:i}", "name", output_text(out, p->name), "version",
                               output_text(out, p->version), "role", role_name(p), "summary",
                               output_text(out, p->summary), "license", output_text(out, p->license), "path",
                               output_text(out, p->path), "api_level", (int)p->api_level);
    if (!options || !object)
        return object;
    json_t *list = json_array();
    for (size_t i = 0; i < p->option_count && list; i++)
        if (json_array_append_new(list, option_json(out, &p->options[i])) < 0)
            out->no_memory = true;
    if (json_object_set_new(object, "options", list) < 0 ||
        json_object_set_new(object, "example", lines(out, p->example)) < 0)
        out->no_memory = true;
    return object;
}

/* ---- list ---- */

static int add_row(struct table *t, const char *name, const struct plugin_info *p, struct error *e)
{
    const char *cells[] = {name, p ? or_nothing(p->version) : "-", p ? role_name(p) : "-",
                           p ? or_nothing(p->summary) : "cannot be loaded", p ? p->path : "-"};
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        if (table_add(t, cells[i], e) < 0)
            return -1;
    return 0;
}

/* 1 = it could not be loaded, which is part of the listing. */
static int list_one(struct cli *cli, const char *name, struct table *table, struct error *e)
{
    struct output *out = &cli->output;
    struct worker *worker = NULL;
    char text[ERROR_TEXT_MAX];
    struct error why;
    bool bad = engine_start_plugin(&cli->engine, name, name, &worker, &why) < 0;
    const struct plugin_info *plugin = bad ? NULL : worker_plugin(worker);
    int result = 0;
    if (bad)
        command_print_error(out, &why);
    if (!out->json)
        result = add_row(table, name, plugin, e);
    else if (bad)
        output_object(out, "plugin",
                      json_pack("{s:o, s:o, s:o}", "name", output_text(out, name), "error",
                                output_text(out, error_text(&why, text)), "hint",
                                output_text(out, why.hint[0] ? why.hint : NULL)));
    else
        output_object(out, "plugin", plugin_json(out, plugin, false));
    worker_stop(worker);
    return result < 0 ? -1 : bad;
}

static int list(struct cli *cli, const struct plugins *plugins, struct error *e)
{
    static const struct table_column columns[] = {
        {"NAME", 0}, {"VERSION", 0}, {"ROLE", 0}, {"SUMMARY", 0}, {"PATH", 0}};
    struct table table;
    int status = EXIT_DONE, result = 0;
    table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < plugins->count && result >= 0; i++) {
        result = list_one(cli, plugins->names[i], &table, e);
        status = result > 0 ? EXIT_FAILED : status;
    }
    if (result >= 0)
        table_print(&table, &cli->output);
    table_free(&table);
    return result < 0 ? -1 : status;
}

/* ---- describe ---- */

/* As it would be written in a configuration: in the largest unit without remainder. */
static void print_number(struct output *out, enum option_type type, int64_t number)
{
    static const struct {
        enum option_type type;
        int64_t factor;
        const char *unit;
    } units[] = {
        {OPTION_SIZE, 1 << 30, "GiB"},    {OPTION_SIZE, 1 << 20, "MiB"},   {OPTION_SIZE, 1 << 10, "KiB"},
        {OPTION_DURATION, 86400000, "d"}, {OPTION_DURATION, 3600000, "h"}, {OPTION_DURATION, 60000, "min"},
        {OPTION_DURATION, 1000, "s"},     {OPTION_DURATION, 1, "ms"},
    };
    for (size_t i = 0; i < sizeof units / sizeof units[0] && number != 0; i++)
        if (units[i].type == type && number % units[i].factor == 0) {
            output_print(out, "%lld%s", (long long)(number / units[i].factor), units[i].unit);
            return;
        }
    output_print(out, "%lld", (long long)number);
}

static void print_option(struct output *out, const struct option *o)
{
    output_print(out, "  %s  (%s", o->name, option_type_name(o->type));
    if (o->choices)
        output_print(out, ": %s", o->choices);
    if (o->minimum != 0 || o->maximum != 0) {
        output_print(out, ", ");
        print_number(out, o->type, o->minimum);
        output_print(out, " to ");
        print_number(out, o->type, o->maximum);
    }
    if (o->flags & OPTION_REQUIRED)
        output_print(out, ", required");
    else if (o->fallback)
        output_print(out, ", default %s", output_escape(out, o->fallback, strlen(o->fallback)));
    output_print(out, "%s%s)\n", o->flags & OPTION_TRUSTED ? ", closed to others" : "",
                 o->flags & OPTION_RESTORE ? ", --set at restore" : "");
    output_print(out, "      %s\n", output_escape(out, or_nothing(o->help), strlen(or_nothing(o->help))));
}

static void print_example(struct output *out, const struct plugin_info *p)
{
    output_print(out, "\nExample:\n  [%s NAME]\n  plugin = %s\n", config_role_section(p->role), p->name);
    for (const char *at = or_nothing(p->example); *at;) {
        size_t n = strcspn(at, "\n");
        output_print(out, "  %s\n", output_escape(out, at, n));
        at += n + (at[n] == '\n');
    }
}

static void print_plugin(struct output *out, const struct plugin_info *p)
{
    const struct option *common = config_role_options(p->role);
    output_print(out, "%s %s: ", p->name, or_nothing(p->version));
    output_print(out, "%s\n", output_escape(out, or_nothing(p->summary), strlen(or_nothing(p->summary))));
    output_print(out, "a %s, license %s, %s\n\nOptions:\n", role_name(p), or_nothing(p->license), p->path);
    for (size_t i = 0; i < p->option_count; i++)
        print_option(out, &p->options[i]);
    output_print(out, "\nOptions of every %s:\n", role_name(p));
    for (const struct option *o = common; o->name; o++)
        print_option(out, o);
    print_example(out, p);
}

/* Is there a plugin of this name? Loading it would say so too, but could not suggest another. */
static int check_name(const struct plugins *plugins, const char *name, struct error *e)
{
    if (plugins_have(plugins, name))
        return 0;
    const char *nearest = text_nearest(name, (const char *const *)plugins->names);
    error_set(e, ERROR_USAGE, "there is no plugin '%.100s'", name);
    return nearest ? error_hint(e, "did you mean '%s'?", nearest)
                   : error_hint(e, "cofre plugin list shows what is there");
}

static int describe(struct cli *cli, const struct plugins *plugins, struct error *e)
{
    const char *name = cli->arguments.words[1];
    struct worker *worker;
    if (check_name(plugins, name, e) < 0)
        return -1;
    if (engine_start_plugin(&cli->engine, name, name, &worker, e) < 0)
        return -1;
    if (cli->output.json)
        output_object(&cli->output, "plugin", plugin_json(&cli->output, worker_plugin(worker), true));
    else
        print_plugin(&cli->output, worker_plugin(worker));
    worker_stop(worker);
    return EXIT_DONE;
}

static int plugin(struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    int (*run)(struct cli *, const struct plugins *, struct error *) = NULL;
    if (strcmp(a->words[0], "list") == 0 && a->word_count == 1)
        run = list;
    if (strcmp(a->words[0], "describe") == 0 && a->word_count == 2)
        run = describe;
    if (!run) {
        error_set(e, ERROR_USAGE, "'%.100s' is no complete form of cofre plugin", a->words[0]);
        return error_hint(e, "write cofre plugin list, or cofre plugin describe NAME");
    }
    struct plugins plugins;
    int result = plugins_list(cli->engine.config, &plugins, e);
    if (result == 0)
        result = run(cli, &plugins, e);
    plugins_free(&plugins);
    return result;
}

static const struct argument_option options[] = {{0}};

const struct command cmd_plugin = {
    .name = "plugin",
    .usage = "plugin list\nplugin describe NAME",
    .summary = "which plugins are there, and their options",
    .help = "list shows every plugin in the plugin directories; one that cannot be loaded is listed with the\n"
            "reason. describe shows what may stand in a section of the plugin: options with type, default, range\n"
            "and meaning, and an example.",
    .example = "cofre plugin list\ncofre plugin describe directory\ncofre --json plugin describe local",
    .statuses = "0   done\n1   a plugin cannot be loaded; the reason is said\n2   there is no plugin of that name",
    .options = options,
    .words_min = 1,
    .words_max = 2,
    .flags = COMMAND_OPTIONAL_CONFIG | COMMAND_RESULT,
    .run = plugin,
};
