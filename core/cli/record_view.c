#include "cli/record_view.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "operation/status.h"

/* ---- rows ---- */

void record_view_title(struct output *out)
{
    output_print(out, "%-25s  %-7s  %-20s  %-10s  %4s  %8s  %10s  %10s  %-23s  %s\n", "STARTED", "COMMAND", "JOB",
                 "STATUS", "EXIT", "TOOK", "SIZE", "ADDED", "SNAPSHOT", "RECORD");
}

static const char *size_of(const json_t *record, const char *member, char out[TEXT_SIZE_MAX])
{
    const json_t *value = json_object_get(record, member);
    out[0] = '\0';
    return json_is_integer(value) ? text_size((uint64_t)json_integer_value(value), out) : out;
}

static void print_error(struct output *out, const char *subject, const char *escaped)
{
    AUTO_FREE char *text = escaped ? status_text(escaped) : NULL;
    if (text)
        output_print(out, "    %s%s%s\n", subject ? subject : "", subject ? ": " : "",
                     output_escape(out, text, strlen(text)));
}

static void print_errors(struct output *out, const json_t *record)
{
    static const char *const lists[] = {"sources", "sinks", "sources"};
    static const char *const members[] = {"error", "error", "suspect"};
    if (records_text(record, "error")) {
        print_error(out, NULL, records_text(record, "error"));
        return;
    }
    for (size_t k = 0; k < 3; k++) {
        const json_t *rows = json_object_get(record, lists[k]);
        for (size_t i = 0; i < json_array_size(rows); i++)
            print_error(out, records_text(json_array_get(rows, i), "name"),
                        records_text(json_array_get(rows, i), members[k]));
    }
}

void record_view_row(struct output *out, const json_t *record, const char *status)
{
    char started[CLOCK_TEXT_MAX], where[80], exit[16] = "", took[TEXT_ELAPSED_MAX] = "", bytes[TEXT_SIZE_MAX];
    char added[TEXT_SIZE_MAX];
    const char *job = records_text(record, "job"), *sink = records_text(record, "sink");
    const char *snapshot = records_text(record, "snapshot"), *word = status ? status : records_text(record, "status");
    const json_t *elapsed = json_object_get(record, "elapsed"), *code = json_object_get(record, "exit");
    snprintf(where, sizeof where, "%s%s", job ? job : "on ", job ? "" : sink ? sink : "?");
    if (json_is_integer(code))
        snprintf(exit, sizeof exit, "%d", (int)json_integer_value(code));
    if (json_is_number(elapsed))
        text_elapsed((int64_t)(1000 * json_number_value(elapsed)), took);
    output_print(out, "%-25s  %-7s  %-20s  %-10s  %4s  %8s  %10s  %10s  %-23s  %s\n",
                 clock_format_shown(records_time(record, "started"), started), records_text(record, "command"), where,
                 word, exit, took, size_of(record, "bytes", bytes), size_of(record, "added", added),
                 snapshot ? snapshot : "", records_text(record, "id"));
    print_errors(out, record);
}

/* ---- all of one ---- */

static void print_value(struct output *out, const json_t *value)
{
    AUTO_FREE char *text = json_is_string(value) ? status_text(json_string_value(value))
                                                 : json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    output_print(out, "%s", text ? output_escape(out, text, strlen(text)) : "?");
}

static void print_members(struct output *out, const json_t *row)
{
    const char *name;
    json_t *value;
    output_print(out, "   ");
    json_object_foreach((json_t *)(uintptr_t)row, name, value)
    {
        if (json_is_null(value))
            continue;
        output_print(out, " %s=", output_escape(out, name, strlen(name)));
        print_value(out, value);
    }
    output_print(out, "\n");
}

static void print_record(struct output *out, const json_t *record)
{
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)record, name, value)
    {
        if (json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0))
            continue;
        output_print(out, "%-17s ", output_escape(out, name, strlen(name)));
        if (json_is_array(value) && json_is_object(json_array_get(value, 0))) {
            output_print(out, "\n");
            for (size_t i = 0; i < json_array_size(value); i++)
                print_members(out, json_array_get(value, i));
            continue;
        }
        print_value(out, value);
        output_print(out, "\n");
    }
}

struct search {
    const char *id; /* NULL = the newest */
    json_t *found;
    size_t count;
};

static bool compare(void *context, const char *line, size_t length)
{
    struct search *s = context;
    if (s->id && !memmem(line, length, s->id, strlen(s->id)))
        return true;
    json_t *record = records_parse(line, length);
    if (record && (!s->id || strncmp(records_text(record, "id"), s->id, strlen(s->id)) == 0)) {
        s->count++;
        if (!s->found)
            s->found = json_incref(record);
    }
    json_decref(record);
    return s->id || !s->found;
}

int record_view_show(struct cli *cli, const char *job, const char *id, struct error *e)
{
    char directory[PATH_MAX];
    struct search search = {.id = id};
    if (records_directory(cli->engine.config, job, NULL, directory, e) < 0 ||
        records_back(directory, compare, &search, e) < 0)
        return -1;
    int result = EXIT_DONE;
    if (!search.found)
        result = error_set(e, ERROR_NOT_FOUND, "job '%s' has no record%s%s on this machine", job, id ? " " : "",
                           id ? id : "");
    else if (search.count > 1)
        result = error_set(e, ERROR_USAGE, "%zu records of job '%s' begin with '%s'", search.count, job, id);
    if (result < 0) {
        json_decref(search.found);
        return error_hint(e, "cofre log %s shows which there are", job);
    }
    print_record(&cli->output, search.found);
    output_object(&cli->output, "record", search.found);
    return result;
}
