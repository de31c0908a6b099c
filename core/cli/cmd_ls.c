/* cofre ls, cofre cat: into a snapshot, without restoring it. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cofre/plugin.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/view.h"
#include "format/vault.h"
#include "job/restore.h"
#include "snapshot/record.h"

static const char letters[] = {
    [COFRE_FILE] = '-',      [COFRE_DIRECTORY] = 'd', [COFRE_SYMLINK] = 'l', [COFRE_HARDLINK] = 'h', [COFRE_FIFO] = 'p',
    [COFRE_CHARACTER] = 'c', [COFRE_BLOCK] = 'b',     [COFRE_SOCKET] = 's',  [COFRE_STREAM] = '=',
};

/* What the listing needs to know for each entry. */
struct listing {
    struct output *out;
    const char *source;
    uint64_t entries; /* listed so far */
    bool named;       /* the source was named: its name before each path would be noise */
};

static char letter_of(uint32_t kind)
{
    return kind < sizeof letters && letters[kind] ? letters[kind] : '-';
}

/* "rwxr-sr-t" */
static void format_mode(uint32_t mode, char out[10])
{
    static const char bits[] = "rwxrwxrwx";
    static const struct {
        unsigned bit, at;
        char with, without;
    } special[] = {{04000, 2, 's', 'S'}, {02000, 5, 's', 'S'}, {01000, 8, 't', 'T'}};
    for (unsigned i = 0; i < 9; i++)
        out[i] = mode & (0400u >> i) ? bits[i] : '-';
    for (unsigned i = 0; i < 3; i++)
        if (mode & special[i].bit)
            out[special[i].at] = out[special[i].at] == 'x' ? special[i].with : special[i].without;
    out[9] = '\0';
}

static const char *owner(const char *name, uint32_t id, char number[16])
{
    if (name && *name)
        return name;
    snprintf(number, 16, "%u", (unsigned)id);
    return number;
}

static const char *status_name(enum record_status status)
{
    return status == RECORD_WHOLE ? "whole" : status == RECORD_CHANGED ? "changed" : "unreadable";
}

static void print_owner(struct output *out, const struct snapshot_entry *entry)
{
    char number[16];
    const char *user = owner(entry->user, entry->uid, number);
    output_print(out, "%-8s ", output_escape(out, user, strlen(user)));
    const char *group = owner(entry->group, entry->gid, number);
    output_print(out, "%-8s ", output_escape(out, group, strlen(group)));
}

static void print_entry(const struct listing *listing, const struct record *record)
{
    const struct snapshot_entry *entry = &record->entry;
    struct output *out = listing->out;
    char mode[10], size[TEXT_SIZE_MAX], time[CLOCK_TEXT_MAX] = "-";
    format_mode(entry->mode, mode);
    if (entry->mtime != COFRE_NO_TIME)
        clock_format_shown(entry->mtime, time);
    output_print(out, "%c%s ", letter_of(entry->kind), mode);
    print_owner(out, entry);
    output_print(out, "%10s %25s ", entry->size >= 0 ? text_size((uint64_t)entry->size, size) : "?", time);
    if (!listing->named)
        output_print(out, "%s:", listing->source);
    output_print(out, "%s", entry->path_length ? output_escape(out, entry->path, entry->path_length) : ".");
    if (entry->link)
        output_print(out, " %s %s", entry->kind == COFRE_HARDLINK ? "=" : "->",
                     output_escape(out, entry->link, entry->link_length));
    if (record->status != RECORD_WHOLE)
        output_print(out, "  [%s: %s]", status_name(record->status),
                     record->error ? output_escape(out, record->error, strlen(record->error)) : "");
    output_print(out, "\n");
}

static json_t *attribute_names(struct output *out, const struct snapshot_entry *entry)
{
    json_t *names = json_array();
    for (size_t i = 0; i < entry->attribute_count && names; i++)
        if (json_array_append_new(names, output_text(out, entry->attributes[i].name)) < 0)
            out->no_memory = true;
    return names;
}

static void give_entry(const struct listing *listing, const struct record *record)
{
    const struct snapshot_entry *entry = &record->entry;
    struct output *out = listing->out;
    char mode[8];
    snprintf(mode, sizeof mode, "%04o", (unsigned)(entry->mode & 07777));
    json_t *object = json_pack(
        "{s:s, s:o, s:s, s:s, s:o, s:o, s:I, s:I, s:o, s:o, s:o, s:o, s:s, s:o}", "source", listing->source, "path",
        output_bytes(out, entry->path, entry->path_length), "kind", view_kind(entry->kind), "mode", mode, "size",
        entry->size >= 0 ? json_integer(entry->size) : json_null(), "mtime", output_time(entry->mtime), "uid",
        (json_int_t)entry->uid, "gid", (json_int_t)entry->gid, "user", output_text(out, entry->user), "group",
        output_text(out, entry->group), "link", output_bytes(out, entry->link, entry->link_length), "attributes",
        attribute_names(out, entry), "status", status_name(record->status), "error", output_text(out, record->error));
    bool is_device = entry->kind == COFRE_CHARACTER || entry->kind == COFRE_BLOCK;
    if (object && is_device &&
        json_object_set_new(object, "device",
                            json_sprintf("%u:%u", (unsigned)entry->device_major, (unsigned)entry->device_minor)) < 0)
        out->no_memory = true;
    output_object(out, "entry", object);
}

static int list_entry(void *context, const struct record *record, struct error *e)
{
    struct listing *listing = context;
    if (record->continuation)
        return 0;
    listing->entries++;
    if (listing->out->json)
        give_entry(listing, record);
    else
        print_entry(listing, record);
    /* Nobody listens any more: reading on would be for nothing. */
    return listing->out->failed_errno ? error_system(e, listing->out->failed_errno, "write to 'standard output'") : 0;
}

static int list_source(struct cli *cli, struct vault *vault, const struct manifest *manifest,
                       const struct manifest_source *source, bool named, const char *path, struct error *e)
{
    struct listing listing = {.out = &cli->output, .source = source->name, .named = named};
    if (source->status == MANIFEST_MISSING)
        return 0;
    if (restore_list(vault, manifest, source, path, list_entry, &listing, e) < 0)
        return -1;
    if (!path || listing.entries > 0)
        return 0;
    error_set(e, ERROR_NOT_FOUND, "there is no entry '%s'", path);
    return error_subject(e, "source", source->name);
}

static int list_all(struct cli *cli, struct vault *vault, const struct manifest *manifest, struct error *e)
{
    for (size_t i = 0; i < manifest->source_count; i++)
        if (list_source(cli, vault, manifest, &manifest->sources[i], false, NULL, e) < 0)
            return -1;
    return EXIT_DONE;
}

static int list_some(struct cli *cli, struct vault *vault, const struct manifest *manifest, char *text, struct error *e)
{
    const struct manifest_source *source;
    const char *name;
    char *path;
    command_split(text, &name, &path);
    if (command_source(cli, manifest, name, &source, e) < 0)
        return -1;
    if (path && command_path(vault, manifest, source, path, e) < 0)
        return -1;
    return list_source(cli, vault, manifest, source, true, path, e) < 0 ? -1 : EXIT_DONE;
}

static int ls(struct cli *cli, struct error *e)
{
    const struct arguments *a = &cli->arguments;
    struct vault *vault;
    struct manifest *manifest;
    if (command_open(cli, a->words[0], a->word_count > 1 ? a->words[1] : NULL, &vault, &manifest, e) < 0)
        return -1;
    int status =
        a->word_count == 1 ? list_all(cli, vault, manifest, e) : list_some(cli, vault, manifest, a->words[1], e);
    manifest_free(manifest);
    vault_close(vault);
    return status;
}

static int write_piece(void *context, const void *p, size_t n, struct error *e)
{
    (void)context;
    return file_write_all(STDOUT_FILENO, p, n, "standard output", e);
}

static int cat_path(struct cli *cli, struct vault *vault, const struct manifest *manifest, char *text, struct error *e)
{
    const struct manifest_source *source;
    const char *name;
    char *path;
    command_split(text, &name, &path);
    if (!path) {
        error_set(e, ERROR_USAGE, "'%.200s' names no path", text);
        return error_hint(e, "write SOURCE:PATH; cofre ls shows what there is");
    }
    if (command_source(cli, manifest, name, &source, e) < 0 || command_path(vault, manifest, source, path, e) < 0)
        return -1;
    return restore_cat(vault, manifest, source, path, write_piece, NULL, e);
}

static int cat(struct cli *cli, struct error *e)
{
    struct vault *vault;
    struct manifest *manifest;
    if (command_open(cli, cli->arguments.words[0], cli->arguments.words[1], &vault, &manifest, e) < 0)
        return -1;
    int result = cat_path(cli, vault, manifest, cli->arguments.words[1], e);
    manifest_free(manifest);
    vault_close(vault);
    return result < 0 ? -1 : EXIT_DONE;
}

static const struct argument_option options[] = {
    {.name = "sink", .value = "SINK", .help = "read from this sink"},
    {0},
};

const struct command cmd_ls = {
    .name = "ls",
    .usage = "ls JOB[@ID] [SOURCE[:PATH]] [--sink SINK]",
    .summary = "the entries of a snapshot",
    .help =
        "Lists the entries of all sources, of one, or at and below a path: kind and mode, owner, group, size,\n"
        "time, path. The first letter is the kind: - file, d directory, l symlink, h hard link, p fifo,\n"
        "c and b devices, s socket, = stream (a dump). Names that are not printable are escaped: \\xHH, \\n, \\\\.\n"
        "Only what is needed is read.",
    .example = "cofre ls nightly\ncofre ls nightly uploads:2026/11\ncofre --json ls nightly@latest~1 uploads",
    .statuses = "0   listed\n"
                "1   there is no such snapshot, source or path\n"
                "3   listed, but a newer snapshot cannot be read",
    .options = options,
    .words_min = 1,
    .words_max = 2,
    .flags = COMMAND_RESULT,
    .run = ls,
};

const struct command cmd_cat = {
    .name = "cat",
    .usage = "cat JOB[@ID] SOURCE:PATH [--sink SINK]",
    .summary = "one file or stream, to standard output",
    .help = "Writes the content of one file or stream. Every piece was checked before it is written; when a piece\n"
            "is damaged, the output ends before it and the exit status is 13.",
    .example =
        "cofre cat nightly uploads:2026/11/logo.png > logo.png\ncofre cat nightly gymdb:gymdb.dump | pg_restore -l",
    .statuses = "0   the whole content was written\n"
                "1   there is no such thing, or standard output could not be written to\n"
                "3   written, but a newer snapshot cannot be read\n"
                "13  the content is damaged; what was written is only its beginning",
    .options = options,
    .words_min = 2,
    .words_max = 2,
    .flags = COMMAND_RESULT | COMMAND_NO_JSON,
    .run = cat,
};
