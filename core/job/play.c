#include "job/play.h"

#include <string.h>

#include "base/error.h"
#include "format/audience.h"
#include "format/vault.h"
#include "snapshot/manifest.h"
#include "snapshot/record.h"

int play_check_saved(const struct manifest_source *source, struct error *e)
{
    if (source->status != MANIFEST_MISSING)
        return 0;
    error_set(e, ERROR_NOT_FOUND, "nothing of source '%s' is in this snapshot", source->name);
    return error_hint(e, "it had failed: %s", source->error ? source->error : "the reason is not known");
}

int play_tally_end(struct play_tally *t, struct error *e)
{
    if (t->given == t->size)
        return 0;
    return error_set(e, ERROR_INTEGRITY, "an entry has %llu bytes in the snapshot, its record says %llu",
                     (unsigned long long)t->given, (unsigned long long)t->size);
}

void play_tally_entry(struct play_tally *t, const struct record *record)
{
    t->entries++;
    t->size = (uint64_t)record->entry.size;
    t->given = 0;
}

void play_tally_bytes(struct play_tally *t, uint64_t n)
{
    t->bytes += n;
    t->given += n;
}

int play_absent(const struct manifest_source *source, const char *path, struct error *e)
{
    error_set(e, ERROR_NOT_FOUND, "there is no entry '%s'", path);
    error_subject(e, "source", source->name);
    return error_hint(e, "see what there is: cofre ls JOB@ID %s", source->name);
}

int play_entries(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                 const char *path, const struct audience *audience, struct error *e)
{
    uint64_t entries;
    if (vault_play(vault, manifest, source, path, audience, &entries, e) < 0)
        return -1;
    return entries > 0 || !path || path[0] == '\0' ? 0 : play_absent(source, path, e);
}
