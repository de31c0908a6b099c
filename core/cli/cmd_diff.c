/* cofre diff: what differs between two snapshots. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/view.h"
#include "config/config.h"
#include "format/vault.h"
#include "job/diff.h"
#include "job/entries.h"

static const char *const words[DIFF_KINDS] = {
    [DIFF_ADDED] = "added", [DIFF_REMOVED] = "removed", [DIFF_CHANGED] = "changed", [DIFF_METADATA] = "metadata"};

/* The two snapshots, and what was found of all sources. */
struct comparing {
    struct cli *cli;
    struct diff_side before, after;
    struct manifest *manifests[2]; /* of before, after */
    const char *source;
    uint64_t counts[DIFF_KINDS], bytes_added, bytes_removed;
};

/* ---- rows ---- */

static json_t *size_json(const struct entries_item *item)
{
    return item && item->size >= 0 ? json_integer(item->size) : json_null();
}

static json_t *time_json(const struct entries_item *item)
{
    return item ? output_time(item->mtime) : json_null();
}

static void give(struct comparing *c, enum diff_what what, const struct entries_item *before,
                 const struct entries_item *after)
{
    struct output *out = &c->cli->output;
    const struct entries_item *item = after ? after : before;
    output_object(out, "difference",
                  json_pack("{s:s, s:o, s:s, s:s, s:o, s:o, s:o, s:o}", "source", c->source, "path",
                            output_bytes(out, item->path, item->path_length), "what", words[what], "kind",
                            view_kind(item->kind), "size_before", size_json(before), "size", size_json(after),
                            "mtime_before", time_json(before), "mtime", time_json(after)));
}

static void print(struct comparing *c, enum diff_what what, const struct entries_item *before,
                  const struct entries_item *after)
{
    struct output *out = &c->cli->output;
    const struct entries_item *item = after ? after : before;
    char sizes[2 * TEXT_SIZE_MAX + 8], one[TEXT_SIZE_MAX], other[TEXT_SIZE_MAX];
    if (what == DIFF_CHANGED && before->size != after->size)
        snprintf(sizes, sizeof sizes, "%s -> %s", text_size((uint64_t)before->size, one),
                 text_size((uint64_t)after->size, other));
    else
        snprintf(sizes, sizeof sizes, "%s", text_size((uint64_t)item->size, one));
    output_print(out, "%-8s  %22s  %s:", words[what], sizes, c->source);
    output_print(out, "%s\n", item->path_length ? output_escape(out, item->path, item->path_length) : ".");
}

static uint64_t size_of(const struct entries_item *item)
{
    return item && item->size > 0 ? (uint64_t)item->size : 0;
}

static int told(void *context, enum diff_what what, const struct entries_item *before, const struct entries_item *after,
                struct error *e)
{
    struct comparing *c = context;
    struct output *out = &c->cli->output;
    c->counts[what]++;
    if (what != DIFF_METADATA) {
        c->bytes_removed += size_of(before);
        c->bytes_added += size_of(after);
    }
    if (out->json)
        give(c, what, before, after);
    else
        print(c, what, before, after);
    return out->failed_errno ? error_system(e, out->failed_errno, "write to 'standard output'") : 0;
}

static void sum_up(struct comparing *c)
{
    struct output *out = &c->cli->output;
    char counts[DIFF_KINDS][VIEW_COUNT_MAX], plus[TEXT_SIZE_MAX], minus[TEXT_SIZE_MAX];
    for (size_t i = 0; i < DIFF_KINDS; i++)
        view_count(c->counts[i], counts[i]);
    output_print(out, "%s added, %s removed, %s changed, %s with other metadata; %s more, %s less\n",
                 counts[DIFF_ADDED], counts[DIFF_REMOVED], counts[DIFF_CHANGED], counts[DIFF_METADATA],
                 text_size(c->bytes_added, plus), text_size(c->bytes_removed, minus));
    output_object(out, "summary",
                  json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "before", c->before.manifest->id, "after",
                            c->after.manifest->id, "added", output_number(c->counts[DIFF_ADDED]), "removed",
                            output_number(c->counts[DIFF_REMOVED]), "changed", output_number(c->counts[DIFF_CHANGED]),
                            "metadata", output_number(c->counts[DIFF_METADATA]), "bytes_added",
                            output_number(c->bytes_added), "bytes_removed", output_number(c->bytes_removed)));
}

/* ---- sources ---- */

/* NULL: the snapshot has nothing of it. */
static const struct manifest_source *find(const struct manifest *m, const char *name)
{
    for (size_t i = 0; i < m->source_count; i++)
        if (strcmp(m->sources[i].name, name) == 0 && m->sources[i].status != MANIFEST_MISSING)
            return &m->sources[i];
    return NULL;
}

static int compare_source(struct comparing *c, const char *name, const char *path, struct error *e)
{
    uint64_t entries;
    c->source = name;
    c->before.source = find(c->before.manifest, name);
    c->after.source = find(c->after.manifest, name);
    if (!c->before.source || !c->after.source)
        log_line(LOG_WARNING, "nothing of source '%s' is in snapshot %s", name,
                 c->before.source ? c->after.manifest->id : c->before.manifest->id);
    if (diff_run(&c->before, &c->after, path, c->cli->engine.config->cache_dir, told, c, &entries, e) < 0)
        return -1;
    if (!path || entries > 0)
        return 0;
    error_set(e, ERROR_NOT_FOUND, "neither snapshot has an entry '%s'", path);
    return error_subject(e, "source", name);
}

static int compare_all(struct comparing *c, struct error *e)
{
    const struct manifest *before = c->before.manifest, *after = c->after.manifest;
    for (size_t i = 0; i < before->source_count; i++)
        if ((find(before, before->sources[i].name) || find(after, before->sources[i].name)) &&
            compare_source(c, before->sources[i].name, NULL, e) < 0)
            return -1;
    for (size_t i = 0; i < after->source_count; i++) {
        const char *name = after->sources[i].name;
        bool was = false;
        for (size_t k = 0; k < before->source_count; k++)
            was = was || strcmp(before->sources[k].name, name) == 0;
        if (!was && find(after, name) && compare_source(c, name, NULL, e) < 0)
            return -1;
    }
    return 0;
}

static int compare_some(struct comparing *c, char *text, struct error *e)
{
    const char *name;
    char *path;
    command_split(text, &name, &path);
    const struct manifest_source *source = find(c->after.manifest, name);
    struct diff_side *side = source ? &c->after : &c->before;
    /* In neither: why, or what was meant. */
    if (!source && !(source = find(c->before.manifest, name)) &&
        command_source(c->cli, c->after.manifest, name, &source, e) < 0)
        return -1;
    if (path && command_path(side->vault, side->manifest, source, path, e) < 0)
        return -1;
    return compare_source(c, name, path, e);
}

static int compare(struct comparing *c, struct error *e)
{
    const struct arguments *a = &c->cli->arguments;
    struct diff_side *sides[2] = {&c->before, &c->after};
    for (size_t i = 0; i < 2; i++) {
        if (command_open(c->cli, a->words[i], NULL, &sides[i]->vault, &c->manifests[i], e) < 0)
            return -1;
        sides[i]->manifest = c->manifests[i];
    }
    if ((a->word_count > 2 ? compare_some(c, a->words[2], e) : compare_all(c, e)) < 0)
        return -1;
    sum_up(c);
    return 0;
}

static int run(struct cli *cli, struct error *e)
{
    struct comparing c = {.cli = cli};
    int result = compare(&c, e);
    manifest_free(c.manifests[0]);
    manifest_free(c.manifests[1]);
    vault_close(c.before.vault);
    vault_close(c.after.vault);
    return result < 0 ? -1 : EXIT_DONE;
}

static const struct argument_option options[] = {
    {.name = "sink", .value = "SINK", .help = "read both from this sink"},
    {0},
};

const struct command cmd_diff = {
    .name = "diff",
    .usage = "diff JOB[@ID] JOB[@ID] [SOURCE[:PATH]] [--sink SINK]",
    .summary = "what differs between two snapshots",
    .help = "Compares the entries of the second snapshot with those of the first: of all sources, of one, or at and\n"
            "below a path. A line is added, removed, changed (another kind, content or link) or metadata (the same\n"
            "content with another owner, mode, time or attribute), with the size before and after. Content is not\n"
            "read: it is the same where both snapshots say that it lies in the same place, or when size and time are\n"
            "the same, as rsync has it. The time of a directory counts for nothing.",
    .example = "cofre diff nightly@latest~1 nightly@latest\ncofre diff nightly@20261119 nightly uploads:2026/11\n"
               "cofre --json diff nightly@latest~7 nightly gymdb",
    .statuses = "0   compared, whether something differs or not\n"
                "1   there is no such snapshot, source or path\n"
                "3   compared, but a newer snapshot cannot be read",
    .options = options,
    .words_min = 2,
    .words_max = 3,
    .flags = COMMAND_RESULT,
    .run = run,
};
