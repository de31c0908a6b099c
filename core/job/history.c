#include "job/history.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "format/saver.h"
#include "format/vault.h"
#include "repository/seal.h"
#include "snapshot/manifest.h"
#include "worker/sink.h"

#define FILE_MAX_BYTES ((size_t)16 << 20)
#define ADOPT_TRIES 64 /* snapshots looked at, newest first */

void history_free(struct history *history)
{
    for (size_t i = 0; i < history->count; i++)
        free(history->links[i].repositories);
    free(history->links);
    free(history->path);
    *history = (struct history){0};
}

/* ---- forms of a manifest ---- */

bool history_has_form(const struct history_forms *forms, const uint8_t hash[MANIFEST_HASH_SIZE])
{
    for (size_t i = 0; i < forms->count; i++)
        if (memcmp(forms->hashes[i], hash, MANIFEST_HASH_SIZE) == 0)
            return true;
    return false;
}

static void add_hash(struct history_forms *forms, const uint8_t hash[MANIFEST_HASH_SIZE])
{
    if (forms->count < HISTORY_FORMS_MAX && !history_has_form(forms, hash))
        memcpy(forms->hashes[forms->count++], hash, MANIFEST_HASH_SIZE);
}

void history_add_form(struct history_forms *forms, const void *manifest, size_t n)
{
    uint8_t hash[MANIFEST_HASH_SIZE];
    seal_hash(manifest, n, hash);
    add_hash(forms, hash);
}

/* ---- the file: one JSON array of links ---- */

static struct history_link *add_link(struct history *history, struct error *e)
{
    struct history_link *links = realloc(history->links, (history->count + 1) * sizeof *links);
    if (!links) {
        error_memory(e);
        return NULL;
    }
    history->links = links;
    links[history->count] = (struct history_link){0};
    return &links[history->count++];
}

static int set_repositories(struct history_link *link, size_t count, struct error *e)
{
    link->repositories = calloc(count + 1, sizeof *link->repositories);
    link->repository_count = count;
    return link->repositories ? 0 : error_memory(e);
}

static int damaged(const struct history *history, struct error *e)
{
    error_set(e, ERROR_INTEGRITY, "state file '%s' is damaged", history->path);
    return error_hint(e, "move it away: what it held is found again on the sinks");
}

static int parse_forms(struct history *history, struct history_link *link, const char *first, const json_t *others,
                       struct error *e)
{
    uint8_t hash[MANIFEST_HASH_SIZE];
    if (!text_parse_hex(first, hash, sizeof hash))
        return damaged(history, e);
    add_hash(&link->forms, hash);
    for (size_t i = 0; i < json_array_size(others); i++) {
        const char *text = json_string_value(json_array_get(others, i));
        if (!text || !text_parse_hex(text, hash, sizeof hash))
            return damaged(history, e);
        add_hash(&link->forms, hash);
    }
    return 0;
}

/* Links of another host, which this machine was called before, are no part of the history. */
static int parse_link(struct history *history, const json_t *json, struct error *e)
{
    const char *id, *hash, *host;
    json_int_t sequence;
    json_t *repositories;
    if (json_unpack((json_t *)(uintptr_t)json, "{s:s, s:s, s:I, s:s, s:o}", "host", &host, "id", &id, "sequence",
                    &sequence, "hash", &hash, "repositories", &repositories) < 0 ||
        !manifest_is_id(id) || sequence < 1 || !json_is_array(repositories))
        return damaged(history, e);
    if (strcmp(host, history->host) != 0) {
        snprintf(history->former_host, sizeof history->former_host, "%s", host);
        return 0;
    }
    struct history_link *link = add_link(history, e);
    if (!link || set_repositories(link, json_array_size(repositories), e) < 0)
        return -1;
    snprintf(link->id, sizeof link->id, "%s", id);
    if (strcmp(id, history->newest) > 0)
        memcpy(history->newest, link->id, sizeof link->id);
    link->sequence = (uint64_t)sequence;
    if (parse_forms(history, link, hash, json_object_get(json, "forms"), e) < 0)
        return -1;
    for (size_t i = 0; i < link->repository_count; i++) {
        const char *text = json_string_value(json_array_get(repositories, i));
        snprintf(link->repositories[i], sizeof link->repositories[i], "%s", text ? text : "");
    }
    return 0;
}

static int load(struct history *history, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = FILE_MAX_BYTES};
    if (file_read_own(history->path, FILE_MAX_BYTES - 1, &text, e) < 0)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    json_error_t where;
    json_t *json = json_loadb((const char *)text.data, text.length, 0, &where);
    int result = json_is_array(json) ? 0 : damaged(history, e);
    for (size_t i = 0; result == 0 && i < json_array_size(json); i++)
        result = parse_link(history, json_array_get(json, i), e);
    json_decref(json);
    return result;
}

int history_load(const char *directory, const char *host, struct history *history, struct error *e)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/history", directory);
    *history = (struct history){.path = text_copy(path)};
    snprintf(history->host, sizeof history->host, "%s", host);
    int result = history->path ? load(history, e) : error_memory(e);
    if (result < 0)
        history_free(history);
    return result;
}

void history_say_renamed(const struct history *history, const char *job)
{
    struct error e;
    if (history->count > 0 || history->former_host[0] == '\0')
        return;
    error_set(&e, ERROR_CONFIG,
              "job '%s': this is its first snapshot as host '%s', but this machine was '%s' before: a second history "
              "begins, and everything is read and stored anew",
              job, history->host, history->former_host);
    error_hint(&e, "to go on with the first, set host = %s in [engine]", history->former_host);
    log_error(LOG_WARNING, &e);
}

/* NULL when out of memory: nothing is missing then that should be there. */
static json_t *link_json(const struct history *history, const struct history_link *link)
{
    char hash[2 * MANIFEST_HASH_SIZE + 1];
    json_t *repositories = json_array(), *forms = json_array();
    int failed = 0;
    for (size_t i = 0; i < link->repository_count; i++)
        failed |= json_array_append_new(repositories, json_string(link->repositories[i]));
    for (size_t i = 1; i < link->forms.count; i++)
        failed |= json_array_append_new(forms, json_string(text_hex(link->forms.hashes[i], MANIFEST_HASH_SIZE, hash)));
    if (failed) {
        json_decref(repositories);
        json_decref(forms);
        return NULL;
    }
    return json_pack("{s:s, s:s, s:I, s:s, s:o, s:o}", "host", history->host, "id", link->id, "sequence",
                     (json_int_t)link->sequence, "hash", text_hex(link->forms.hashes[0], MANIFEST_HASH_SIZE, hash),
                     "forms", forms, "repositories", repositories);
}

static int save(const struct history *history, struct error *e)
{
    json_t *json = json_array();
    int failed = 0;
    for (size_t i = history->count > HISTORY_MAX ? history->count - HISTORY_MAX : 0; i < history->count; i++)
        failed |= json_array_append_new(json, link_json(history, &history->links[i]));
    char *text = failed ? NULL : json_dumps(json, JSON_INDENT(1));
    json_decref(json);
    if (!text)
        return error_memory(e);
    int result = file_write(history->path, text, strlen(text), FILE_REPLACE, e);
    free(text);
    return result;
}

/* ---- comparing with a sink ---- */

struct listed {
    struct bytes ids; /* MANIFEST_ID_SIZE each */
};

static int list_id(void *context, const struct vault_name *name, struct error *e)
{
    struct listed *l = context;
    bytes_put(&l->ids, name->id, sizeof name->id);
    return bytes_check(&l->ids, "listing of snapshots", e);
}

static bool has_id(const struct listed *l, const char *id)
{
    for (size_t at = 0; at < l->ids.length; at += MANIFEST_ID_SIZE)
        if (strcmp((const char *)l->ids.data + at, id) == 0)
            return true;
    return false;
}

static int compare_ids_down(const void *a, const void *b)
{
    return strcmp(b, a);
}

static bool committed_to(const struct history_link *link, const char *repository)
{
    for (size_t i = 0; i < link->repository_count; i++)
        if (strcmp(link->repositories[i], repository) == 0)
            return true;
    return false;
}

const char *history_newest_in(const struct history *history, const char *repository)
{
    for (size_t i = history->count; i-- > 0;)
        if (committed_to(&history->links[i], repository))
            return history->links[i].id;
    return NULL;
}

void history_say_gone(const char *sink, const char *id)
{
    log_line(
        LOG_WARNING,
        "sink '%s': snapshot %s was committed there and is gone: somebody removed it, or put an older state of the "
        "sink in place",
        sink, id);
}

static struct history_link *find_link(const struct history *history, const char *id)
{
    for (size_t i = 0; i < history->count; i++)
        if (strcmp(history->links[i].id, id) == 0)
            return &history->links[i];
    return NULL;
}

static int add_repository(struct history_link *link, const char *id, struct error *e)
{
    char(*repositories)[33] = realloc(link->repositories, (link->repository_count + 1) * sizeof *repositories);
    if (!repositories)
        return error_memory(e);
    link->repositories = repositories;
    snprintf(repositories[link->repository_count++], sizeof *repositories, "%s", id);
    return 0;
}

/* Another sink has it, too: in a form of its own, maybe. What several sinks share comes first. */
static int join_link(struct history_link *link, const struct history_link *found, const struct vault *vault,
                     struct error *e)
{
    bool first = vault->format->saver->together;
    struct history_forms forms = first ? found->forms : link->forms;
    const struct history_forms *others = first ? &link->forms : &found->forms;
    if (add_repository(link, vault->id, e) < 0)
        return -1;
    for (size_t i = 0; i < others->count; i++)
        add_hash(&forms, others->hashes[i]);
    link->forms = forms;
    return 0;
}

static int add_found(struct history *history, struct history_link *found, const struct vault *vault, struct error *e)
{
    struct history_link *link = add_link(history, e);
    if (!link || set_repositories(found, 1, e) < 0)
        return -1;
    snprintf(found->repositories[0], sizeof found->repositories[0], "%s", vault->id);
    *link = *found;
    return 0;
}

/* The snapshot id, as the sink has it, is ours: into the history with it, unless that is newer. */
static int adopt(struct history *history, const struct vault *vault, struct history_link *found,
                 const struct bytes *manifest, struct error *e)
{
    struct history_link *known = find_link(history, found->id);
    history_add_form(&found->forms, manifest->data, manifest->length);
    if (known)
        return join_link(known, found, vault, e);
    if (strcmp(found->id, history->newest) > 0)
        memcpy(history->newest, found->id, sizeof found->id);
    if (history->count > 0 && history->links[history->count - 1].sequence >= found->sequence)
        return 0;
    history->adopted = true;
    return add_found(history, found, vault, e);
}

static bool is_future(const struct vault *vault, const char *id)
{
    if (!manifest_is_future(id, clock_now()))
        return false;
    log_line(LOG_WARNING, "sink '%s': snapshot '%s' lies in the future: the history does not go on from it",
             sink_name(vault->sink), id);
    return true;
}

/* To begin a second history beside one that is hidden behind names would be damage. */
static int too_many_strangers(const struct history *history, const struct vault *vault, struct error *e)
{
    if (history->count > 0)
        return 0;
    error_set(e, ERROR_INTEGRITY, "none of its newest %d snapshots of this host and job is one that this host made",
              ADOPT_TRIES);
    error_subject(e, "sink", sink_name(vault->sink));
    return error_hint(e, "see what they are, with cofre verify, and remove what does not belong there");
}

/* The state may know less than the sink: it was lost. Take the newest snapshot of ours into the history. */
static int adopt_newest(struct history *history, struct vault *vault, const char *job, struct listed *l,
                        struct error *e)
{
    size_t count = l->ids.length / MANIFEST_ID_SIZE, tries = 0;
    if (count > 0)
        qsort(l->ids.data, count, MANIFEST_ID_SIZE, compare_ids_down);
    for (size_t i = 0; i < count; i++) {
        const char *id = (const char *)l->ids.data + i * MANIFEST_ID_SIZE;
        AUTO_BYTES struct bytes manifest = {.maximum = MANIFEST_MAX};
        struct history_link found = {0};
        struct vault_name name;
        bool ours;
        const struct history_link *known = find_link(history, id);
        if (known && (!history->adopted || committed_to(known, vault->id)))
            return 0;
        if (is_future(vault, id))
            continue;
        if (tries++ == ADOPT_TRIES)
            return too_many_strangers(history, vault, e);
        snprintf(name.host, sizeof name.host, "%s", history->host);
        snprintf(name.job, sizeof name.job, "%s", job);
        memcpy(name.id, id, sizeof name.id);
        memcpy(found.id, id, sizeof found.id);
        if (vault_peek(vault, &name, &ours, &found.sequence, &manifest, e) < 0)
            return -1;
        if (ours)
            return adopt(history, vault, &found, &manifest, e);
    }
    return 0;
}

static int add_missed(struct manifest *manifest, const char *repository, const char *id, struct error *e)
{
    struct manifest_missed *missed = realloc(manifest->missed, (manifest->missed_count + 1) * sizeof *missed);
    if (!missed)
        return error_memory(e);
    manifest->missed = missed;
    struct manifest_missed *m = &missed[manifest->missed_count];
    *m = (struct manifest_missed){.repository = text_copy(repository), .id = text_copy(id)};
    manifest->missed_count++;
    return m->repository && m->id ? 0 : error_memory(e);
}

/* Is the newest snapshot that was committed there still there? */
static void check_newest(const struct history *history, struct vault *vault, const char *job, const struct listed *l)
{
    const char *newest = history_newest_in(history, vault->id);
    if (newest && !has_id(l, newest) && !history_was_removed(vault, history, job, newest))
        history_say_gone(sink_name(vault->sink), newest);
}

/* Which snapshots since the oldest that is there did it never get? Those before were removed by retention, or never
 * came. Of a sink that begins now it is all: some may be copied there later. */
static int note_missed(const struct history *history, const struct vault *vault, const struct listed *l,
                       struct manifest *manifest, struct error *e)
{
    bool begun = l->ids.length == 0;
    for (size_t i = 0; i < history->count; i++) {
        const struct history_link *link = &history->links[i];
        bool there = has_id(l, link->id);
        if (begun && !there && !committed_to(link, vault->id) && add_missed(manifest, vault->id, link->id, e) < 0)
            return -1;
        begun = begun || there;
    }
    return 0;
}

int history_compare(struct history *history, struct vault *vault, const char *job, struct manifest *manifest,
                    struct error *e)
{
    struct listed l = {.ids = {.maximum = (size_t)64 << 20}};
    int result = vault_list(vault, history->host, job, list_id, &l, e);
    if (result == 0)
        result = adopt_newest(history, vault, job, &l, e);
    if (result == 0) {
        check_newest(history, vault, job, &l);
        result = note_missed(history, vault, &l, manifest, e);
    }
    bytes_free(&l.ids);
    return result;
}

int history_continue(const struct history *history, struct manifest *manifest, struct error *e)
{
    manifest->sequence = 1;
    bool future = manifest_is_future(history->newest, manifest->started);
    if (future) {
        log_line(LOG_WARNING, "snapshot '%s' of this job lies in the future: this one is going to look older than it",
                 history->newest);
        log_hint(LOG_WARNING, "see that this machine's clock is right");
    }
    manifest_make_id(manifest->started, future ? "" : history->newest, manifest->id);
    if (history->count == 0)
        return 0;
    const struct history_link *last = &history->links[history->count - 1];
    manifest->sequence = last->sequence + 1;
    memcpy(manifest->previous_id, last->id, sizeof last->id);
    memcpy(manifest->previous_hash, last->forms.hashes[0], MANIFEST_HASH_SIZE);
    manifest->previous_forms = malloc(sizeof last->forms.hashes);
    if (!manifest->previous_forms)
        return error_memory(e);
    manifest->previous_form_count = last->forms.count - 1;
    memcpy(manifest->previous_forms, last->forms.hashes[1], manifest->previous_form_count * MANIFEST_HASH_SIZE);
    return 0;
}

static int add_copy(struct history *history, const char *snapshot, const char *id, struct error *e)
{
    struct history_link *link = find_link(history, snapshot);
    if (!link || committed_to(link, id))
        return 0;
    return add_repository(link, id, e) < 0 ? -1 : save(history, e);
}

int history_copied(const char *directory, const char *host, const char *snapshot, const char *id, struct error *e)
{
    struct history history;
    int result = history_load(directory, host, &history, e);
    if (result == 0)
        result = add_copy(&history, snapshot, id, e);
    history_free(&history);
    return result;
}

int history_append(struct history *history, const struct manifest *manifest, const struct history_forms *forms,
                   const char *const *ids, size_t count, struct error *e)
{
    struct history_link *link = add_link(history, e);
    if (!link || set_repositories(link, count, e) < 0)
        return -1;
    memcpy(link->id, manifest->id, sizeof link->id);
    link->sequence = manifest->sequence;
    link->forms = *forms;
    for (size_t i = 0; i < count; i++)
        snprintf(link->repositories[i], sizeof link->repositories[i], "%s", ids[i]);
    return save(history, e);
}
