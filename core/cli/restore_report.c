#include "cli/restore_report.h"

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/view.h"
#include "job/restore.h"

static const char *const outcomes[] = {[RESTORE_WHOLE] = "restored",
                                       [RESTORE_INCOMPLETE] = "incomplete",
                                       [RESTORE_MISSING] = "missing",
                                       [RESTORE_FAILED] = "failed",
                                       [RESTORE_UNTOUCHED] = "not restored"};

static const char *const states[] = {[SERVICES_UNTOUCHED] = "untouched",
                                     [SERVICES_STARTED] = "started",
                                     [SERVICES_KEPT] = "kept stopped",
                                     [SERVICES_LEFT] = "not started"};

void restore_report_begin(struct restore_report *report)
{
    static const struct table_column columns[] = {{"SOURCE", 0}, {"RESULT", 0}, {"ENTRIES", 1}, {"BYTES", 1}};
    table_init(&report->rows, columns, sizeof columns / sizeof columns[0]);
}

void restore_report_problem(void *context, const struct restore_problem *problem)
{
    struct output *out = &((struct restore_report *)context)->cli->output;
    const struct error *why = problem->why;
    char text[ERROR_TEXT_MAX];
    output_object(out, "problem",
                  json_pack("{s:o, s:o, s:s, s:o, s:o}", "source", output_text(out, problem->source), "path",
                            output_bytes(out, problem->path, problem->path_length), "class",
                            error_class_name(why->class), "message", output_text(out, error_text(why, text)), "hint",
                            output_text(out, why->hint[0] ? why->hint : NULL)));
}

static void add(struct restore_report *report, const char *const cells[4])
{
    struct error e;
    for (size_t i = 0; i < 4; i++)
        if (table_add(&report->rows, cells[i], &e) < 0)
            report->no_memory = true;
}

void restore_report_source(void *context, const struct restore_source *source)
{
    struct restore_report *report = context;
    struct output *out = &report->cli->output;
    char entries[VIEW_COUNT_MAX], size[TEXT_SIZE_MAX];
    add(report, (const char *const[]){source->name, outcomes[source->outcome], view_count(source->entries, entries),
                                      text_size(source->bytes, size)});
    output_object(out, "restored",
                  json_pack("{s:o, s:s, s:o, s:o, s:o, s:o}", "source", output_text(out, source->name), "status",
                            outcomes[source->outcome], "entries", output_number(source->entries), "bytes",
                            output_number(source->bytes), "without_metadata", output_number(source->partly), "problems",
                            output_number(source->problems)));
}

void restore_report_end(struct restore_report *report, const struct services *services, enum services_state state)
{
    struct output *out = &report->cli->output;
    if (services && report->rows.cell_count > 0)
        output_object(out, "services",
                      json_pack("{s:o, s:s}", "by", output_text(out, services_by(services)), "status", states[state]));
    if (services && report->rows.cell_count > 0)
        add(report, (const char *const[]){"services", states[state], "-", "-"});
    if (report->no_memory)
        out->no_memory = true;
    else if (report->table && !report->cli->quiet)
        table_print(&report->rows, out);
    output_flush(out);
    table_free(&report->rows);
}
