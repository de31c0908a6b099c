#include "job/gate_past.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/records.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "snapshot/manifest.h"

static size_t find(const struct gate *gate, const char *source)
{
    size_t i = 0;
    while (strcmp(gate->job->sources[i]->name, source) != 0)
        i++;
    return i;
}

const struct gate_past *gate_past_of(const struct gate *gate, const char *source)
{
    return &gate->pasts[find(gate, source)];
}

size_t gate_parts_before(const struct gate *gate, const char *source, const char *section, json_t *before[GATE_BEFORE])
{
    size_t i = find(gate, source), count = 0;
    for (size_t k = 0; k < gate->pasts[i].count; k++)
        if (strcmp(gate->parts[i][k].section, section) == 0)
            before[count++] = gate->parts[i][k].list;
    return count;
}

bool gate_knows(const struct gate *gate)
{
    for (size_t i = 0; i < gate->job->source_count; i++)
        if (gate->pasts[i].count > 0)
            return true;
    return false;
}

bool gate_asks(const struct gate *gate)
{
    for (size_t i = 0; i < gate->job->source_count; i++)
        if (!gate->pasts[i].full)
            return true;
    return false;
}

/* Does one of the source count? One that was suspect and is accepted is a new beginning. */
static bool counts(const struct gate_past *past, bool complete, bool suspect, bool accepted)
{
    return !past->full && (suspect ? accepted : complete);
}

/* parts: taken. */
static void take(struct gate *gate, size_t i, struct gate_size size, json_t *parts, const char *section, bool suspect)
{
    struct gate_past *past = &gate->pasts[i];
    struct gate_parts *known = &gate->parts[i][past->count];
    known->list = parts;
    snprintf(known->section, sizeof known->section, "%s", section ? section : "");
    past->sizes[past->count++] = size;
    past->full = suspect || past->count == GATE_BEFORE;
}

/* ---- manifests ---- */

static int learn_row(struct gate *gate, size_t i, const struct manifest_source *row, bool accepted, struct error *e)
{
    if (strcmp(row->name, gate->job->sources[i]->name) != 0 ||
        strcmp(row->plugin, gate->job->sources[i]->plugin) != 0 || row->status == MANIFEST_MISSING ||
        !counts(&gate->pasts[i], row->status == MANIFEST_COMPLETE, row->suspect != NULL, accepted))
        return 0;
    char section[GATE_SECTION_MAX];
    json_t *parts = gate_parts(row);
    if (!parts)
        return error_memory(e);
    take(gate, i, (struct gate_size){row->entries, row->bytes}, parts, gate_section(row, section),
         row->suspect != NULL);
    return 0;
}

int gate_learn(struct gate *gate, const struct manifest *before, bool accepted, struct error *e)
{
    for (size_t i = 0; i < gate->job->source_count; i++)
        for (size_t k = 0; k < before->source_count; k++)
            if (learn_row(gate, i, &before->sources[k], accepted, e) < 0)
                return -1;
    return 0;
}

/* ---- records ---- */

static void take_row(struct gate *g, const json_t *row, bool accepted)
{
    bool suspect = records_text(row, "suspect") != NULL;
    const struct gate_size size = {(uint64_t)records_number(row, "entries"), (uint64_t)records_number(row, "bytes")};
    for (size_t i = 0; i < g->job->source_count; i++)
        if (records_is(row, "name", g->job->sources[i]->name) &&
            records_is(row, "plugin", g->job->sources[i]->plugin) && !records_is(row, "status", "missing") &&
            counts(&g->pasts[i], records_is(row, "status", "complete"), suspect, accepted))
            take(g, i, size, json_incref(json_object_get(row, "parts")), records_text(row, "section"), suspect);
}

static void take_record(struct gate *g, const json_t *record)
{
    const char *id = records_text(record, "snapshot");
    const json_t *rows = json_object_get(record, "sources");
    if (!id)
        return;
    if (records_accepted(record) && json_object_set_new(g->accepted, id, json_true()) < 0)
        g->no_memory = true;
    bool accepted = json_object_get(g->accepted, id) != NULL;
    for (size_t i = 0; records_is(record, "command", "run") && i < json_array_size(rows); i++)
        take_row(g, json_array_get(rows, i), accepted);
}

static bool has(const char *line, size_t length, const char *text)
{
    return length > 0 && memmem(line, length, text, strlen(text)) != NULL;
}

/* Parsing takes a hundred times as long as a look, and a source that was never whole looks through two years. Quotes
 * inside of a text are escaped, so these can be found in no other place. */
static bool may_tell(const struct gate *g, const char *line, size_t length)
{
    char name[96];
    if (has(line, length, "\"command\":\"accept\""))
        return true;
    for (size_t i = 0; i < g->job->source_count; i++) {
        if (g->pasts[i].full)
            continue;
        snprintf(name, sizeof name, "\"name\":\"%.64s\",\"plugin\"", g->job->sources[i]->name);
        const char *row = memmem(line, length, name, strlen(name));
        const char *end = row ? memchr(row, '}', length - (size_t)(row - line)) : NULL;
        size_t n = end ? (size_t)(end - row) : 0;
        if (has(row, n, "\"status\":\"complete\"") || has(row, n, "\"suspect\":\""))
            return true;
    }
    return false;
}

static bool visit(void *context, const char *line, size_t length)
{
    struct gate *g = context;
    if (!may_tell(g, line, length))
        return true;
    /* One that is damaged tells nothing, and `cofre log --check` says so. */
    json_t *record = records_parse(line, length);
    if (record)
        take_record(g, record);
    json_decref(record);
    return gate_asks(g);
}

/* What cannot be read is no reason not to save. */
static int read_records(struct gate *g, const char *directory, struct error *e)
{
    if (records_back(directory, visit, g, e) < 0) {
        if (e->class == ERROR_MEMORY)
            return -1;
        error_context(e, "what the sources held before is not known from the records: ");
        log_error(LOG_WARNING, e);
    }
    return g->no_memory ? error_memory(e) : 0;
}

int gate_load(const char *directory, const struct config_job *job, struct gate **gate, struct error *e)
{
    struct gate *g = calloc(1, sizeof *g);
    if (!g)
        return error_memory(e);
    g->job = job;
    g->pasts = calloc(job->source_count, sizeof *g->pasts);
    g->parts = calloc(job->source_count, sizeof *g->parts);
    g->accepted = json_object();
    int result = g->pasts && g->parts && g->accepted ? read_records(g, directory, e) : error_memory(e);
    if (result < 0)
        gate_free(g);
    else
        *gate = g;
    return result;
}

void gate_free(struct gate *gate)
{
    if (!gate)
        return;
    for (size_t i = 0; gate->parts && i < gate->job->source_count; i++)
        for (size_t k = 0; k < GATE_BEFORE; k++)
            json_decref(gate->parts[i][k].list);
    json_decref(gate->accepted);
    free(gate->parts);
    free(gate->pasts);
    free(gate);
}
