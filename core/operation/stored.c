#include "operation/stored.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "format/vault.h"
#include "job/vaults.h"
#include "worker/engine.h"

#define DAY (INT64_C(86400) * 1000000000) /* ns */

/* One sink while it is looked at. */
struct looking {
    struct stored *stored;
    const struct stored_request *request;
    const struct config *config;
    struct stored_sink *sink;
    size_t first; /* of its rows, which are in the order of their names */
};

size_t stored_count(const struct stored_row *row)
{
    size_t count = 0;
    for (size_t i = 0; i < STORED_STATES; i++)
        count += row->states[i];
    return count;
}

void stored_free(struct stored *stored)
{
    for (size_t i = 0; i < stored->row_count; i++)
        free(stored->rows[i].why);
    for (size_t i = 0; i < stored->sink_count; i++)
        free(stored->sinks[i].why);
    free(stored->rows);
    free(stored->sinks);
    problem_free(&stored->problems);
    *stored = (struct stored){0};
}

/* ---- rows ---- */

static const struct config_job *find_job(const struct config *config, const char *host, const char *job)
{
    for (size_t i = 0; i < config->job_count && strcmp(host, config->host) == 0; i++)
        if (strcmp(config->jobs[i].name, job) == 0)
            return &config->jobs[i];
    return NULL;
}

static int64_t max_age_of(const struct looking *l, const char *host, const char *job)
{
    const struct config_job *own = find_job(l->config, host, job);
    if (l->request->max_age > 0)
        return l->request->max_age;
    return own && own->max_age > 0 ? own->max_age : l->sink->sink->max_age;
}

static int compare_names(const struct stored_row *row, const char *host, const char *job)
{
    int order = strcmp(row->host, host);
    return order ? order : strcmp(row->job, job);
}

/* Where the row of that host and job is among those of this sink, or belongs. */
static size_t find_row(const struct looking *l, const char *host, const char *job)
{
    size_t low = l->first, high = l->stored->row_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_names(&l->stored->rows[middle], host, job) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int insert_row(struct looking *l, size_t at, const char *host, const char *job, struct error *e)
{
    struct stored *s = l->stored;
    struct stored_row *rows = reallocarray(s->rows, s->row_count + 1, sizeof *rows);
    if (!rows)
        return error_memory(e);
    s->rows = rows;
    memmove(&rows[at + 1], &rows[at], (s->row_count++ - at) * sizeof *rows);
    rows[at] = (struct stored_row){.sink = l->sink->sink,
                                   .max_age = max_age_of(l, host, job),
                                   .good = INT64_MIN,
                                   .last = INT64_MIN,
                                   .verified = INT64_MIN,
                                   .proven = INT64_MIN};
    snprintf(rows[at].host, sizeof rows[at].host, "%s", host);
    snprintf(rows[at].job, sizeof rows[at].job, "%s", job);
    return 0;
}

/* The row of that host and job in this sink, made when there is none; NULL = there are as many as may be. */
static int row_of(struct looking *l, const char *host, const char *job, struct stored_row **row, struct error *e)
{
    struct stored *s = l->stored;
    size_t at = find_row(l, host, job);
    bool there = at < s->row_count && compare_names(&s->rows[at], host, job) == 0;
    *row = NULL;
    if (!there && s->row_count - l->first >= STORED_ROWS_MAX) {
        l->sink->more++;
        return 0;
    }
    if (!there && insert_row(l, at, host, job, e) < 0)
        return -1;
    *row = &s->rows[at];
    return 0;
}

/* ---- what stands in a sink ---- */

static enum stored_state state_of(const struct vault_standing *s)
{
    return s->unknown     ? STORED_UNKNOWN
           : !s->complete ? STORED_INCOMPLETE
           : s->partial   ? STORED_PARTIAL
           : s->suspect   ? STORED_SUSPECT
                          : STORED_COMPLETE;
}

static bool is_newer(int64_t began, int64_t known, const char *id, const char *known_id)
{
    return began > known || (began == known && strcmp(id, known_id) > 0);
}

static void take(struct stored_row *row, const struct vault_standing *s)
{
    enum stored_state state = state_of(s);
    row->states[state]++;
    if (is_newer(s->started, row->last, s->name.id, row->last_id)) {
        row->last = s->started;
        row->last_state = state;
        memcpy(row->last_id, s->name.id, sizeof row->last_id);
    }
    if (state == STORED_COMPLETE && is_newer(s->started, row->good, s->name.id, row->good_id)) {
        row->good = s->started;
        memcpy(row->good_id, s->name.id, sizeof row->good_id);
    }
    if (s->verified && s->started > row->verified)
        row->verified = s->started;
    if (s->proven && s->started > row->proven)
        row->proven = s->started;
}

static int note(char **why, const struct vault_name *name, const struct error *wrong, struct error *e)
{
    char text[ERROR_TEXT_MAX + 256];
    char said[ERROR_TEXT_MAX];
    if (*why)
        return 0;
    snprintf(text, sizeof text, "%s/%s: %s", name->job, name->id, error_text(wrong, said));
    return (*why = text_copy(text)) ? 0 : error_memory(e);
}

/* What an archive has of a host stands in what cannot be read. */
static int take_unreadable(struct looking *l, const struct vault_name *name, const struct error *why, struct error *e)
{
    if (name->host[0] == '\0') {
        l->sink->unreadable++;
        return note(&l->sink->why, name, why, e);
    }
    struct stored_row *row;
    if (row_of(l, name->host, name->job, &row, e) < 0)
        return -1;
    if (!row)
        return 0;
    row->unreadable++;
    row->damaged = row->damaged || why->class == ERROR_INTEGRITY;
    return note(&row->why, name, why, e);
}

static int stands(void *context, const struct vault_standing *s, const struct error *why, struct error *e)
{
    struct looking *l = context;
    if (s->removed)
        return 0;
    if (why->class == ERROR_NOT_FOUND)
        return 0;
    if (why->class != ERROR_NONE)
        return take_unreadable(l, &s->name, why, e);
    struct stored_row *row;
    if (row_of(l, s->name.host, s->name.job, &row, e) < 0)
        return -1;
    if (!row)
        return 0;
    if (manifest_is_future(s->name.id, l->stored->now) || s->started > l->stored->now + DAY)
        row->future++;
    else
        take(row, s);
    return 0;
}

/* ---- sinks ---- */

/* What is to be there, whether it is or not, and whatever else is. */
static int expect(struct looking *l, struct error *e)
{
    const struct config *config = l->config;
    struct stored_row *row;
    for (size_t i = 0; i < config->job_count; i++) {
        const struct config_job *job = &config->jobs[i];
        bool wanted = !l->request->job || strcmp(job->name, l->request->job) == 0;
        for (size_t k = 0; k < job->sink_count && wanted; k++)
            if (job->sinks[k] == l->sink->sink && row_of(l, config->host, job->name, &row, e) < 0)
                return -1;
    }
    return 0;
}

/* Half of what a sink holds would be taken for all of it. */
static int give_up(struct looking *l, const struct error *why, struct error *e)
{
    char text[ERROR_TEXT_MAX], said[ERROR_TEXT_MAX + sizeof why->hint];
    if (why->class == ERROR_MEMORY || why->class == ERROR_CANCELLED || cancel_requested()) {
        *e = *why;
        return -1;
    }
    while (l->stored->row_count > l->first)
        free(l->stored->rows[--l->stored->row_count].why);
    snprintf(said, sizeof said, "%s%s%s", error_text(why, text), why->hint[0] ? ": " : "", why->hint);
    free(l->sink->why);
    l->sink->unreadable = l->sink->more = 0;
    return (l->sink->why = text_copy(said)) ? 0 : error_memory(e);
}

static int look_at(struct vaults *vaults, size_t item, struct looking *l, struct error *e)
{
    const char *host = l->request->all_hosts ? NULL : l->config->host;
    struct vault *vault;
    struct error why;
    l->first = l->stored->row_count;
    if (expect(l, e) < 0)
        return -1;
    if (vaults_open(vaults, item, &vault, &why) < 0 ||
        vault_standings(vault, host, l->request->job, stands, l, &why) < 0)
        return give_up(l, &why, e);
    l->sink->reached = true;
    return 0;
}

static int compare_rows(const void *a, const void *b)
{
    const struct stored_row *x = a, *y = b;
    int order = strcmp(x->host, y->host);
    order = order ? order : strcmp(x->job, y->job);
    return order ? order : strcmp(x->sink->name, y->sink->name);
}

static int read_all(struct vaults *vaults, const struct stored_request *request, struct stored *stored, struct error *e)
{
    stored->sinks = calloc(vaults->count + 1, sizeof *stored->sinks);
    if (!stored->sinks)
        return error_memory(e);
    for (size_t i = 0; i < vaults->count; i++) {
        struct stored_sink *sink = &stored->sinks[stored->sink_count++];
        struct looking l = {.stored = stored, .request = request, .config = vaults->engine->config, .sink = sink};
        sink->sink = vaults->items[i].sink;
        if (look_at(vaults, i, &l, e) < 0)
            return -1;
    }
    if (stored->row_count > 0)
        qsort(stored->rows, stored->row_count, sizeof *stored->rows, compare_rows);
    return stored_judge(stored, e);
}

int stored_read(const struct engine *engine, const struct stored_request *request, struct stored *stored,
                struct error *e)
{
    struct vaults vaults;
    *stored = (struct stored){.now = clock_now()};
    int result = vaults_choose(engine, request->job, request->sink, &vaults, e);
    if (result == 0)
        result = read_all(&vaults, request, stored, e);
    vaults_close(&vaults, NULL);
    return result;
}
