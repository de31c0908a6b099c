/* Entries of a source in short, in their order: from a catalogue into a file without a name, and back, so that those of
 * two snapshots can be held side by side in little memory, however many they are. */
#ifndef COFRE_JOB_ENTRIES_H
#define COFRE_JOB_ENTRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct entries;
struct error;
struct record;

#define ENTRIES_DIGEST 16

struct entries_item {
    const char *path; /* lent, NUL terminated */
    size_t path_length;
    uint32_t kind;                    /* COFRE_FILE ... */
    int64_t size;                     /* bytes; -1 = not known */
    int64_t mtime;                    /* ns; COFRE_NO_TIME */
    uint8_t content[ENTRIES_DIGEST];  /* of where the content lies, or of the link; all zero = that is not known */
    uint8_t metadata[ENTRIES_DIGEST]; /* of mode, owner, device, attributes, and whether it is whole */
};

/* Is it the same content? Where nothing says which it is, or it lies elsewhere, the time of the file decides, as it
 * does for rsync. */
bool entries_same_content(const struct entries_item *a, const struct entries_item *b);
/* The same kind and content, and the same time, which of a directory counts for nothing: it changes with what is in it.
 */
bool entries_same_version(const struct entries_item *a, const struct entries_item *b);
bool entries_same_metadata(const struct entries_item *a, const struct entries_item *b);

/* ---- from records ---- */

/* Zeroed, but for the first two. Freed by entries_taker_free. */
struct entries_taker {
    int (*take)(void *context, const struct entries_item *item, struct error *e);
    void *context;
    struct entries_item item;
    struct bytes path, text;
    uint8_t hash[32];
};
/* The next record of the source; take gets each entry when all of its records came. A vault_entry. */
int entries_take(void *taker, const struct record *record, struct error *e);
void entries_taker_free(struct entries_taker *taker);

/* ---- the file ---- */

/* Empty. directory: where there is room; it is made. */
int entries_make(const char *directory, struct entries **entries, struct error *e);
/* NULL is fine. */
void entries_free(struct entries *entries);
int entries_add(struct entries *entries, const struct entries_item *item, struct error *e);
/* From now on it is read, from the first on. */
int entries_rewind(struct entries *entries, struct error *e);
/* The next one, valid until the next call; NULL after the last. */
int entries_next(struct entries *entries, const struct entries_item **item, struct error *e);

#endif
