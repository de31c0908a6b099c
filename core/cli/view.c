#include "cli/view.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/output.h"
#include "cofre/plugin.h"
#include "config/config.h"
#include "job/snapshot.h"
#include "snapshot/manifest.h"

const char *view_status(int status)
{
    static const char *const names[] = {
        [MANIFEST_COMPLETE] = "complete", [MANIFEST_INCOMPLETE] = "incomplete", [MANIFEST_MISSING] = "missing"};
    return (size_t)status < sizeof names / sizeof names[0] ? names[status] : "unknown";
}

static void add_pair(struct output *out, json_t *object, const char *key, const char *value)
{
    char shown[1024];
    log_escape_bytes(key, strlen(key), shown, sizeof shown);
    if (json_object_set_new(object, shown, output_text(out, value)) < 0)
        out->no_memory = true;
}

const char *view_state(const struct manifest *m, const struct snapshot_said *said)
{
    if (m->status != MANIFEST_COMPLETE)
        return view_status((int)m->status);
    if (m->partial)
        return "partial";
    return manifest_is_suspect(m) && !(said && said->accepted) ? "suspect" : "complete";
}

static json_t *options(struct output *out, const struct manifest_source *source)
{
    json_t *object = json_object();
    for (size_t i = 0; i < source->option_count && object; i++)
        add_pair(out, object, source->options[i].key, source->options[i].value);
    return object;
}

static json_t *problems(struct output *out, const struct manifest_source *source)
{
    json_t *list = json_array();
    for (size_t i = 0; i < source->problems_listed && list; i++) {
        const struct manifest_problem *p = &source->problems[i];
        if (json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "path", output_text(out, p->path), "error",
                                                  output_text(out, p->error), "hint", output_text(out, p->hint))) < 0)
            out->no_memory = true;
    }
    return list;
}

static json_t *facts(struct output *out, const struct manifest_source *source)
{
    json_t *object = json_object();
    for (size_t i = 0; i < source->fact_count && object; i++)
        add_pair(out, object, source->facts[i].key, source->facts[i].value);
    return object;
}

/* What those facts are for that do more than inform. */
static json_t *fact_kinds(struct output *out, const struct manifest_source *source)
{
    json_t *object = json_object();
    for (size_t i = 0; i < source->fact_count && object; i++) {
        const struct manifest_fact *fact = &source->facts[i];
        char shown[1024];
        json_t *kinds = json_pack("[s*, s*, s*]", fact->identity ? "identity" : NULL,
                                  fact->must_match ? "must_match" : NULL, fact->may_grow ? "may_grow" : NULL);
        log_escape_bytes(fact->key, strlen(fact->key), shown, sizeof shown);
        if (json_array_size(kinds) == 0)
            json_decref(kinds);
        else if (json_object_set_new(object, shown, kinds) < 0)
            out->no_memory = true;
    }
    return object;
}

static json_t *left_out(struct output *out, const struct manifest_source *source)
{
    json_t *list = json_array();
    for (size_t i = 0; i < source->left_out_listed && list; i++) {
        const struct manifest_left_out *item = &source->left_out[i];
        if (json_array_append_new(list, json_pack("{s:o, s:o}", "name", output_text(out, item->name), "why",
                                                  output_text(out, item->why))) < 0)
            out->no_memory = true;
    }
    return list;
}

static json_t *parts(struct output *out, const struct manifest_source *source)
{
    json_t *list = json_array();
    for (size_t i = 0; i < source->part_count && list; i++) {
        const struct manifest_part *part = &source->parts[i];
        if (json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "name", output_text(out, part->name), "entries",
                                                  output_number(part->entries), "bytes", output_number(part->bytes))) <
            0)
            out->no_memory = true;
    }
    return list;
}

static json_t *view_source(struct output *out, const struct manifest_source *s)
{
    return json_pack("{s:o, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
                     output_text(out, s->name), "plugin", output_text(out, s->plugin), "plugin_version",
                     output_text(out, s->plugin_version), "status", view_status((int)s->status), "error",
                     output_text(out, s->error), "suspect", output_text(out, s->suspect), "entries",
                     output_number(s->entries), "bytes", output_number(s->bytes), "parts", parts(out, s), "vanished",
                     output_number(s->vanished), "problem_count", output_number(s->problem_count), "problems",
                     problems(out, s), "left_out_count", output_number(s->left_out_count), "left_out", left_out(out, s),
                     "facts", facts(out, s), "fact_kinds", fact_kinds(out, s), "options", options(out, s));
}

int64_t view_proof(const struct manifest *manifest, const struct snapshot_proof *proof)
{
    return memcmp(manifest->hash, proof->hash, sizeof proof->hash) == 0 ? proof->at : 0;
}

static json_t *proof_time(const struct manifest *m, const struct snapshot_proof *proof)
{
    int64_t at = view_proof(m, proof);
    return at != 0 ? output_time(at) : json_null();
}

static json_t *view_pin(struct output *out, const struct snapshot_said *said)
{
    if (!said || !said->pinned)
        return json_null();
    return json_pack("{s:o, s:o}", "until", said->until == VAULT_PIN_FOREVER ? json_null() : output_time(said->until),
                     "note", output_text(out, said->note));
}

json_t *view_manifest(struct output *out, const struct manifest *m, json_t *sinks, const struct snapshot_said *said)
{
    static const struct snapshot_said nothing;
    const struct snapshot_said *known = said ? said : &nothing;
    json_t *sources = json_array();
    for (size_t i = 0; i < m->source_count && sources; i++)
        if (json_array_append_new(sources, view_source(out, &m->sources[i])) < 0)
            out->no_memory = true;
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:s, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id",
        m->id, "job", output_text(out, m->job), "host", output_text(out, m->host), "time", output_time(m->started),
        "ended", output_time(m->ended), "status", view_state(m, said), "partial", m->partial, "suspect",
        manifest_is_suspect(m), "accepted", known->accepted, "sequence", output_number(m->sequence), "previous",
        output_text(out, m->previous_id[0] ? m->previous_id : NULL), "version", output_text(out, m->version), "sources",
        sources, "sinks", sinks, "bytes", output_number(view_bytes(m)), "added", output_number(m->added), "label",
        output_text(out, m->label), "pinned", view_pin(out, said), "verified", proof_time(m, &known->verified),
        "proven", proof_time(m, &known->proven));
}

json_t *view_snapshot(struct output *out, const struct snapshot *snapshot)
{
    json_t *sinks = json_array();
    for (size_t i = 0; i < snapshot->sink_count && sinks; i++)
        if (json_array_append_new(sinks, output_text(out, snapshot->sinks[i]->name)) < 0)
            out->no_memory = true;
    if (snapshot->manifest)
        return view_manifest(out, snapshot->manifest, sinks, snapshot->said);
    return json_pack("{s:s, s:o, s:o, s:n, s:s, s:o, s:o, s:o}", "id", snapshot->id, "job",
                     output_text(out, snapshot->job), "host", output_text(out, snapshot->host), "time", "status",
                     view_unread(snapshot), "error",
                     output_text(out, snapshot->damaged == ERROR_NONE ? NULL : snapshot->why), "sinks", sinks, "pinned",
                     view_pin(out, snapshot->said));
}

const char *view_unread(const struct snapshot *snapshot)
{
    return snapshot->sealed ? "sealed" : "unreadable";
}

const char *view_kind(uint32_t kind)
{
    static const char *const names[] = {
        [COFRE_FILE] = "file",         [COFRE_DIRECTORY] = "directory", [COFRE_SYMLINK] = "symlink",
        [COFRE_HARDLINK] = "hardlink", [COFRE_FIFO] = "fifo",           [COFRE_CHARACTER] = "character",
        [COFRE_BLOCK] = "block",       [COFRE_SOCKET] = "socket",       [COFRE_STREAM] = "stream"};
    return kind < sizeof names / sizeof names[0] && names[kind] ? names[kind] : "file";
}

uint64_t view_bytes(const struct manifest *manifest)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < manifest->source_count; i++)
        sum += manifest->sources[i].bytes;
    return sum;
}

uint64_t view_entries(const struct manifest *manifest)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < manifest->source_count; i++)
        sum += manifest->sources[i].entries;
    return sum;
}

const char *view_count(uint64_t number, char *out)
{
    char digits[VIEW_COUNT_MAX];
    int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)number);
    char *to = out;
    for (int i = 0; i < length; i++) {
        if (i > 0 && (length - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

void view_join(char *out, size_t size, const char *text)
{
    size_t used = strlen(out);
    snprintf(out + used, size - used, "%s%s", used ? ", " : "", text);
}
