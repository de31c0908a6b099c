#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/status_view.h"
#include "config/config.h"
#include "operation/status.h"

static const struct {
    const char *word;
    int exit;
} states[] = {
    [PROBLEM_NONE] = {"OK", 0},          [PROBLEM_UNKNOWN] = {"UNKNOWN", 3}, [PROBLEM_WARNING] = {"WARNING", 1},
    [PROBLEM_DAMAGED] = {"CRITICAL", 2}, [PROBLEM_STALE] = {"CRITICAL", 2},
};

void status_view_nagios_begin(struct output *out, int level)
{
    output_print(out, "COFRE %s - ", states[level].word);
}

int status_view_nagios_exit(int level)
{
    return states[level].exit;
}

/* One line: what is behind a | would be performance data. */
void status_view_nagios_text(struct output *out, const char *text)
{
    AUTO_FREE char *line = text_copy(text);
    for (char *p = line; p && *p; p++)
        if (*p == '|')
            *p = '/';
    output_print(out, "%s", line ? output_escape(out, line, strlen(line)) : "out of memory");
}

static const struct status_sink *oldest(const struct status *status)
{
    const struct status_sink *found = NULL;
    for (size_t i = 0; i < status->job_count; i++)
        for (size_t k = 0; k < status->jobs[i].job->sink_count; k++)
            if (!found || status->jobs[i].sinks[k].good < found->good)
                found = &status->jobs[i].sinks[k];
    return found;
}

/* 'label'=value;warning;critical;minimum: the label has no "'" and no "=". */
static void print_performance(struct output *out, const struct status *status)
{
    output_print(out, " |");
    for (size_t i = 0; i < status->job_count; i++) {
        const struct status_job *job = &status->jobs[i];
        long long most = (long long)(job->job->max_age / 1000);
        for (size_t k = 0; k < job->job->sink_count; k++) {
            const struct status_sink *s = &job->sinks[k];
            if (s->good == INT64_MIN)
                continue;
            output_print(out, " '%s on %s age'=%llds;;", job->job->name, s->sink->name,
                         (long long)((status->now - s->good) / 1000000000));
            output_print(out, most > 0 ? "%lld;0" : ";0", most);
        }
        const json_t *elapsed = json_object_get(job->last, "elapsed");
        if (json_is_number(elapsed))
            output_print(out, " '%s duration'=%.3fs;;;0", job->job->name, json_number_value(elapsed));
        if (job->sizes > 0)
            output_print(out, " '%s size'=%lluB;;;0", job->job->name, (unsigned long long)job->bytes);
    }
    for (size_t i = 0; i < status->place_count; i++) {
        const struct status_place *p = &status->places[i];
        if (p->space == 0)
            continue;
        output_print(out, " '%s used'=%.1f%%;", p->sink->name, status_percent(p));
        output_print(out, p->sink->warn_space > 0 ? "%lld;;0;100" : ";;0;100", (long long)p->sink->warn_space);
    }
    output_print(out, "\n");
}

void status_view_nagios_problems(struct output *out, const struct problem_list *problems)
{
    char subject[STATUS_VIEW_SUBJECT];
    for (size_t i = 0; i < problems->count; i++) {
        output_print(out, "%s%s: ", i > 0 ? "; " : "", status_view_subject(&problems->items[i], subject));
        status_view_nagios_text(out, problems->items[i].text);
    }
}

int status_view_nagios(struct output *out, const struct status *status)
{
    char age[TEXT_AGE_MAX];
    const struct status_sink *old = oldest(status);
    status_view_nagios_begin(out, (int)status->problems.level);
    status_view_nagios_problems(out, &status->problems);
    if (status->problems.count == 0 && old)
        output_print(out, "%zu job%s, and no newest snapshot is older than %s", status->job_count,
                     status->job_count == 1 ? "" : "s", text_age((status->now - old->good) / 1000000, age));
    print_performance(out, status);
    return states[status->problems.level].exit;
}

int status_view_nagios_broken(struct output *out, const struct error *why)
{
    char text[ERROR_TEXT_MAX];
    output_print(out, "COFRE CRITICAL - nothing can run: ");
    status_view_nagios_text(out, error_text(why, text));
    output_print(out, "\n");
    return states[PROBLEM_STALE].exit;
}
