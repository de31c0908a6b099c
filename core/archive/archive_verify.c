#include "archive/archive_verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive/archive.h"
#include "archive/inlet.h"
#include "archive/replay.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"
#include "format/audience.h"
#include "worker/sink.h"

struct archive_verify {
    struct archive *archive;
    const struct archive_verify_request *request;
    const struct archive_verify_audience *audience;
    uint64_t objects, bytes, damages;
    bool sealed, said; /* no key at hand opens the files of the snapshot; of some snapshot, and that was said */
    char snapshot[160];
};

static int report(struct archive_verify *a, const char *object, const char *source, const struct error *why,
                  struct error *e)
{
    if (!sink_is_of_object(why)) {
        *e = *why;
        return -1;
    }
    struct archive_verify_damage damage = {
        .object = object, .text = why->message, .snapshot = a->snapshot, .source = source};
    a->damages++;
    a->audience->damage(a->audience->context, &damage);
    return 0;
}

static void count(struct archive_verify *a, uint64_t bytes)
{
    a->objects++;
    a->bytes += bytes;
    a->audience->progress(a->audience->context, a->objects, a->bytes);
}

/* ---- files ---- */

static int look_at(struct archive_verify *a, const struct inventory_file *file, const char *key, struct error *e)
{
    uint64_t size;
    struct inlet_spec spec = {.sink = a->archive->sink, .key = key, .stored = file->stored, .sha256 = file->sha256};
    if (!a->request->quick)
        return inlet_check(&spec, e);
    if (sink_stat(a->archive->sink, key, &size, e) < 0)
        return -1;
    if (size == file->stored)
        return 0;
    return error_set(e, ERROR_INTEGRITY, "it has %llu bytes, the manifest says %llu", (unsigned long long)size,
                     (unsigned long long)file->stored);
}

static int check_files(struct archive_verify *a, const struct inventory *inventory, struct error *e)
{
    const struct manifest *m = inventory->manifest;
    for (size_t i = 0; i < inventory->file_count; i++) {
        const struct inventory_file *file = &inventory->files[i];
        char key[ARCHIVE_KEY_SIZE];
        struct error why;
        archive_key(m->job, m->id, file->name, key);
        if (look_at(a, file, key, &why) < 0 && report(a, key, file->source, &why, e) < 0)
            return -1;
        count(a, a->request->quick ? 0 : file->stored);
    }
    return 0;
}

/* ---- entries ---- */

struct tally {
    uint64_t bytes, size, given;
};

static int tally_entry(void *context, const struct record *record, struct error *e)
{
    struct tally *t = context;
    (void)e;
    t->size = (uint64_t)record->entry.size;
    t->given = 0;
    return 0;
}

static int tally_data(void *context, const void *p, size_t n, struct error *e)
{
    struct tally *t = context;
    (void)p;
    (void)e;
    t->given += n;
    return 0;
}

static int tally_hole(void *context, uint64_t n, struct error *e)
{
    return tally_data(context, NULL, (size_t)n, e);
}

static int tally_end(void *context, struct error *e)
{
    struct tally *t = context;
    t->bytes += t->given;
    if (t->given == t->size)
        return 0;
    return error_set(e, ERROR_INTEGRITY, "an entry has %llu bytes, it says %llu", (unsigned long long)t->given,
                     (unsigned long long)t->size);
}

static int check_counts(const struct manifest_source *source, const struct tally *t, uint64_t entries, struct error *e)
{
    if (entries == source->entries && t->bytes == source->bytes)
        return 0;
    return error_set(e, ERROR_INTEGRITY, "%llu entries with %llu bytes were found, the manifest says %llu with %llu",
                     (unsigned long long)entries, (unsigned long long)t->bytes, (unsigned long long)source->entries,
                     (unsigned long long)source->bytes);
}

static int replay_source(struct archive_verify *a, const struct inventory *inventory,
                         const struct manifest_source *source, struct error *e)
{
    struct tally tally = {0};
    struct audience audience = {
        .entry = tally_entry, .data = tally_data, .hole = tally_hole, .end = tally_end, .context = &tally};
    struct error why;
    uint64_t entries;
    if (a->sealed || source->status == MANIFEST_MISSING ||
        (replay_run(a->archive, inventory, source->name, NULL, &audience, true, &entries, &why) == 0 &&
         check_counts(source, &tally, entries, &why) == 0))
        return 0;
    if (why.class != ERROR_AUTH)
        return report(a, NULL, source->name, &why, e);
    if (a->archive->spec.encryption == INVENTORY_PASSPHRASE) {
        /* It is the archive's, as its probe has shown: so what does not open with it is not what it should be. */
        why.class = ERROR_INTEGRITY;
        return report(a, NULL, source->name, &why, e);
    }
    a->sealed = true;
    if (!a->said)
        log_line(LOG_NOTICE, "sink '%s': the files cannot be opened here, only their hashes were checked: %s",
                 sink_name(a->archive->sink), why.message);
    a->said = true;
    return 0;
}

/* ---- snapshots ---- */

static int check_snapshot(struct archive_verify *a, const struct inventory *inventory, const struct bytes *text,
                          struct error *e)
{
    const struct manifest *m = inventory->manifest;
    struct error why;
    char key[ARCHIVE_KEY_SIZE];
    uint64_t before = a->damages;
    a->sealed = false;
    archive_key(m->job, m->id, ARCHIVE_SUMS, key);
    if (archive_check_sums(a->archive, inventory, text, &why) < 0 && report(a, key, NULL, &why, e) < 0)
        return -1;
    count(a, text->length);
    if (check_files(a, inventory, e) < 0)
        return -1;
    if (a->request->quick || a->damages > before)
        return 0;
    for (size_t i = 0; i < m->source_count; i++)
        if (replay_source(a, inventory, &m->sources[i], e) < 0)
            return -1;
    return 0;
}

struct pass {
    struct archive_verify *audit;
    uint64_t *snapshots, *damaged;
};

static int unreadable(struct pass *p, const char *job, const char *id, const struct error *why, struct error *e)
{
    struct archive_verify *a = p->audit;
    struct bytes nothing = {0};
    struct archive_verify_snapshot snapshot = {a->request->us, job, id, NULL, &nothing};
    char key[ARCHIVE_KEY_SIZE];
    if (a->request->host && strcmp(a->request->host, a->request->us) != 0)
        return 0;
    archive_key(job, id, ARCHIVE_MANIFEST, key);
    snprintf(a->snapshot, sizeof a->snapshot, "%s/%s/%s", a->request->us, job, id);
    ++*p->snapshots;
    ++*p->damaged;
    return report(a, key, NULL, why, e) < 0 ? -1 : a->audience->snapshot(a->audience->context, &snapshot, e);
}

static int check_one(void *context, const char *job, const char *id, struct error *e)
{
    struct pass *p = context;
    struct archive_verify *a = p->audit;
    struct inventory inventory;
    struct error why;
    AUTO_BYTES struct bytes text = {.maximum = INVENTORY_MAX};
    if (a->request->id && strcmp(a->request->id, id) != 0)
        return 0;
    if (archive_read(a->archive, job, id, &inventory, &text, &why) < 0)
        return unreadable(p, job, id, &why, e);
    int result = 0;
    if (!a->request->host || strcmp(a->request->host, inventory.manifest->host) == 0) {
        uint64_t before = a->damages;
        snprintf(a->snapshot, sizeof a->snapshot, "%s/%s/%s", inventory.manifest->host, job, id);
        ++*p->snapshots;
        struct archive_verify_snapshot snapshot = {inventory.manifest->host, job, id, inventory.manifest, &text};
        result = a->audience->snapshot(a->audience->context, &snapshot, e);
        if (result == 0)
            result = check_snapshot(a, &inventory, &text, e);
        *p->damaged += a->damages > before;
    }
    inventory_free(&inventory);
    return result;
}

int archive_verify_run(struct archive *archive, const struct archive_verify_request *request,
                       const struct archive_verify_audience *audience, uint64_t *snapshots, uint64_t *damaged,
                       struct error *e)
{
    struct archive_verify a = {.archive = archive, .request = request, .audience = audience};
    struct pass pass = {.audit = &a, .snapshots = snapshots, .damaged = damaged};
    return archive_prove(archive, e) < 0 ? -1 : archive_list(archive, request->job, check_one, &pass, e);
}
