/* Calls of a source's worker: a backup is a stream of events that the engine takes, a restore a stream that it gives.
 */
#ifndef COFRE_WORKER_SOURCE_H
#define COFRE_WORKER_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "snapshot/entry.h"

struct worker;

/* ---- backup ---- */

/* The previous snapshot's entries, written by the engine in path order and read by the worker, so that an unchanged
 * entry is answered without a round trip. Records, in a file that is then only read: u16 bytes of the path shared with
 * the record before, u16 bytes that follow, those bytes, 16 bytes fingerprint Every entry of the previous snapshot has
 * a record, so that ordinals count them all; an all-zero fingerprint never matches. fingerprint_key (16 random bytes
 * kept with the catalogue) keys the hash: SipHash-128 of the plugin's fingerprint (crypto_shorthash_siphashx24). */
struct source_previous {
    int fd; /* -1 = none */
    uint8_t fingerprint_key[16];
};

enum source_event_type {
    SOURCE_ENTRY,     /* entry */
    SOURCE_DATA,      /* bytes, length: valid until the next event. They lie in memory that the worker shares, and a
                       * broken or hostile plugin could still change them: copy once, then hash the copy */
    SOURCE_HOLE,      /* length */
    SOURCE_RESTART,   /* the content so far is void */
    SOURCE_END,       /* of the entry; result says how, content_length what was sent, counted by the worker */
    SOURCE_UNCHANGED, /* ordinal: the entry's number, from 0, in the previous table; ordinals ascend. What it
                       * is is not known here: whoever looks it up says it with source_taken_over */
    SOURCE_MISSING,   /* path, result: could not be announced. ERROR_NOT_FOUND = vanished */
    SOURCE_FACT,      /* key, value, flags */
    SOURCE_LEFT_OUT,  /* path: its name; value: why it is not saved */
    SOURCE_FINISHED   /* the plugin's backup() returned success; nothing follows */
};

struct source_event {
    enum source_event_type type;
    struct snapshot_entry entry;
    const void *bytes;
    uint64_t length;
    uint64_t content_length;
    uint64_t ordinal;
    const char *path;
    size_t path_length;
    struct error result; /* END, MISSING: class ERROR_NONE = fine */
    const char *key, *value;
    uint32_t flags; /* COFRE_FACT_* */
};

/* The id that covers the backup or restore that follows, as the plugin sees it; lent for as long. NULL = none: each
 * gets one of its own, which nobody remembers. */
void source_cover(struct worker *source, const char *id);

/* What the plugin may know of the snapshot before: in a restore the one that is restored, in a backup the last one. Its
 * id, and the facts recorded with the source. Lent until the next source_backup_begin or source_restore_begin has
 * returned, which take it. */
struct source_fact {
    const char *key, *value;
};
struct source_past {
    const char *snapshot;
    const struct source_fact *facts;
    size_t fact_count;
};
void source_recall(struct worker *source, const struct source_past *past);

int source_backup_begin(struct worker *source, const struct source_previous *previous, struct error *e);
/* The next event. The worker has checked the order of paths and the grammar (entry, content, end); so has the engine's
 * side: a violation is ERROR_PLUGIN. -1 also when backup() failed: then with its own error. */
int source_event(struct worker *source, struct source_event *event, struct error *e);

/* What the entry of the last SOURCE_UNCHANGED is. Its place is then checked, and that of what follows, as those of
 * entries that are announced. -1: ERROR_PLUGIN, as source_event. */
int source_taken_over(struct worker *source, const char *path, size_t path_length, uint32_t kind, struct error *e);

/* ---- restore ---- */

/* Returns when the plugin asks for the first entry. -1 with ERROR_RETRY: it can be begun again. */
int source_restore_begin(struct worker *source, struct error *e);
int source_give_entry(struct worker *source, const struct snapshot_entry *entry, struct error *e);
int source_give_data(struct worker *source, const void *p, size_t n, struct error *e);
int source_give_hole(struct worker *source, uint64_t n, struct error *e);
/* End of the entry's content; to be called for every entry, content or not. */
int source_give_end(struct worker *source, struct error *e);
/* Instead of source_give_end: the entry's content cannot be had whole, for the reason in why (ERROR_INTEGRITY). The
 * plugin discards what it has of it and names it as a problem. */
int source_give_damaged(struct worker *source, const struct error *why, struct error *e);
/* The rest will never come; ends the call. */
void source_restore_abort(struct worker *source);

/* What was not put back. result as in done(): ERROR_UNSUPPORTED = left out. */
struct source_problem {
    const char *path;
    size_t path_length;
    struct error result;
};
#define SOURCE_PROBLEMS 1000
/* Entries, as done() and late() told of them. */
struct source_restored {
    uint64_t whole;
    uint64_t partly; /* with all of their content, without some of their metadata */
    uint64_t failed;
};
/* No more entries; waits until the plugin has put everything back. problem is called for each that failed (they are
 * collected while entries flow: at most SOURCE_PROBLEMS are kept, the counts are exact). */
int source_restore_finish(struct worker *source, struct source_restored *restored,
                          void (*problem)(void *context, const struct source_problem *), void *context,
                          struct error *e);

/* ---- the rest ---- */

/* Where the plugin offers it (PLUGIN_OFFERS_*); else ERROR_UNSUPPORTED. id: at most 63 bytes, durable before the call:
 * attempt/undo.h. thaw and scratch_drop run also while everything else is being cancelled; they give up the call at
 * hand.
 */
int source_freeze(struct worker *source, const char *id, struct error *e);
int source_thaw(struct worker *source, const char *id, struct error *e);
/* When the failure in *e is one that passes: thaw what the attempt has left, so that another can be made under the same
 * id. When that fails for good, *e says so. */
void source_take_back(struct worker *source, const char *id, struct error *e);
/* -1 = not known; also where the plugin does not offer it. */
int source_estimate(struct worker *source, int64_t *entries, int64_t *bytes, struct error *e);
/* *overrides: "key=value\n" lines, freed by the caller. */
int source_scratch_make(struct worker *source, const char *id, char **overrides, struct error *e);
int source_scratch_drop(struct worker *source, const char *id, struct error *e);
/* The facts of what is there now, one after another. */
int source_facts(struct worker *source, void (*fact)(void *context, const char *key, const char *value), void *context,
                 struct error *e);

/* What could be a source. Lent. */
struct source_offer {
    const char *name, *options, *about;
    const char *covered_by; /* NULL = no source */
};
/* What the plugin finds there, one after another. It is told of the configuration first (worker_tell). */
int source_discover(struct worker *source, void (*offer)(void *context, const struct source_offer *), void *context,
                    struct error *e);

/* The services around a restore. what: COFRE_SERVICES_*; id: NULL to say, else durable before the call; which: the text
 * of restore_stop; found: for what is said, else NULL. */
struct worker_finding;
int source_services(struct worker *source, int what, const char *id, const char *which,
                    void (*found)(void *context, const struct worker_finding *), void *context, struct error *e);

#endif
