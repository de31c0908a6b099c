#include "repository/baseline.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "repository/catalogue_file.h"
#include "repository/manifest_object.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "repository/usage.h"
#include "repository/writer.h"
#include "snapshot/manifest.h"
#include "snapshot/path.h"
#include "snapshot/record.h"

#define BUFFER_SIZE ((size_t)256 << 10)
#define ENTRY_RECORDS_MAX ((size_t)1 << 30)

struct baseline {
    struct source_previous table;
    struct catalogue_input *input; /* NULL = empty */
    /* baseline_take: where the input stands */
    uint64_t next;        /* ordinal of the next entry */
    struct bytes records; /* of the entry taken */
    struct bytes path;    /* of it */
};

/* ---- the table ---- */

struct table {
    int fd;
    const struct writer *writer;
    const struct usage *usage; /* NULL = all chunks are used enough */
    struct bytes out;
    struct bytes path; /* of the record before */
    /* the entry at hand; its fingerprint counts once all its extents were seen */
    struct bytes pending;
    uint8_t fingerprint[16];
    bool usable;
};

static int flush_table(struct table *t, struct error *e)
{
    int result = file_write_all(t->fd, t->out.data, t->out.length, "table of fingerprints", e);
    bytes_reset(&t->out);
    return result;
}

/* The record of the entry at hand: what its path shares with the one before, the rest, the fingerprint. */
static int end_entry(struct table *t, struct error *e)
{
    static const uint8_t none[16];
    size_t shared = 0, most = t->path.length < t->pending.length ? t->path.length : t->pending.length;
    while (shared < most && t->path.data[shared] == t->pending.data[shared])
        shared++;
    bytes_put_u16(&t->out, (uint16_t)shared);
    bytes_put_u16(&t->out, (uint16_t)(t->pending.length - shared));
    bytes_put(&t->out, t->pending.data + shared, t->pending.length - shared);
    bytes_put(&t->out, t->usable ? t->fingerprint : none, sizeof none);
    struct bytes swap = t->path;
    t->path = t->pending;
    t->pending = swap;
    if (bytes_check(&t->out, "table of fingerprints", e) < 0)
        return -1;
    return t->out.length >= BUFFER_SIZE ? flush_table(t, e) : 0;
}

static int begin_entry(struct table *t, const struct record *record, struct error *e)
{
    bytes_reset(&t->pending);
    bytes_put(&t->pending, record->entry.path, record->entry.path_length);
    t->usable = record->entry.has_fingerprint && record->status == RECORD_WHOLE;
    memcpy(t->fingerprint, record->entry.fingerprint, sizeof t->fingerprint);
    return bytes_check(&t->pending, "path", e);
}

static void check_extents(struct table *t, const struct record *record)
{
    const struct catalogue_extent *last = NULL;
    for (size_t i = 0; i < record->extent_count && t->usable && t->writer; i++) {
        const struct catalogue_extent *extent = &record->extents[i];
        uint64_t end = extent->offset + extent->length, length;
        if (catalogue_is_hole(extent) ||
            (last && memcmp(last->id, extent->id, SEAL_HASH_SIZE) == 0 && end <= last->offset + last->length))
            continue;
        last = extent;
        t->usable = writer_has(t->writer, extent->id, end, &length) &&
                    !(t->usage && usage_is_low(t->usage, extent->id, length));
    }
}

static int fill_table(struct table *t, struct catalogue_input *input, struct error *e)
{
    bool open_entry = false;
    for (;;) {
        struct record record;
        const uint8_t *p;
        size_t n;
        bool end;
        if (catalogue_input_next(input, &record, &p, &n, &end, e) < 0)
            return -1;
        if (open_entry && (end || !record.continuation) && end_entry(t, e) < 0)
            return -1;
        if (end)
            return flush_table(t, e);
        if (!record.continuation && begin_entry(t, &record, e) < 0)
            return -1;
        open_entry = true;
        check_extents(t, &record);
    }
}

/* A file without a name, so that nothing is left of it; not every file system can make one at once. */
static int open_nameless(const char *directory)
{
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/table-XXXXXX", directory);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd;
}

static int count_usage(struct catalogue_input *input, struct usage *usage, struct error *e)
{
    struct record record;
    const uint8_t *p;
    size_t n;
    bool end;
    int result;
    while ((result = catalogue_input_next(input, &record, &p, &n, &end, e)) == 0 && !end)
        if (usage_count(usage, &record, e) < 0)
            return -1;
    catalogue_input_rewind(input);
    return result;
}

static int make_table(struct baseline *baseline, const char *directory, const struct writer *writer,
                      const struct usage *usage, struct error *e)
{
    int fd = open_nameless(directory);
    if (fd < 0)
        return error_system(e, errno, "make a temporary file in '%s'", directory);
    baseline->table.fd = fd;
    struct table t = {.fd = fd,
                      .writer = writer,
                      .usage = usage,
                      .out = {.maximum = BUFFER_SIZE + (128u << 10)},
                      .path = {.maximum = 65536},
                      .pending = {.maximum = 65536}};
    int result = fill_table(&t, baseline->input, e);
    bytes_free(&t.out);
    bytes_free(&t.path);
    bytes_free(&t.pending);
    catalogue_input_rewind(baseline->input);
    return result;
}

static int make_tidy_table(struct baseline *baseline, const char *directory, const struct writer *writer,
                           struct error *e)
{
    struct usage *usage;
    if (usage_new(&usage, e) < 0)
        return -1;
    int result = count_usage(baseline->input, usage, e);
    if (result == 0)
        result = make_table(baseline, directory, writer, usage, e);
    usage_free(usage);
    return result;
}

static void forget(struct baseline *baseline)
{
    catalogue_input_close(baseline->input);
    baseline->input = NULL;
}

int baseline_none(const uint8_t fingerprint_key[16], struct baseline **baseline, struct error *e)
{
    struct baseline *p = calloc(1, sizeof *p);
    if (!p)
        return error_memory(e);
    p->table.fd = -1;
    p->records.maximum = ENTRY_RECORDS_MAX;
    p->path.maximum = PATH_LONGEST + 1;
    memcpy(p->table.fingerprint_key, fingerprint_key, sizeof p->table.fingerprint_key);
    *baseline = p;
    return 0;
}

int baseline_open(const char *path, const char *directory, const uint8_t fingerprint_key[16],
                  const struct writer *writer, bool tidy, struct baseline **baseline, struct error *e)
{
    if (baseline_none(fingerprint_key, baseline, e) < 0)
        return -1;
    struct baseline *p = *baseline;
    if (catalogue_input_open(path, &p->input, e) < 0) {
        p->input = NULL;
        if (e->class == ERROR_INTEGRITY)
            log_line(LOG_WARNING, "%s; everything is read again", e->message);
        if (e->class == ERROR_INTEGRITY || e->class == ERROR_NOT_FOUND)
            return 0;
        goto fail;
    }
    if (memcmp(catalogue_input_fingerprint_key(p->input), fingerprint_key, 16) != 0) {
        forget(p);
        return 0;
    }
    if ((writer && tidy ? make_tidy_table(p, directory, writer, e) : make_table(p, directory, writer, NULL, e)) == 0)
        return 0;
fail:
    baseline_close(p);
    *baseline = NULL;
    return -1;
}

void baseline_close(struct baseline *baseline)
{
    if (!baseline)
        return;
    forget(baseline);
    if (baseline->table.fd >= 0)
        close(baseline->table.fd);
    bytes_free(&baseline->records);
    bytes_free(&baseline->path);
    free(baseline);
}

const struct source_previous *baseline_table(const struct baseline *baseline)
{
    return &baseline->table;
}

/* Pass over the records of the next entry, or, with somewhere to say what it is, keep them. */
static int read_entry(struct baseline *p, struct baseline_entry *entry, struct error *e)
{
    bool more = true;
    bytes_reset(&p->records);
    bytes_reset(&p->path);
    for (bool first = true; more; first = false) {
        struct record record;
        const uint8_t *bytes;
        size_t n;
        bool end;
        if (catalogue_input_next(p->input, &record, &bytes, &n, &end, e) < 0)
            return -1;
        if (end || record.continuation == first)
            return error_set(e, ERROR_INTEGRITY, "the previous catalogue has fewer entries than its table");
        if (entry)
            bytes_put(&p->records, bytes, n);
        if (entry && first) {
            bytes_put(&p->path, record.entry.path, record.entry.path_length);
            *entry = (struct baseline_entry){.kind = record.entry.kind, .size = (uint64_t)record.entry.size};
        }
        more = record.more;
    }
    p->next++;
    if (!entry)
        return 0;
    entry->path_length = p->path.length;
    bytes_put_u8(&p->path, 0);
    if (bytes_check(&p->path, "path", e) < 0)
        return -1;
    entry->path = (const char *)p->path.data;
    entry->records = p->records.data;
    entry->records_length = p->records.length;
    return bytes_check(&p->records, "records of an entry", e);
}

int baseline_take(struct baseline *baseline, uint64_t ordinal, struct baseline_entry *entry, struct error *e)
{
    if (!baseline->input || ordinal < baseline->next)
        return error_set(e, ERROR_BUG, "entry %llu of the previous catalogue was asked for out of order",
                         (unsigned long long)ordinal);
    while (baseline->next < ordinal)
        if (read_entry(baseline, NULL, e) < 0)
            return -1;
    return read_entry(baseline, entry, e);
}

/* ---- from a repository ---- */

static int save_record(void *context, const struct record *record, const uint8_t *bytes, size_t n, struct error *e)
{
    (void)record;
    return catalogue_output_add(context, bytes, n, e);
}

static int fetch(const char *path, struct repository *repository, const struct manifest_source *source, struct error *e)
{
    struct reader *reader;
    struct catalogue_output *output = NULL;
    uint64_t length;
    if (reader_new(repository, &reader, e) < 0)
        return -1;
    int result = catalogue_output_new(path, source->fingerprint_key, &output, e);
    if (result == 0)
        result = reader_catalogue(reader, source, NULL, save_record, output, e);
    if (result == 0)
        result = catalogue_output_end(output, &length, e);
    catalogue_output_free(output);
    reader_free(reader);
    return result;
}

/* From the snapshot before. */
static int fetch_before(const char *path, struct repository *r, const struct manifest *now, const char *source,
                        struct error *e)
{
    char key[201];
    manifest_object_key(now->host, now->job, now->previous_id, key);
    struct manifest *before;
    if (manifest_object_read(r, key, &before, e) < 0)
        return -1;
    int result = 0;
    for (size_t i = 0; result == 0 && i < before->source_count; i++)
        if (strcmp(before->sources[i].name, source) == 0 && before->sources[i].status != MANIFEST_MISSING)
            result = fetch(path, r, &before->sources[i], e);
    manifest_free(before);
    return result;
}

int baseline_recover(const char *path, struct repository *repository, const struct manifest *now, const char *source,
                     struct error *e)
{
    if (access(path, F_OK) == 0 || now->previous_id[0] == '\0' || !repository->key->full ||
        fetch_before(path, repository, now, source, e) == 0)
        return 0;
    unlink(path);
    if (e->class == ERROR_CANCELLED)
        return -1;
    char text[ERROR_TEXT_MAX];
    log_line(LOG_NOTICE, "source '%s': everything is read again: %s", source, error_text(e, text));
    return 0;
}
