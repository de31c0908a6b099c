#include <inttypes.h>
#include <string.h>

#include "attempt/records.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "cli/status_view.h"
#include "config/config.h"
#include "operation/status.h"

#define SECONDS(ns) ((double)((ns) / 1000000) / 1000)

/* What a metric has for a job, or for one of its sinks (NULL for the others). False: nothing is known. */
typedef bool value_of(const struct status_job *job, const struct status_sink *sink, double *value);

static void print_head(struct bytes *out, const char *name, const char *help)
{
    bytes_print(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static bool time_value(int64_t ns, double *value)
{
    *value = SECONDS(ns);
    return ns != INT64_MIN;
}

static bool good(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)job;
    return time_value(s->good, value);
}

static bool verified(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)job;
    return time_value(s->verified, value);
}

static bool added(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)job;
    *value = (double)s->added;
    return s->good != INT64_MIN;
}

static bool stale(const struct status_job *job, const struct status_sink *s, double *value)
{
    *value = s->stale;
    return job->job->max_age > 0;
}

static bool max_age(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)s;
    *value = (double)job->job->max_age / 1000;
    return job->job->max_age > 0;
}

static bool bytes(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)s;
    *value = (double)job->bytes;
    return job->sizes > 0;
}

static bool entries(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)s;
    *value = (double)job->entries;
    return job->sizes > 0;
}

static bool ended(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)s;
    return time_value(records_time(job->tried, "ended"), value);
}

static bool number(const json_t *record, const char *member, double *value)
{
    const json_t *found = json_object_get(record, member);
    *value = json_number_value(found);
    return json_is_number(found);
}

static bool duration(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)s;
    return number(job->tried, "elapsed", value);
}

static bool usual(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)s;
    *value = (double)job->usual / 1000;
    return job->usual > 0;
}

static bool exit_status(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)s;
    return number(job->tried, "exit", value);
}

static bool complete(const struct status_job *job, const struct status_sink *s, double *value)
{
    const char *word = records_text(job->tried, "status");
    (void)s;
    *value = word && (strcmp(word, "complete") == 0 || job->accepted);
    return job->tried != NULL;
}

static bool running(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)s;
    *value = job->running != INT64_MIN;
    return true;
}

static bool next(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)s;
    return time_value(job->next, value);
}

static bool runs(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)s;
    *value = (double)job->runs;
    return true;
}

static bool runs_complete(const struct status_job *job, const struct status_sink *s, double *value)
{
    (void)s;
    *value = (double)job->runs_complete;
    return true;
}

static const struct metric {
    const char *name, *help;
    bool of_sink;
    value_of *value;
} metrics[] = {
    {"cofre_snapshot_timestamp_seconds", "When the newest complete snapshot in the sink was begun.", true, good},
    {"cofre_snapshot_stale", "1 when that is older than max_age, or there is none.", true, stale},
    {"cofre_snapshot_added_bytes", "What that snapshot has added to the sink.", true, added},
    {"cofre_verified_timestamp_seconds", "When all of the job in the sink was last read back and found whole.", true,
     verified},
    {"cofre_snapshot_max_age_seconds", "max_age of the job.", false, max_age},
    {"cofre_snapshot_size_bytes", "Size of the newest complete snapshot of the job.", false, bytes},
    {"cofre_snapshot_entries", "Entries in that snapshot.", false, entries},
    {"cofre_run_timestamp_seconds", "When the last run ended, whatever came of it.", false, ended},
    {"cofre_run_duration_seconds", "How long it took.", false, duration},
    {"cofre_run_usual_duration_seconds", "How long it took before: the median of ten complete runs.", false, usual},
    {"cofre_run_exit_status", "Its exit status.", false, exit_status},
    {"cofre_run_complete", "1 when everything was stored in every sink.", false, complete},
    {"cofre_run_active", "1 while a run is at work.", false, running},
    {"cofre_run_next_timestamp_seconds", "When the schedule has the next run.", false, next},
    {"cofre_runs_recent", "Runs that ended today or on one of the six days before.", false, runs},
    {"cofre_runs_recent_complete", "Those of them that were complete.", false, runs_complete},
};

/* ---- of sinks, whichever jobs use them ---- */

static bool space(const struct status_place *p, double *value)
{
    *value = (double)p->space;
    return p->space > 0;
}

static bool available(const struct status_place *p, double *value)
{
    *value = (double)p->available;
    return p->space > 0;
}

static bool full(const struct status_place *p, double *value)
{
    return time_value(p->full, value);
}

static bool reached(const struct status_place *p, double *value)
{
    return time_value(p->reached, value);
}

static const struct {
    const char *name, *help;
    bool (*value)(const struct status_place *place, double *value);
} place_metrics[] = {
    {"cofre_sink_size_bytes", "Size of the place of the sink, at the last run.", space},
    {"cofre_sink_available_bytes", "What of it was left then.", available},
    {"cofre_sink_full_timestamp_seconds", "When it will be full, going by the last weeks.", full},
    {"cofre_sink_reached_timestamp_seconds", "When something was last done there, by whichever command.", reached},
};

static void print_places(struct bytes *out, const struct status *status)
{
    double value;
    for (size_t i = 0; i < sizeof place_metrics / sizeof place_metrics[0]; i++) {
        print_head(out, place_metrics[i].name, place_metrics[i].help);
        for (size_t k = 0; k < status->place_count; k++)
            if (place_metrics[i].value(&status->places[k], &value))
                bytes_print(out, "%s{sink=\"%s\"} %.15g\n", place_metrics[i].name, status->places[k].sink->name, value);
    }
}

/* ---- all of them ---- */

/* Names of jobs and sinks have no character that would have to be escaped. */
static void print_sample(struct bytes *out, const struct metric *m, const struct status_job *job,
                         const struct status_sink *sink)
{
    double value;
    if (!m->value(job, sink, &value))
        return;
    bytes_print(out, "%s{backup=\"%s\"", m->name, job->job->name);
    if (sink)
        bytes_print(out, ",sink=\"%s\"", sink->sink->name);
    bytes_print(out, "} %.15g\n", value);
}

static void print_metric(struct bytes *out, const struct metric *m, const struct status *status)
{
    print_head(out, m->name, m->help);
    for (size_t i = 0; i < status->job_count; i++) {
        const struct status_job *job = &status->jobs[i];
        for (size_t k = 0; m->of_sink && k < job->job->sink_count; k++)
            print_sample(out, m, job, &job->sinks[k]);
        if (!m->of_sink)
            print_sample(out, m, job, NULL);
    }
}

void status_view_prometheus(struct bytes *text, const struct status *status)
{
    bytes_print(text,
                "# HELP cofre_build_info The version of cofre.\n# TYPE cofre_build_info gauge\n"
                "cofre_build_info{version=\"%s\"} 1\n",
                COFRE_VERSION);
    bytes_print(text,
                "# HELP cofre_config_valid 1 when the configuration can be used; else nothing can run.\n"
                "# TYPE cofre_config_valid gauge\ncofre_config_valid %d\n",
                status != NULL);
    bytes_print(text,
                "# HELP cofre_status_timestamp_seconds When this was written.\n"
                "# TYPE cofre_status_timestamp_seconds gauge\ncofre_status_timestamp_seconds %.15g\n",
                SECONDS(status ? status->now : clock_now()));
    if (status && status->looked != INT64_MIN)
        bytes_print(text,
                    "# HELP cofre_due_look_timestamp_seconds When cofre due or cofre daemon looked last.\n"
                    "# TYPE cofre_due_look_timestamp_seconds gauge\ncofre_due_look_timestamp_seconds %.15g\n",
                    SECONDS(status->looked));
    for (size_t i = 0; status && i < sizeof metrics / sizeof metrics[0]; i++)
        print_metric(text, &metrics[i], status);
    if (!status)
        return;
    print_places(text, status);
    print_head(text, "cofre_clock_behind_seconds",
               "By how much the clock is behind what the records say; 0 when it is not.");
    bytes_print(text, "cofre_clock_behind_seconds %.15g\n",
                status->seen > status->now ? SECONDS(status->seen - status->now) : 0);
}
