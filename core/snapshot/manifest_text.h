/* Free text in the JSON of a manifest: any bytes but NUL, percent-encoded, since JSON holds only Unicode and paths are
 * bytes.
 *
 * Printable ASCII (0x20 to 0x7e) but '%', '"' and '\\' stands for itself, every other byte is %HH in upper case. There
 * is one way to write a text.
 */
#ifndef COFRE_SNAPSHOT_MANIFEST_TEXT_H
#define COFRE_SNAPSHOT_MANIFEST_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

struct error;

/* For the caller to free; NULL when out of memory. */
char *manifest_text_escape(const char *text);
/* In place. False: it is not what manifest_text_escape writes. */
bool manifest_text_unescape(char *text);

/* A list of them, each escaped; NULL when out of memory. */
json_t *manifest_text_list(char *const *texts, size_t count);
/* What manifest_text_list writes: *texts, with NULL behind the last, is malloc'd as each of them is, and the caller's.
 * -1, and nothing is the caller's: ERROR_INTEGRITY when it is anything else, or out of memory. */
int manifest_text_unlist(const json_t *list, char ***texts, size_t *count, struct error *e);

#endif
