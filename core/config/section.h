/* Sections as they are written: headers and keys, names and duplicates checked, types not yet known.
 */
#ifndef COFRE_CONFIG_SECTION_H
#define COFRE_CONFIG_SECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

struct error;

#define SECTION_MAX 4096    /* sections in a configuration */
#define SECTION_KEY_MAX 256 /* keys in a section */

enum section_kind { SECTION_ENGINE, SECTION_SOURCE, SECTION_SINK, SECTION_NOTIFY, SECTION_JOB, SECTION_OVERRIDE };

struct section {
    enum section_kind kind;
    char *name, *sink; /* name: NULL for engine; sink: of an override, else NULL */
    const char *file;
    unsigned line;
    struct config_key *keys;
    size_t key_count;
    char *fault; /* section_expand: why it cannot be used, NULL = it can */
};

/* Zeroed is empty. */
struct sections {
    struct section *items;
    size_t count;
};

/* Append the sections of one text. file goes in front of messages and must outlive the sections. */
int section_read(struct sections *sections, const char *file, const void *text, size_t length, bool private_file,
                 struct error *e);
/* Expand ${NAME} in all values of this section; a key whose value is empty then counts as not written. A variable that
 * is not set is an error where it would be needed whatever is done; a source, sink or notifier that has one gets it for
 * its fault, since it may not be needed. */
int section_expand(struct section *section, struct error *e);
void section_free(struct sections *sections);
/* Free keys, wiping the values: they may be secrets. */
void section_free_keys(struct config_key *keys, size_t count);

/* "source 'gymdb'", "[engine]", ... into out. Returns out. */
const char *section_title(const struct section *section, char *out, size_t size);
/* The key of that name, or NULL. */
const struct config_key *section_find(const struct section *section, const char *name);
/* Every key must be in options (which end with a row without name). */
int section_check_keys(const struct section *section, const struct option *options, struct error *e);
/* Parse the key, else the fallback, into *value. 1: it was written; 0: it was not; -1: error. */
int section_value(const struct section *section, const struct option *options, const char *name,
                  struct option_value *value, struct error *e);

/* Put "FILE:LINE: " in front of the error. Returns -1. */
int section_error_at(const struct section *section, struct error *e);
int section_error_at_key(const struct config_key *key, struct error *e);

/* Hint with the nearest of names (count strings), else with all of them behind what ("jobs"), if any. Returns -1. */
int section_suggest(const char *word, const char *what, const char *const *names, size_t count, struct error *e);
/* The same with the names of one or two tables; more may be NULL. */
int section_suggest_option(const char *word, const struct option *options, const struct option *more, struct error *e);
/* Hint when one of the section's keys looks like name misspelt; else nothing. */
void section_suggest_misspelt(const struct section *section, const char *name, struct error *e);

#endif
