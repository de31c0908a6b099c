#include "archive/bundle.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "archive/archive.h"
#include "archive/outlet.h"
#include "archive/present.h"
#include "archive/tarball.h"
#include "base/bytes.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/text.h"
#include "cofre/plugin.h"
#include "snapshot/record.h"
#include "worker/sink.h"

#define NAME_MAX_BYTES 100 /* of a stored file, so that its key fits */
#define ZEROS ((size_t)64 << 10)

/* Where the content of the entry at hand goes. */
enum way { NOWHERE, INTO_TAR, INTO_FILE };

/* A stored file that is being written. */
struct part {
    struct outlet *outlet; /* NULL = none */
    char name[NAME_MAX_BYTES + 1];
};

struct bundle {
    struct archive *archive;
    char job[64], id[MANIFEST_ID_SIZE];
    struct inventory inventory; /* its manifest is borrowed */
    size_t source_count;
    char source[64];
    struct inventory_count *count; /* of the source */
    struct tarball *tarball;       /* NULL until the source has an entry for it */
    struct part tar, stream;
    enum way way;
    uint64_t size;             /* of what goes into a file */
    struct inventory_row next; /* the entry at hand, as it stands if it is to have a row */
    uint64_t stored;
    struct outlet_sample *sample; /* of one of the files; NULL = none */
    char sampled[NAME_MAX_BYTES + 1];
    bool broken, committed;
};

int bundle_new(struct archive *archive, const char *job, const char *id, size_t sources, struct bundle **bundle,
               struct error *e)
{
    struct bundle *b = calloc(1, sizeof *b);
    if (!b)
        return error_memory(e);
    b->archive = archive;
    snprintf(b->job, sizeof b->job, "%s", job);
    snprintf(b->id, sizeof b->id, "%s", id);
    b->source_count = sources;
    b->inventory.compress = archive->spec.compress;
    b->inventory.encryption = archive->spec.encryption;
    b->inventory.counts = calloc(sources + 1, sizeof *b->inventory.counts);
    if (!b->inventory.counts) {
        free(b);
        return error_memory(e);
    }
    *bundle = b;
    return 0;
}

static void forget_next(struct bundle *b)
{
    free(b->next.path);
    free(b->next.user);
    free(b->next.group);
    b->next = (struct inventory_row){0};
}

static void give_up_parts(struct bundle *b)
{
    tarball_free(b->tarball);
    outlet_free(b->tar.outlet);
    outlet_free(b->stream.outlet);
    b->tarball = NULL;
    b->tar.outlet = b->stream.outlet = NULL;
}

/* Files of a snapshot that will not be. A sink that has failed is left alone. */
static void remove_files(struct bundle *b, size_t first)
{
    struct error ignored;
    char key[ARCHIVE_KEY_SIZE];
    AUTO_BYTES struct bytes keys = {.maximum = b->inventory.file_count * ARCHIVE_KEY_SIZE};
    for (size_t i = first; i < b->inventory.file_count && !b->broken && !cancel_requested(); i++) {
        archive_key(b->job, b->id, b->inventory.files[i].name, key);
        bytes_put(&keys, key, strlen(key) + 1);
    }
    if (keys.length > 0 && !keys.failed)
        sink_remove_many(b->archive->sink, (const char *)keys.data, keys.length, &ignored);
}

void bundle_free(struct bundle *bundle)
{
    if (!bundle)
        return;
    give_up_parts(bundle);
    if (!bundle->committed)
        remove_files(bundle, 0);
    forget_next(bundle);
    free(bundle->sample);
    bundle->inventory.manifest = NULL;
    inventory_free(&bundle->inventory);
    free(bundle);
}

void bundle_committed(struct bundle *bundle)
{
    bundle->committed = true;
}

uint64_t bundle_stored(const struct bundle *bundle)
{
    return bundle->stored;
}

/* After a failure nothing more is asked of the sink. */
static int note(struct bundle *b, int result)
{
    b->broken = b->broken || result < 0;
    return result;
}

/* ---- stored files ---- */

static bool is_taken(const struct bundle *b, const char *name)
{
    static const char *const ours[] = {ARCHIVE_MANIFEST, ARCHIVE_SIGNATURE, ARCHIVE_SUMS};
    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        if (strcasecmp(ours[i], name) == 0)
            return true;
    for (size_t i = 0; i < b->inventory.file_count; i++)
        if (strcasecmp(b->inventory.files[i].name, name) == 0)
            return true;
    return b->tar.outlet && strcasecmp(b->tar.name, name) == 0;
}

/* What of an entry's path can stand in a key, at most n bytes of it. */
static void tidy(const char *path, size_t n, char *out)
{
    static const char kept[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t i = 0;
    for (; path[i] != '\0' && i < n; i++)
        out[i] = path[i] == '/' ? '.' : strchr(kept, path[i]) ? path[i] : '_';
    out[i] = '\0';
}

/* SOURCE.ENTRY.zst.gpg; when there is such a file already, SOURCE.ENTRY-2.zst.gpg. A stream called "tar" must not take
 * the name of the source's tar archive. */
static int choose_name(const struct bundle *b, const char *path, char name[NAME_MAX_BYTES + 1], struct error *e)
{
    char entry[NAME_MAX_BYTES + 1], number[16] = "";
    const char *compressed = compress_extension(b->inventory.compress);
    const char *sealed = b->inventory.encryption == INVENTORY_PLAIN ? "" : ".gpg";
    tidy(path, NAME_MAX_BYTES - strlen(b->source) - 20, entry);
    for (unsigned i = strcasecmp(entry, "tar") == 0 ? 2 : 1; i < 1000000; i++) {
        if (i > 1)
            snprintf(number, sizeof number, "-%u", i);
        int n = snprintf(name, NAME_MAX_BYTES + 1, "%s.%s%s%s%s", b->source, entry, number, compressed, sealed);
        ASSERT(n > 0 && n <= NAME_MAX_BYTES);
        if (!is_taken(b, name))
            return 0;
    }
    error_set(e, ERROR_RANGE, "has too many streams of one name");
    return error_subject(e, "source", b->source);
}

static int open_part(struct bundle *b, struct part *part, struct error *e)
{
    const struct archive_spec *spec = &b->archive->spec;
    char key[ARCHIVE_KEY_SIZE];
    archive_key(b->job, b->id, part->name, key);
    struct outlet_spec outlet = {.sink = b->archive->sink,
                                 .key = key,
                                 .compress = spec->compress,
                                 .level = spec->level,
                                 .threads = spec->threads,
                                 .pgp = archive_sealing(b->archive),
                                 .patience = spec->patience};
    return outlet_new(&outlet, &part->outlet, e);
}

/* Of all stored bytes each is in the sample with about the same chance. */
static void keep_sample(struct bundle *b, const struct part *part, const struct outlet_result *result)
{
    double share = (double)result->stored / (double)(b->stored + 1);
    if (b->sample && (double)randombytes_random() / UINT32_MAX > share) {
        free(result->sample);
        return;
    }
    free(b->sample);
    b->sample = result->sample;
    memcpy(b->sampled, part->name, sizeof b->sampled);
}

static int close_part(struct bundle *b, struct part *part, struct error *e)
{
    struct outlet_result result;
    struct inventory_file *file;
    struct outlet *outlet = part->outlet;
    part->outlet = NULL;
    if (outlet_end(outlet, &result, e) < 0)
        return -1;
    b->stored += result.stored;
    keep_sample(b, part, &result);
    if (inventory_add_file(&b->inventory, b->source, part->name, &file, e) < 0)
        return -1;
    file->plain = result.plain;
    file->stored = result.stored;
    memcpy(file->sha256, result.sha256, sizeof file->sha256);
    return 0;
}

/* ---- entries ---- */

static int to_tar(void *context, const void *p, size_t n, struct error *e)
{
    return outlet_write(((struct bundle *)context)->tar.outlet, p, n, e);
}

static int need_tarball(struct bundle *b, struct error *e)
{
    if (b->tarball)
        return 0;
    snprintf(b->tar.name, sizeof b->tar.name, "%s.tar%s%s", b->source, compress_extension(b->inventory.compress),
             b->inventory.encryption == INVENTORY_PLAIN ? "" : ".gpg");
    if (open_part(b, &b->tar, e) < 0)
        return -1;
    return tarball_new(to_tar, b, &b->tarball, e);
}

static int open_stream(struct bundle *b, struct error *e)
{
    b->size = 0;
    return open_part(b, &b->stream, e);
}

static int remember(struct bundle *b, const struct snapshot_entry *entry, struct error *e)
{
    struct inventory_row *r = &b->next;
    forget_next(b);
    *r = (struct inventory_row){.path = text_copy(entry->path),
                                .kind = entry->kind,
                                .mode = entry->mode & 07777,
                                .uid = entry->uid,
                                .gid = entry->gid,
                                .mtime = entry->mtime};
    if (!r->path || (entry->user && !(r->user = text_copy(entry->user))) ||
        (entry->group && !(r->group = text_copy(entry->group))))
        return error_memory(e);
    return 0;
}

static enum way way_of(const struct snapshot_entry *entry)
{
    if (entry->kind == COFRE_SOCKET)
        return NOWHERE;
    return entry->kind == COFRE_STREAM || (entry->kind == COFRE_FILE && entry->size < 0) ? INTO_FILE : INTO_TAR;
}

static int begin_entry(struct bundle *b, const struct snapshot_entry *entry, struct error *e)
{
    if (remember(b, entry, e) < 0)
        return -1;
    b->way = way_of(entry);
    if (b->way == INTO_TAR)
        return need_tarball(b, e) < 0 ? -1 : tarball_entry(b->tarball, entry, e);
    if (b->way == NOWHERE)
        return 0;
    return choose_name(b, entry->path, b->stream.name, e) < 0 ? -1 : open_stream(b, e);
}

int bundle_entry(struct bundle *bundle, const struct snapshot_entry *entry, struct error *e)
{
    return note(bundle, begin_entry(bundle, entry, e));
}

static int take_data(struct bundle *b, const void *p, size_t n, struct error *e)
{
    if (b->way == INTO_TAR)
        return tarball_data(b->tarball, p, n, e);
    b->size += n;
    return b->way == INTO_FILE ? outlet_write(b->stream.outlet, p, n, e) : 0;
}

int bundle_data(struct bundle *bundle, const void *p, size_t n, struct error *e)
{
    return note(bundle, take_data(bundle, p, n, e));
}

static int take_hole(struct bundle *b, uint64_t n, struct error *e)
{
    static const uint8_t zeros[ZEROS];
    if (b->way == INTO_TAR)
        return tarball_hole(b->tarball, n, e);
    for (size_t piece; n > 0; n -= piece) {
        piece = n < sizeof zeros ? (size_t)n : sizeof zeros;
        if (take_data(b, zeros, piece, e) < 0)
            return -1;
    }
    return 0;
}

int bundle_hole(struct bundle *bundle, uint64_t n, struct error *e)
{
    return note(bundle, take_hole(bundle, n, e));
}

static int begin_again(struct bundle *b, struct error *e)
{
    if (b->way == INTO_TAR)
        return tarball_restart(b->tarball, e);
    if (b->way == NOWHERE)
        return 0;
    outlet_free(b->stream.outlet);
    b->stream.outlet = NULL;
    return open_stream(b, e);
}

int bundle_restart(struct bundle *bundle, struct error *e)
{
    return note(bundle, begin_again(bundle, e));
}

/* The entry at hand gets a row. file: the name of the stored file that holds it, or NULL. */
static int add_row(struct bundle *b, enum record_status status, const char *why, const char *file,
                   const struct tarball_kept *kept, struct error *e)
{
    struct inventory_row *r;
    if (inventory_add_row(&b->inventory, b->source, &r, e) < 0)
        return -1;
    char *source = r->source;
    *r = b->next;
    b->next = (struct inventory_row){0};
    r->source = source;
    r->status = status;
    r->size = kept->size;
    r->voids = kept->voids;
    r->sparse = kept->sparse;
    if ((why && !(r->error = text_copy(why))) || (file && !(r->file = text_copy(file))))
        return error_memory(e);
    return 0;
}

static int end_tar(struct bundle *b, enum record_status status, const char *why, struct error *e)
{
    static const enum tarball_state states[] = {
        [RECORD_WHOLE] = TARBALL_WHOLE, [RECORD_CHANGED] = TARBALL_CHANGED, [RECORD_UNREADABLE] = TARBALL_UNREADABLE};
    struct tarball_kept kept;
    if (tarball_end(b->tarball, states[status], &kept, e) < 0)
        return -1;
    b->count->bytes += kept.size;
    if (status == RECORD_WHOLE && kept.voids == 0 && !kept.sparse)
        return 0;
    return add_row(b, status, why, NULL, &kept, e);
}

static int end_file(struct bundle *b, enum record_status status, const char *why, struct error *e)
{
    struct tarball_kept kept = {.size = status == RECORD_UNREADABLE ? 0 : b->size};
    if (status == RECORD_UNREADABLE) {
        outlet_free(b->stream.outlet);
        b->stream.outlet = NULL;
        return add_row(b, status, why, NULL, &kept, e);
    }
    if (close_part(b, &b->stream, e) < 0)
        return -1;
    b->count->bytes += b->size;
    return add_row(b, status, why, b->stream.name, &kept, e);
}

static int end_entry(struct bundle *b, enum record_status status, const char *why, struct error *e)
{
    static const struct tarball_kept nothing = {0};
    b->count->entries++;
    if (b->way == INTO_TAR)
        return end_tar(b, status, why, e);
    return b->way == INTO_FILE ? end_file(b, status, why, e) : add_row(b, status, why, NULL, &nothing, e);
}

int bundle_end(struct bundle *bundle, enum record_status status, const char *why, struct error *e)
{
    return note(bundle, end_entry(bundle, status, why, e));
}

/* ---- sources ---- */

void bundle_begin(struct bundle *bundle, size_t i, const char *source)
{
    ASSERT(i < bundle->source_count);
    bundle->count = &bundle->inventory.counts[i];
    snprintf(bundle->source, sizeof bundle->source, "%s", source);
}

static int finish(struct bundle *b, struct error *e)
{
    if (!b->tarball)
        return 0;
    if (tarball_finish(b->tarball, e) < 0)
        return -1;
    tarball_free(b->tarball);
    b->tarball = NULL;
    return close_part(b, &b->tar, e);
}

int bundle_finish(struct bundle *bundle, uint64_t *entries, uint64_t *bytes, struct error *e)
{
    *entries = bundle->count->entries;
    *bytes = bundle->count->bytes;
    return note(bundle, finish(bundle, e));
}

void bundle_drop(struct bundle *bundle)
{
    struct inventory *inventory = &bundle->inventory;
    size_t files = inventory->file_count, rows = inventory->row_count;
    give_up_parts(bundle);
    while (files > 0 && strcmp(inventory->files[files - 1].source, bundle->source) == 0)
        files--;
    while (rows > 0 && strcmp(inventory->rows[rows - 1].source, bundle->source) == 0)
        rows--;
    remove_files(bundle, files);
    free(bundle->sample); /* it may be of one of these */
    bundle->sample = NULL;
    inventory_cut(inventory, files, rows);
    *bundle->count = (struct inventory_count){0};
}

/* ---- the end ---- */

static int put(struct bundle *b, const char *name, const struct bytes *content, struct error *e)
{
    char key[ARCHIVE_KEY_SIZE];
    archive_key(b->job, b->id, name, key);
    b->stored += content->length;
    return sink_put(b->archive->sink, key, content->data, content->length, true, e);
}

static int put_signature(struct bundle *b, const struct bytes *text, struct bytes *signature, struct error *e)
{
    if (!b->archive->spec.pgp.signer)
        return 0;
    int result = pgp_sign(b->archive->pgp, text->data, text->length, signature, e);
    return result < 0 ? -1 : put(b, ARCHIVE_SIGNATURE, signature, e);
}

static int seal(struct bundle *b, struct bytes *text, struct error *e)
{
    AUTO_BYTES struct bytes signature = {.maximum = (size_t)1 << 20}, sums = {.maximum = ARCHIVE_SMALL_MAX - 1};
    if (inventory_write(&b->inventory, text, e) < 0 || put_signature(b, text, &signature, e) < 0 ||
        archive_sums(&b->inventory, text, signature.length > 0 ? &signature : NULL, &sums, e) < 0)
        return -1;
    return put(b, ARCHIVE_SUMS, &sums, e);
}

static int confirm(struct bundle *b, const struct bytes *text, struct error *e)
{
    char key[ARCHIVE_KEY_SIZE];
    archive_key(b->job, b->id, b->sampled, key);
    if (sink_sync(b->archive->sink, e) < 0 || present_check(b->archive, &b->inventory, text, e) < 0)
        return -1;
    return b->sample ? present_compare(b->archive->sink, key, b->sample, e) : 0;
}

int bundle_seal(struct bundle *bundle, struct manifest *manifest, struct bytes *text, char key[201], struct error *e)
{
    bundle->inventory.manifest = manifest;
    archive_key(bundle->job, bundle->id, ARCHIVE_MANIFEST, key);
    int result = note(bundle, seal(bundle, text, e) < 0 ? -1 : confirm(bundle, text, e));
    bundle->inventory.manifest = NULL;
    return result;
}
