#include "job/restore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cofre/plugin.h"
#include "format/audience.h"
#include "format/vault.h"
#include "job/parts.h"
#include "job/past.h"
#include "job/play.h"
#include "job/services.h"
#include "job/snapshot.h"
#include "job/target.h"
#include "snapshot/manifest.h"
#include "snapshot/path.h"
#include "snapshot/record.h"
#include "worker/engine.h"
#include "worker/retry.h"
#include "worker/sink.h"
#include "worker/source.h"

#define REPORT_INTERVAL 100 /* ms */
#define PROBLEMS_LOGGED 100

/* ---- restore ---- */

/* One source on its way into its target. */
struct putting {
    const struct engine *engine;
    const struct manifest_source *source;
    const struct restore_request *request;
    const char *snapshot; /* its id */
    const char **paths;   /* in path order, none inside another, ended by NULL; none = everything */
    struct target target;
    struct play_tally tally;
    uint64_t lost;     /* entries that are not in the snapshot as they should be, whatever the target does */
    uint64_t skipped;  /* those of them that cannot be put back at all */
    bool skipping;     /* the entry at hand is one */
    struct bytes leaf; /* path of the last entry that is no directory: nothing can be below it */
    uint64_t restored;
    uint64_t damaged; /* entries whose content is no longer whole in the repository */
    uint64_t total;
    int64_t reported;
    uint64_t named;
    char stage[96];
};

static void log_problem(const struct putting *p, const char *path, size_t n, const struct error *why)
{
    char shown[1024], text[ERROR_TEXT_MAX];
    log_line(LOG_WARNING, "source '%s': '%s': %s", p->source->name, log_escape(path, n, shown, sizeof shown),
             error_text(why, text));
    log_hint(LOG_WARNING, why->hint);
}

static void name_problem(struct putting *p, const char *path, size_t n, const struct error *why)
{
    const struct restore_request *request = p->request;
    if (p->named < PROBLEMS_LOGGED)
        log_problem(p, path, n, why);
    if (p->named == PROBLEMS_LOGGED)
        log_line(LOG_WARNING, "source '%s': further problems are only counted%s", p->source->name,
                 request->problem ? " here" : "");
    if (p->named++ < RESTORE_PROBLEMS && request->problem)
        request->problem(request->context, &(struct restore_problem){
                                               .source = p->source->name, .path = path, .path_length = n, .why = why});
}

/* The snapshot has less of the entry than there was. */
static void lose(struct putting *p, const struct snapshot_entry *entry, bool skip, const struct error *why)
{
    p->lost++;
    p->skipping = skip;
    p->skipped += skip;
    name_problem(p, entry->path, entry->path_length, why);
}

/* What plugins could announce in earlier versions, and what a foreign snapshot may hold: an entry below one that is no
 * directory. It gives way, since nothing but itself is lost with it. */
static bool is_below_leaf(struct putting *p, const struct snapshot_entry *entry, struct error *why)
{
    char shown[512];
    const char *leaf = (const char *)p->leaf.data;
    if (p->leaf.length > 0 && path_is_below(entry->path, entry->path_length, leaf, p->leaf.length)) {
        error_set(why, ERROR_INTEGRITY, "in the snapshot it lies below '%s', which is no directory",
                  log_escape(leaf, p->leaf.length, shown, sizeof shown));
        return true;
    }
    bytes_reset(&p->leaf);
    if (entry->kind != COFRE_DIRECTORY)
        bytes_put(&p->leaf, entry->path, entry->path_length);
    return false;
}

static int put_entry(void *context, const struct record *record, struct error *e)
{
    struct putting *p = context;
    const struct snapshot_entry *entry = &record->entry;
    struct error why;
    play_tally_entry(&p->tally, record);
    p->skipping = false;
    if (is_below_leaf(p, entry, &why)) {
        lose(p, entry, true, &why);
    } else if (record->status == RECORD_UNREADABLE) {
        error_set(&why, ERROR_NOT_FOUND, "it was not readable when the snapshot was made, so it is not there");
        lose(p, entry, entry->kind == COFRE_FILE || entry->kind == COFRE_STREAM, &why);
    } else if (record->status == RECORD_CHANGED) {
        error_set(&why, ERROR_CHANGED, "it was not whole when the snapshot was made: %s",
                  record->error ? record->error : "the reason is not known");
        log_problem(p, entry->path, entry->path_length, &why);
    }
    if (bytes_check(&p->leaf, "a path", e) < 0)
        return -1;
    return p->skipping ? 0 : source_give_entry(p->target.worker, entry, e);
}

static void report(struct putting *p)
{
    int64_t now = clock_monotonic();
    if (now - p->reported < REPORT_INTERVAL)
        return;
    p->reported = now;
    engine_report(p->engine, p->stage, p->tally.entries, p->tally.bytes, p->total);
}

static int put_data(void *context, const void *bytes, size_t n, struct error *e)
{
    struct putting *p = context;
    play_tally_bytes(&p->tally, n);
    report(p);
    return p->skipping ? 0 : source_give_data(p->target.worker, bytes, n, e);
}

static int put_hole(void *context, uint64_t n, struct error *e)
{
    struct putting *p = context;
    play_tally_bytes(&p->tally, n);
    return p->skipping ? 0 : source_give_hole(p->target.worker, n, e);
}

/* The snapshot has this entry no longer whole. Everything else still comes back. */
static int put_damaged(void *context, const struct error *why, struct error *e)
{
    struct putting *p = context;
    p->damaged++;
    p->tally.bytes += p->tally.size - p->tally.given;
    return p->skipping ? 0 : source_give_damaged(p->target.worker, why, e);
}

static int put_end(void *context, struct error *e)
{
    struct putting *p = context;
    if (play_tally_end(&p->tally, e) < 0)
        return -1;
    return p->skipping ? 0 : source_give_end(p->target.worker, e);
}

static void note_problem(void *context, const struct source_problem *problem)
{
    name_problem(context, problem->path, problem->path_length, &problem->result);
}

/* The counts of what was given must be those that the manifest was signed with. */
static int check_counts(const struct putting *p, struct error *e)
{
    if (p->paths[0])
        return 0;
    if (p->tally.entries == p->source->entries && p->tally.bytes == p->source->bytes)
        return 0;
    return error_set(e, ERROR_INTEGRITY, "%llu entries with %llu bytes were found, the snapshot says %llu with %llu",
                     (unsigned long long)p->tally.entries, (unsigned long long)p->tally.bytes,
                     (unsigned long long)p->source->entries, (unsigned long long)p->source->bytes);
}

static int say_damaged(const struct putting *p, const struct vault *vault, struct error *e)
{
    error_set(e, ERROR_INTEGRITY, "%llu entries are damaged in sink '%s' and were not restored; all others were",
              (unsigned long long)p->damaged, sink_name(vault->sink));
    return error_hint(e, "another sink may have them whole: --sink; what is damaged: cofre verify --sink %s",
                      sink_name(vault->sink));
}

/* The plugin is told what the snapshot says of its source, so that it can compare before it replaces anything. */
static int begin(void *context, struct error *e)
{
    const struct putting *p = context;
    struct past *past;
    if (past_tell(p->target.worker, p->snapshot, p->source, &past, e) < 0)
        return -1;
    int begun = source_restore_begin(p->target.worker, e);
    past_free(past);
    if (begun == 0)
        return 0;
    target_take_back(&p->target, e);
    return -1;
}

static int play_all(struct putting *p, struct vault *vault, const struct manifest *manifest, struct error *e)
{
    struct audience audience = {
        .entry = put_entry, .data = put_data, .hole = put_hole, .end = put_end, .damaged = put_damaged, .context = p};
    int played = 0;
    if (!p->paths[0])
        played = play_entries(vault, manifest, p->source, NULL, &audience, e);
    for (const char **path = p->paths; *path && played == 0; path++)
        played = play_entries(vault, manifest, p->source, *path, &audience, e);
    return played == 0 ? check_counts(p, e) : played;
}

static int put_all(struct putting *p, struct vault *vault, const struct manifest *manifest,
                   struct restore_result *result, struct error *e)
{
    struct source_restored restored;
    if (retry_run(p->target.patience, begin, p, e) < 0)
        return -1;
    if (play_all(p, vault, manifest, e) < 0) {
        source_restore_abort(p->target.worker);
        return -1;
    }
    if (source_restore_finish(p->target.worker, &restored, note_problem, p, e) < 0)
        return -1;
    uint64_t told = restored.whole + restored.partly + restored.failed;
    if (told + p->skipped != p->tally.entries)
        return error_set(e, ERROR_PLUGIN, "%llu entries were given to its plugin, and it accounts for %llu",
                         (unsigned long long)(p->tally.entries - p->skipped), (unsigned long long)told);
    p->restored = restored.whole + restored.partly;
    result->entries += restored.whole + restored.partly;
    result->partly += restored.partly;
    result->bytes += p->tally.bytes;
    result->problems += restored.failed + p->lost;
    return p->damaged > 0 ? say_damaged(p, vault, e) : 0;
}

static void close_target(const struct engine *engine, struct target *target, struct restore_result *result)
{
    struct error e;
    if (target_close(engine, target, &e) == 0)
        return;
    log_error(LOG_ERROR, &e);
    result->held++;
}

static void say_restored(const struct putting *p)
{
    char size[TEXT_SIZE_MAX];
    text_size(p->tally.bytes, size);
    if (p->restored == p->tally.entries)
        log_line(LOG_NOTICE, "source '%s': %llu entries, %s restored", p->source->name, (unsigned long long)p->restored,
                 size);
    else
        log_line(LOG_NOTICE, "source '%s': %llu of %llu entries restored; %s were read", p->source->name,
                 (unsigned long long)p->restored, (unsigned long long)p->tally.entries, size);
}

static int restore_source(const struct engine *engine, struct vault *vault, const struct manifest *manifest,
                          const struct manifest_source *source, const struct restore_request *request,
                          struct restore_result *result, struct error *e)
{
    struct putting *p = calloc(1, sizeof *p);
    if (!p)
        return error_memory(e);
    *p = (struct putting){.engine = engine,
                          .source = source,
                          .request = request,
                          .snapshot = manifest->id,
                          .leaf = {.maximum = PATH_LONGEST}};
    p->paths = parts_paths(request, source);
    if (!p->paths) {
        free(p);
        return error_memory(e);
    }
    p->total = p->paths[0] ? 0 : source->bytes;
    snprintf(p->stage, sizeof p->stage, "restoring %s", source->name);
    int done = target_open(engine, manifest, source, request, &p->target, e);
    if (done == 0 && (done = put_all(p, vault, manifest, result, e)) == 0)
        done = target_finish(&p->target, e);
    close_target(engine, &p->target, result);
    if (done == 0)
        say_restored(p);
    else
        error_subject(e, "source", source->name);
    bytes_free(&p->leaf);
    free(p->paths);
    free(p);
    return done;
}

static void lose_source(const struct engine *engine, const struct manifest *manifest,
                        const struct restore_request *request, const struct manifest_source *source,
                        struct restore_result *result)
{
    struct error why;
    char id[MANIFEST_ID_SIZE];
    error_set(&why, ERROR_NOT_FOUND, "nothing of source '%s' is in this snapshot: %s", source->name,
              source->error ? source->error : "the reason is not known");
    if (snapshot_newest_with(engine, manifest->job, manifest->host, source->name, NULL, id))
        error_hint(&why, "the newest that has it is %s@%s", manifest->job, id);
    log_error(LOG_WARNING, &why);
    result->problems++;
    if (request->problem)
        request->problem(request->context, &(struct restore_problem){.source = source->name, .why = &why});
}

/* The first entry is enough to know. */
static int see_entry(void *context, const struct record *record, struct error *e)
{
    (void)record;
    *(bool *)context = true;
    return error_set(e, ERROR_CANCELLED, "one entry is enough");
}

static int check_part(struct vault *vault, const struct manifest *manifest, const struct restore_part *part,
                      struct error *e)
{
    bool there = false;
    if (play_check_saved(part->source, e) < 0)
        return -1;
    if (!part->path || part->path[0] == '\0')
        return 0;
    if (vault_entries(vault, manifest, part->source, part->path, see_entry, &there, e) < 0 && !there)
        return -1;
    return there ? 0 : play_absent(part->source, part->path, e);
}

/* ---- all of them ---- */

static bool is_before(const struct config_job *job, const char *source, size_t place)
{
    return strcmp(job->restore_order[place]->name, source) == 0;
}

/* The sources as they are restored: in place those that the job names first, then the others as they were saved. */
static const struct manifest_source **in_order(const struct manifest *manifest, const struct restore_request *request)
{
    const struct config_job *job = request->in_place ? request->job : NULL;
    size_t count = 0, first = job ? job->restore_order_count : 0;
    const struct manifest_source **sources = calloc(manifest->source_count + 1, sizeof *sources);
    bool *taken = calloc(manifest->source_count + 1, sizeof *taken);
    for (size_t place = 0; sources && taken && place <= first; place++)
        for (size_t i = 0; i < manifest->source_count; i++) {
            if (taken[i] || (place < first && !is_before(job, manifest->sources[i].name, place)))
                continue;
            taken[i] = true;
            sources[count++] = &manifest->sources[i];
        }
    if (!taken) {
        free(sources);
        sources = NULL;
    }
    free(taken);
    return sources;
}

static enum restore_outcome outcome_of(int done, const struct restore_source *told)
{
    return done < 0 ? RESTORE_FAILED : told->problems || told->partly ? RESTORE_INCOMPLETE : RESTORE_WHOLE;
}

static int restore_one(const struct engine *engine, struct vault *vault, const struct manifest *manifest,
                       const struct manifest_source *source, const struct restore_request *request,
                       struct restore_result *result, struct restore_source *told, struct error *e)
{
    const struct restore_result before = *result;
    if (source->status == MANIFEST_MISSING) {
        lose_source(engine, manifest, request, source, result);
        told->outcome = RESTORE_MISSING;
        told->problems = 1;
        return 0;
    }
    int done = restore_source(engine, vault, manifest, source, request, result, e);
    told->entries = result->entries - before.entries;
    told->partly = result->partly - before.partly;
    told->bytes = result->bytes - before.bytes;
    told->problems = result->problems - before.problems;
    told->outcome = outcome_of(done, told);
    return done;
}

/* The first that fails ends it. */
static int restore_all(const struct engine *engine, struct vault *vault, const struct manifest *manifest,
                       const struct restore_request *request, struct restore_result *result, struct error *e)
{
    AUTO_FREE const struct manifest_source **sources = in_order(manifest, request);
    int done = 0;
    if (!sources)
        return error_memory(e);
    for (size_t i = 0; i < manifest->source_count; i++) {
        struct restore_source told = {.name = sources[i]->name, .outcome = RESTORE_UNTOUCHED};
        if (!parts_wanted(request, sources[i]))
            continue;
        if (done == 0)
            done = restore_one(engine, vault, manifest, sources[i], request, result, &told, e);
        if (request->source)
            request->source(request->context, &told);
    }
    return done;
}

int restore_check(struct vault *vault, const struct manifest *manifest, const struct restore_request *request,
                  struct error *e)
{
    for (size_t i = 0; i < request->part_count; i++)
        if (check_part(vault, manifest, &request->parts[i], e) < 0)
            return -1;
    return 0;
}

int restore_run(const struct engine *engine, struct vault *vault, const struct manifest *manifest,
                const struct restore_request *request, struct restore_result *result, struct error *e)
{
    *result = (struct restore_result){0};
    if (restore_check(vault, manifest, request, e) < 0)
        return -1;
    if (request->services && services_stop(request->services, e) < 0)
        return -1;
    int done = restore_all(engine, vault, manifest, request, result, e);
    if (request->services)
        result->services = services_end(request->services, request->keep_stopped);
    result->held += result->services == SERVICES_LEFT;
    return done;
}
