/* ls and cat: what is in a snapshot, without a target. */
#include <string.h>

#include "base/error.h"
#include "cofre/plugin.h"
#include "format/audience.h"
#include "format/vault.h"
#include "job/play.h"
#include "job/restore.h"
#include "snapshot/manifest.h"
#include "snapshot/record.h"

/* ---- ls ---- */

int restore_list(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                 const char *path, int (*entry)(void *context, const struct record *record, struct error *e),
                 void *context, struct error *e)
{
    return play_check_saved(source, e) < 0 ? -1 : vault_entries(vault, manifest, source, path, entry, context, e);
}

/* ---- cat ---- */

struct cat {
    struct play_tally tally;
    int (*piece)(void *context, const void *p, size_t n, struct error *e);
    void *context;
    const char *path;
};

static int cat_entry(void *context, const struct record *record, struct error *e)
{
    struct cat *c = context;
    play_tally_entry(&c->tally, record);
    if (record->entry.kind == COFRE_DIRECTORY || record->entry.path_length != strlen(c->path))
        return error_set(e, ERROR_USAGE, "'%s' is a directory, not a file", c->path);
    if (record->status == RECORD_UNREADABLE)
        return error_set(e, ERROR_NOT_FOUND, "'%s' was not readable when the snapshot was made: %s", c->path,
                         record->error);
    if (record->entry.kind != COFRE_FILE && record->entry.kind != COFRE_STREAM)
        return error_set(e, ERROR_USAGE, "'%s' has no content", c->path);
    return 0;
}

static int cat_data(void *context, const void *p, size_t n, struct error *e)
{
    struct cat *c = context;
    play_tally_bytes(&c->tally, n);
    return c->piece(c->context, p, n, e);
}

static int cat_hole(void *context, uint64_t n, struct error *e)
{
    static const char zeros[65536];
    while (n > 0) {
        size_t piece = n < sizeof zeros ? (size_t)n : sizeof zeros;
        if (cat_data(context, zeros, piece, e) < 0)
            return -1;
        n -= piece;
    }
    return 0;
}

static int cat_damaged(void *context, const struct error *why, struct error *e)
{
    const struct cat *c = context;
    *e = *why;
    return error_consequence(e, "'%s' is damaged: ", c->path);
}

static int cat_end(void *context, struct error *e)
{
    return play_tally_end(&((struct cat *)context)->tally, e);
}

int restore_cat(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                const char *path, int (*piece)(void *context, const void *p, size_t n, struct error *e), void *context,
                struct error *e)
{
    struct cat c = {.piece = piece, .context = context, .path = path};
    struct audience audience = {
        .entry = cat_entry, .data = cat_data, .hole = cat_hole, .end = cat_end, .damaged = cat_damaged, .context = &c};
    if (play_check_saved(source, e) < 0)
        return -1;
    return play_entries(vault, manifest, source, path, &audience, e);
}
