/* The grammar of a backup: what may follow what. Both ends of a worker check it with the same code: the worker to tell
 * the plugin's author at once, the engine because it trusts nobody.
 *
 *   backup = { entry (data | hole | restart)* end | unchanged | missing | fact }
 */
#ifndef COFRE_WIRE_GRAMMAR_H
#define COFRE_WIRE_GRAMMAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct snapshot_entry;

struct grammar {
    char *path; /* of the last entry, room for the longest */
    size_t path_length;
    bool any;          /* an entry was seen */
    bool closed;       /* nothing can be below it: it is known to be no directory */
    bool open;         /* it waits for its end */
    bool has_content;  /* its kind has content */
    uint64_t content;  /* bytes so far */
    uint64_t ordinals; /* unchanged entries: one more than the last ordinal */
};

int grammar_start(struct grammar *g, struct error *e);
void grammar_free(struct grammar *g);

/* Each returns -1 with ERROR_PLUGIN, a text that begins with what was done wrong: "announced '../x', ...". */
int grammar_entry(struct grammar *g, const struct snapshot_entry *entry, struct error *e);
int grammar_content(struct grammar *g, uint64_t length, struct error *e);
int grammar_restart(struct grammar *g, struct error *e);
int grammar_end(struct grammar *g, struct error *e);
/* Does path come after every entry so far, and below none that is no directory? */
bool grammar_follows(const struct grammar *g, const char *path, size_t length);
/* The entry just announced could not be sent: it is not open, and missing() may name it (worker's side). */
void grammar_withdraw(struct grammar *g);
/* An entry is as in the last snapshot (worker's side, which does not know its kind). */
void grammar_unchanged(struct grammar *g, const char *path, size_t length);
/* An unchanged entry, of which only the ordinal is known (engine's side); then what it is, once it was looked up. */
int grammar_ordinal(struct grammar *g, uint64_t ordinal, struct error *e);
int grammar_taken_over(struct grammar *g, const char *path, size_t length, uint32_t kind, struct error *e);
int grammar_finish(struct grammar *g, struct error *e);

#endif
