/* cofre list, cofre show: which snapshots are there, and what is in one. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/record_view.h"
#include "cli/table.h"
#include "cli/view.h"
#include "format/vault.h"
#include "worker/sink.h"

#define CELL_MAX 512

/* Not everything could be looked at: what was printed may not be all. */
static int list_status(size_t unreachable, size_t damaged, bool unsaid)
{
    if (unreachable)
        log_line(LOG_WARNING, "%zu sink%s could not be looked at: there may be more snapshots", unreachable,
                 unreachable == 1 ? "" : "s");
    if (damaged)
        log_line(LOG_WARNING, "%zu snapshot%s cannot be read", damaged, damaged == 1 ? "" : "s");
    if (unsaid)
        log_line(LOG_WARNING,
                 "what is said of snapshots cannot all be read: there may be pins, proofs and acceptances besides");
    return unreachable || damaged || unsaid ? EXIT_INCOMPLETE : EXIT_DONE;
}

/* "!gymdb" is missing in the snapshot, "gymdb?" incomplete, "gymdb~" suspect. */
static void add_source(char *out, size_t size, const struct manifest_source *source)
{
    char marked[80];
    snprintf(marked, sizeof marked, "%s%.64s%s%s", source->status == MANIFEST_MISSING ? "!" : "", source->name,
             source->status == MANIFEST_INCOMPLETE ? "?" : "", source->suspect ? "~" : "");
    view_join(out, size, marked);
}

/* The cells that only the manifest knows: time, status, sources, size, added. */
static int add_manifest(struct table *t, const struct snapshot *snapshot, struct error *e)
{
    const struct manifest *m = snapshot->manifest;
    char time[CLOCK_TEXT_MAX], sources[CELL_MAX] = "", size[TEXT_SIZE_MAX], added[TEXT_SIZE_MAX];
    if (!m)
        return table_add(t, "?", e) < 0 || table_add(t, view_unread(snapshot), e) < 0 || table_add(t, "?", e) < 0 ||
                       table_add(t, "?", e) < 0 || table_add(t, "?", e) < 0
                   ? -1
                   : 0;
    for (size_t i = 0; i < m->source_count; i++)
        add_source(sources, sizeof sources, &m->sources[i]);
    const char *cells[] = {clock_format_shown(m->started, time), view_state(m, snapshot->said), sources,
                           text_size(view_bytes(m), size), text_size(m->added, added)};
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++)
        if (table_add(t, cells[i], e) < 0)
            return -1;
    return 0;
}

/* What is said of it besides: its label, pins, proofs and acceptances. */
static const char *remarks_of(struct output *out, const struct snapshot *snapshot, char remarks[CELL_MAX])
{
    const struct manifest *m = snapshot->manifest;
    const struct snapshot_said *said = snapshot->said;
    remarks[0] = '\0';
    if (m && m->label)
        view_join(remarks, CELL_MAX, output_escape(out, m->label, strlen(m->label)));
    if (said && said->pinned)
        view_join(remarks, CELL_MAX, "pinned");
    if (said && said->unread)
        view_join(remarks, CELL_MAX, "pinned?");
    if (said && said->accepted)
        view_join(remarks, CELL_MAX, "accepted");
    if (m && said && view_proof(m, &said->verified) != 0)
        view_join(remarks, CELL_MAX, "verified");
    if (m && said && view_proof(m, &said->proven) != 0)
        view_join(remarks, CELL_MAX, "proven");
    return remarks;
}

static int add_row(struct output *out, struct table *t, const struct snapshot *snapshot, bool hosts, struct error *e)
{
    char remarks[CELL_MAX];
    char sinks[CELL_MAX] = "";
    for (size_t i = 0; i < snapshot->sink_count; i++)
        view_join(sinks, sizeof sinks, snapshot->sinks[i]->name);
    if (hosts && table_add(t, snapshot->host, e) < 0)
        return -1;
    if (table_add(t, snapshot->job, e) < 0 || table_add(t, snapshot->id, e) < 0)
        return -1;
    if (add_manifest(t, snapshot, e) < 0 || table_add(t, sinks, e) < 0)
        return -1;
    return table_add(t, remarks_of(out, snapshot, remarks), e);
}

static int print_list(struct cli *cli, const struct snapshot_list *list, bool hosts, struct error *e)
{
    static const struct table_column columns[] = {{"HOST", 0},   {"JOB", 0},     {"SNAPSHOT", 0}, {"TIME", 0},
                                                  {"STATUS", 0}, {"SOURCES", 0}, {"SIZE", 1},     {"ADDED", 1},
                                                  {"SINKS", 0},  {"REMARKS", 0}};
    size_t skip = hosts ? 0 : 1;
    struct table table;
    int result = 0;
    table_init(&table, columns + skip, sizeof columns / sizeof columns[0] - skip);
    for (size_t i = 0; i < list->count && result == 0; i++)
        result = add_row(&cli->output, &table, &list->items[i], hosts, e);
    if (result == 0)
        table_print(&table, &cli->output);
    table_free(&table);
    return result;
}

/* Nothing is there. Perhaps it is there under another host's name: on a new machine this is what goes wrong first. */
static void say_nothing(struct cli *cli, const char *job, const struct config_instance *sink)
{
    struct snapshot_list others = {0};
    struct error e;
    size_t unreachable, damaged;
    const char *host = cli->engine.config->host;
    char of_job[80] = "";
    if (job)
        snprintf(of_job, sizeof of_job, " of job '%s'", job);
    if (snapshot_list(&cli->engine, job, NULL, sink, &others, &unreachable, &damaged, &e) == 0 && others.count > 0)
        log_line(LOG_WARNING,
                 "host '%s' has no snapshots%s, but host '%s' has: see --all-hosts, and 'host' in [engine]", host,
                 of_job, others.items[others.count - 1].host);
    else
        log_line(LOG_NOTICE, "host '%s' has no snapshots%s yet", host, of_job);
    snapshot_list_free(&others);
}

static int list(struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    const char *name = a->word_count ? a->words[0] : NULL;
    bool hosts = arguments_has(a, "all-hosts");
    const struct config_instance *sink;
    const struct config_job *job;
    struct snapshot_list snapshots = {0};
    size_t unreachable = 0, damaged = 0;
    if (command_sink(cli, arguments_value(a, "sink"), &sink, e) < 0 ||
        command_snapshots_of(cli, name, sink, &job, e) < 0)
        return -1;
    if (snapshot_list(&cli->engine, name, hosts ? NULL : cli->engine.config->host, sink, &snapshots, &unreachable,
                      &damaged, e) < 0)
        return -1;
    int result = cli->output.json ? 0 : print_list(cli, &snapshots, hosts, e);
    for (size_t i = 0; i < snapshots.count && cli->output.json; i++)
        output_object(&cli->output, "snapshot", view_snapshot(&cli->output, &snapshots.items[i]));
    if (snapshots.count == 0 && !unreachable)
        say_nothing(cli, name, sink);
    bool unsaid = snapshots.unsaid;
    snapshot_list_free(&snapshots);
    return result < 0 ? -1 : list_status(unreachable, damaged, unsaid);
}

static const struct argument_option list_options[] = {
    {.name = "sink", .value = "SINK", .help = "look at this sink only"},
    {.name = "all-hosts", .help = "snapshots of other hosts in the same repositories too"},
    {0},
};

const struct command cmd_list = {
    .name = "list",
    .usage = "list [JOB] [--sink SINK] [--all-hosts]",
    .summary = "which snapshots are there",
    .help = "Lists the snapshots of a job, or of all jobs, oldest first: when they were made, whether they are\n"
            "complete, how much they hold, how much they added to the repository, which sinks have them, and what is\n"
            "remarked of them: a label, that they are pinned (pinned?: something is said of it that cannot be read,\n"
            "and keeps it as a pin does), that all of them was verified.\n"
            "!SOURCE is missing in the snapshot, SOURCE? is not whole, SOURCE~ is suspect: unlike what it was before.\n"
            "Status 'sealed' means that it is whole, and that only a put key is at hand, which cannot open\n"
            "manifests; 'unreadable' that its manifest cannot be read, and a warning says why.",
    .example = "cofre list\ncofre list nightly --sink nas\ncofre --json list nightly",
    .statuses = "0   all of it\n"
                "3   a sink could not be looked at, or a snapshot or what is said of it cannot be read: there may be\n"
                "    more than is listed",
    .options = list_options,
    .words_min = 0,
    .words_max = 1,
    .flags = COMMAND_RESULT,
    .run = list,
};

static void show_problems(struct output *out, const struct manifest_source *s)
{
    char count[VIEW_COUNT_MAX];
    for (size_t i = 0; i < s->problems_listed; i++) {
        const struct manifest_problem *p = &s->problems[i];
        output_print(out, "  not whole %s%s", output_escape(out, p->path, strlen(p->path)), p->path[0] ? ": " : "");
        output_print(out, "%s\n", output_escape(out, p->error, strlen(p->error)));
        if (p->hint)
            output_print(out, "    hint: %s\n", output_escape(out, p->hint, strlen(p->hint)));
    }
    if (s->problem_count > s->problems_listed)
        output_print(out, "  ... and %s more that are not whole\n",
                     view_count(s->problem_count - s->problems_listed, count));
}

static void show_left_out(struct output *out, const struct manifest_source *s)
{
    char count[VIEW_COUNT_MAX];
    for (size_t i = 0; i < s->left_out_listed; i++) {
        const struct manifest_left_out *item = &s->left_out[i];
        output_print(out, "  left out  %s: ", output_escape(out, item->name, strlen(item->name)));
        output_print(out, "%s\n", output_escape(out, item->why, strlen(item->why)));
    }
    if (s->left_out_count > s->left_out_listed)
        output_print(out, "  ... and %s more that are left out\n",
                     view_count(s->left_out_count - s->left_out_listed, count));
}

static void show_source(struct output *out, const struct manifest_source *s)
{
    char size[TEXT_SIZE_MAX], count[VIEW_COUNT_MAX];
    const char *version = s->plugin_version ? s->plugin_version : "";
    output_print(out, "\nsource %s (%s%s%s): %s\n", s->name, s->plugin, *version ? " " : "",
                 output_escape(out, version, strlen(version)), view_status((int)s->status));
    if (s->error)
        output_print(out, "  error     %s\n", output_escape(out, s->error, strlen(s->error)));
    if (s->suspect)
        output_print(out, "  suspect   %s\n", output_escape(out, s->suspect, strlen(s->suspect)));
    output_print(out, "  entries   %s, %s\n", view_count(s->entries, count), text_size(s->bytes, size));
    if (s->vanished)
        output_print(out, "  vanished  %s while the source was read\n", view_count(s->vanished, count));
    for (size_t i = 0; i < s->option_count; i++) {
        output_print(out, "  option    %s = ", output_escape(out, s->options[i].key, strlen(s->options[i].key)));
        output_print(out, "%s\n", output_escape(out, s->options[i].value, strlen(s->options[i].value)));
    }
    for (size_t i = 0; i < s->fact_count; i++) {
        output_print(out, "  fact      %s = ", output_escape(out, s->facts[i].key, strlen(s->facts[i].key)));
        output_print(out, "%s\n", output_escape(out, s->facts[i].value, strlen(s->facts[i].value)));
    }
    show_problems(out, s);
    show_left_out(out, s);
}

static void show_proof(struct output *out, const char *what, const struct manifest *m,
                       const struct snapshot_proof *proof)
{
    char time[CLOCK_TEXT_MAX];
    if (view_proof(m, proof) != 0)
        output_print(out, "%-9s %s\n", what, clock_format_shown(proof->at, time));
}

static void show_said(struct output *out, const struct manifest *m, const struct snapshot_said *said)
{
    char time[CLOCK_TEXT_MAX];
    if (m->label)
        output_print(out, "label     %s\n", output_escape(out, m->label, strlen(m->label)));
    if (!said)
        return;
    if (said->pinned)
        output_print(out, "pinned    %s%s%s%s\n", said->until == VAULT_PIN_FOREVER ? "for ever" : "until ",
                     said->until == VAULT_PIN_FOREVER ? "" : clock_format_shown(said->until, time),
                     said->note[0] ? ": " : "", output_escape(out, said->note, strlen(said->note)));
    if (said->unread)
        output_print(out, "remark    something that is said of it cannot be read, and keeps it as a pin does\n");
    if (said->accepted)
        output_print(out, "accepted  it is as it should be, although it is suspect\n");
    show_proof(out, "verified", m, &said->verified);
    show_proof(out, "proven", m, &said->proven);
}

static void show_manifest(struct output *out, const struct manifest *m, const char *sinks,
                          const struct snapshot_said *said)
{
    char time[CLOCK_TEXT_MAX], size[TEXT_SIZE_MAX], elapsed[TEXT_ELAPSED_MAX];
    output_print(out, "snapshot  %s\njob       %s\nhost      %s\n", m->id, m->job, m->host);
    output_print(out, "status    %s\n", view_state(m, said));
    output_print(out, "started   %s, took %s\n", clock_format_shown(m->started, time),
                 text_elapsed((m->ended - m->started) / 1000000, elapsed));
    output_print(out, "sinks     %s\n", sinks);
    output_print(out, "size      %s", text_size(view_bytes(m), size));
    output_print(out, ", %s added\n", text_size(m->added, size));
    output_print(out, "number    %llu of this job%s%s\n", (unsigned long long)m->sequence,
                 m->previous_id[0] ? ", after " : "", m->previous_id);
    output_print(out, "made by   cofre %s\n", output_escape(out, m->version, strlen(m->version)));
    show_said(out, m, said);
    for (size_t i = 0; i < m->source_count; i++)
        show_source(out, &m->sources[i]);
}

/* The snapshot in the list of all, which knows the sinks that hold it; NULL when it is not there. */
static const struct snapshot *find(const struct snapshot_list *snapshots, const struct manifest *m)
{
    for (size_t i = 0; i < snapshots->count; i++)
        if (strcmp(snapshots->items[i].id, m->id) == 0 && strcmp(snapshots->items[i].job, m->job) == 0)
            return &snapshots->items[i];
    return NULL;
}

static int show_manifest_of(struct cli *cli, const struct manifest *m, struct vault *opened, struct error *e)
{
    struct snapshot_list snapshots = {0};
    const struct config_instance *sink;
    size_t unreachable = 0;
    if (command_sink(cli, arguments_value(&cli->arguments, "sink"), &sink, e) < 0 ||
        snapshot_names(&cli->engine, m->job, m->host, sink, opened, &snapshots, &unreachable, e) < 0)
        return -1;
    const struct snapshot *found = find(&snapshots, m);
    char sinks[CELL_MAX] = "";
    json_t *names = json_array();
    for (size_t i = 0; i < (found ? found->sink_count : 1); i++) {
        const char *name = found ? found->sinks[i]->name : sink_name(opened->sink);
        view_join(sinks, sizeof sinks, name);
        if (json_array_append_new(names, output_text(&cli->output, name)) < 0)
            cli->output.no_memory = true;
    }
    const struct snapshot_said *said = found ? found->said : NULL;
    show_manifest(&cli->output, m, sinks, said);
    output_object(&cli->output, "snapshot", view_manifest(&cli->output, m, names, said));
    bool unsaid = snapshots.unsaid;
    snapshot_list_free(&snapshots);
    return list_status(unreachable, 0, unsaid);
}

static int show_record(struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    if (!text_is_name(a->words[0]))
        return error_set(e, ERROR_USAGE, "'%.200s' is no name of a job: records are of a job", a->words[0]);
    return record_view_show(cli, a->words[0], a->word_count > 1 ? a->words[1] : NULL, e);
}

static int show(struct cli *cli, struct error *e)
{
    struct vault *vault;
    struct manifest *manifest;
    const struct arguments *a = &cli->arguments;
    if (arguments_has(a, "record"))
        return show_record(cli, e);
    if (a->word_count > 1) {
        error_set(e, ERROR_USAGE, "too many arguments: '%.200s'", a->words[1]);
        return error_hint(e, "a snapshot is JOB@ID; an ID behind the job goes with --record");
    }
    if (command_open(cli, a->words[0], NULL, &vault, &manifest, e) < 0)
        return -1;
    int status = show_manifest_of(cli, manifest, vault, e);
    manifest_free(manifest);
    vault_close(vault);
    return status;
}

static const struct argument_option show_options[] = {
    {.name = "sink", .value = "SINK", .help = "look at this sink only"},
    {.name = "record", .help = "show the record of an attempt on this machine, the newest without ID"},
    {0},
};

const struct command cmd_show = {
    .name = "show",
    .usage = "show JOB[@ID] [--sink SINK]\nshow JOB --record [ID]",
    .summary = "everything that is known of one snapshot",
    .help =
        "Shows one snapshot: its sources with their options and facts, what is missing or not whole and why,\n"
        "its label, pins, proofs and acceptance, and which sinks hold it. Without @ID it is the newest one.\n"
        "With --record it shows the record of an attempt (cofre log) instead: ID is its id, or the beginning of it.",
    .example =
        "cofre show nightly\ncofre show nightly --record\ncofre show nightly@latest~1\ncofre show nightly@20261120T02",
    .statuses = "0   shown\n"
                "1   there is no such snapshot\n"
                "3   shown, but a sink could not be looked at, or a newer snapshot cannot be read\n"
                "12  the key at hand cannot open it: it is a put key, or another one",
    .options = show_options,
    .words_min = 1,
    .words_max = 2,
    .flags = COMMAND_RESULT,
    .run = show,
};
