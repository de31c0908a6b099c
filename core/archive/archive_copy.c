#include "archive/archive_copy.h"

#include <sodium.h>
#include <string.h>

#include "archive/archive.h"
#include "archive/inlet.h"
#include "archive/present.h"
#include "base/bytes.h"
#include "base/error.h"
#include "worker/sink.h"

#define READ_BACK ((uint64_t)64 << 20) /* the largest file that is read back after it was copied */

struct clone {
    struct archive *from, *to;
    const char *job, *id;
    uint64_t *objects, *bytes;
};

/* ---- files ---- */

struct moving {
    struct clone *clone;
    struct digest *digest;
    struct sink_put *put;
    uint64_t moved;
};

static int move_piece(void *context, const void *p, size_t n, struct error *e)
{
    struct moving *m = context;
    digest_add(m->digest, p, n);
    m->moved += n;
    return sink_put_write(m->put, p, n, e);
}

static int compare(struct moving *m, const struct inventory_file *file, const char *key, struct error *e)
{
    uint8_t hash[DIGEST_SIZE];
    digest_end(m->digest, hash);
    if (m->moved == file->stored && memcmp(hash, file->sha256, sizeof hash) == 0)
        return 0;
    error_set(e, ERROR_INTEGRITY, "'%s' is damaged: it is not what the manifest says", key);
    return error_subject(e, "sink", sink_name(m->clone->from->sink));
}

static int move(struct moving *m, const struct inventory_file *file, const char *key, struct error *e)
{
    /* What an interrupted copy left is replaced: without its manifest nobody relies on it. */
    if (sink_put_begin(m->clone->to->sink, key, false, &m->put, e) < 0)
        return -1;
    if (sink_get_pieces(m->clone->from->sink, key, move_piece, m, e) == 0 && compare(m, file, key, e) == 0)
        return sink_put_end(m->put, e);
    sink_put_abort(m->put);
    return -1;
}

static int move_file(struct clone *c, const struct inventory_file *file, struct error *e)
{
    struct moving m = {.clone = c};
    char key[ARCHIVE_KEY_SIZE];
    archive_key(c->job, c->id, file->name, key);
    if (digest_new(&m.digest, e) < 0)
        return -1;
    int result = move(&m, file, key, e);
    digest_free(m.digest);
    ++*c->objects;
    *c->bytes += file->stored;
    return result;
}

static int move_small(struct clone *c, const char *name, bool may_lack, struct error *e)
{
    AUTO_BYTES struct bytes content = {.maximum = ARCHIVE_SMALL_MAX};
    char key[ARCHIVE_KEY_SIZE];
    archive_key(c->job, c->id, name, key);
    if (sink_get(c->from->sink, key, ARCHIVE_SMALL_MAX - 1, &content, e) < 0)
        return may_lack && e->class == ERROR_NOT_FOUND ? 0 : -1;
    ++*c->objects;
    *c->bytes += content.length;
    return sink_put(c->to->sink, key, content.data, content.length, false, e);
}

/* ---- the snapshot ---- */

static int check_alike(struct archive *from, struct archive *to, struct error *e)
{
    const struct pgp_spec *a = &from->spec.pgp, *b = &to->spec.pgp;
    if (archive_prove(from, e) < 0 || archive_prove(to, e) < 0)
        return -1;
    if (from->spec.encryption != to->spec.encryption)
        error_set(e, ERROR_UNSUPPORTED, "sinks '%s' and '%s' encrypt in different ways", sink_name(from->sink),
                  sink_name(to->sink));
    else if (from->spec.encryption == INVENTORY_PASSPHRASE &&
             (a->passphrase_length != b->passphrase_length ||
              sodium_memcmp(a->passphrase, b->passphrase, a->passphrase_length) != 0))
        error_set(e, ERROR_UNSUPPORTED, "sinks '%s' and '%s' have different passphrases", sink_name(from->sink),
                  sink_name(to->sink));
    else
        return 0;
    return error_hint(e, "a snapshot is copied as it is stored; otherwise restore it and run a job");
}

/* Is it there already? Then it must be the same one, with every file whole. */
static int check_there(struct clone *c, const struct inventory *inventory, const struct bytes *text, bool *existed,
                       struct error *e)
{
    AUTO_BYTES struct bytes there = {.maximum = INVENTORY_MAX};
    char key[ARCHIVE_KEY_SIZE];
    archive_key(c->job, c->id, ARCHIVE_MANIFEST, key);
    *existed = sink_get(c->to->sink, key, INVENTORY_MAX - 1, &there, e) == 0;
    if (!*existed)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    if (there.length != text->length || memcmp(there.data, text->data, there.length) != 0) {
        error_set(e, ERROR_INTEGRITY, "has another manifest under '%s'", key);
        return error_subject(e, "sink", sink_name(c->to->sink));
    }
    for (size_t i = 0; i < inventory->file_count && *existed; i++) {
        const struct inventory_file *file = &inventory->files[i];
        archive_key(c->job, c->id, file->name, key);
        struct inlet_spec spec = {.sink = c->to->sink, .key = key, .stored = file->stored, .sha256 = file->sha256};
        *existed = inlet_check(&spec, e) == 0;
        if (!*existed && e->class != ERROR_INTEGRITY)
            return -1;
    }
    return 0;
}

/* What the sink says that it has stored is there, and one file, any of them, is read back, unless it is large. */
static int confirm(struct clone *c, const struct inventory *inventory, const struct bytes *text, struct error *e)
{
    char key[ARCHIVE_KEY_SIZE];
    if (sink_sync(c->to->sink, e) < 0 || present_check(c->to, inventory, text, e) < 0)
        return error_subject(e, "sink", sink_name(c->to->sink));
    if (inventory->file_count == 0)
        return 0;
    const struct inventory_file *file = &inventory->files[randombytes_uniform((uint32_t)inventory->file_count)];
    archive_key(c->job, c->id, file->name, key);
    struct inlet_spec spec = {.sink = c->to->sink, .key = key, .stored = file->stored, .sha256 = file->sha256};
    if (file->stored > READ_BACK || inlet_check(&spec, e) == 0)
        return 0;
    if (e->class == ERROR_INTEGRITY)
        e->class = ERROR_PERMANENT; /* it is not what is stored that is wrong, but the storing */
    error_context(e, "read back '%s': ", key);
    return error_subject(e, "sink", sink_name(c->to->sink));
}

static int clone_all(struct clone *c, const struct inventory *inventory, const struct bytes *text, bool *existed,
                     struct error *e)
{
    if (archive_check_sums(c->from, inventory, text, e) < 0)
        return error_subject(e, "sink", sink_name(c->from->sink));
    if (check_there(c, inventory, text, existed, e) < 0)
        return -1;
    if (*existed)
        return 0;
    for (size_t i = 0; i < inventory->file_count; i++)
        if (move_file(c, &inventory->files[i], e) < 0)
            return -1;
    if (move_small(c, ARCHIVE_SUMS, false, e) < 0 || move_small(c, ARCHIVE_SIGNATURE, true, e) < 0)
        return -1;
    return confirm(c, inventory, text, e);
}

int archive_copy_files(struct archive *from, struct archive *to, const char *job, const char *id, struct bytes *text,
                       uint64_t *objects, uint64_t *bytes, bool *existed, struct error *e)
{
    struct clone c = {.from = from, .to = to, .job = job, .id = id, .objects = objects, .bytes = bytes};
    struct inventory inventory;
    if (check_alike(from, to, e) < 0 || archive_read(from, job, id, &inventory, text, e) < 0)
        return -1;
    int result = clone_all(&c, &inventory, text, existed, e);
    inventory_free(&inventory);
    return result;
}
