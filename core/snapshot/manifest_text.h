/* Free text in the JSON of a manifest: any bytes but NUL, percent-encoded, since JSON holds only Unicode and paths are
 * bytes.
 *
 * Printable ASCII (0x20 to 0x7e) but '%', '"' and '\\' stands for itself, every other byte is %HH in upper case. There
 * is one way to write a text.
 */
#ifndef COFRE_SNAPSHOT_MANIFEST_TEXT_H
#define COFRE_SNAPSHOT_MANIFEST_TEXT_H

#include <stdbool.h>

/* For the caller to free; NULL when out of memory. */
char *manifest_text_escape(const char *text);
/* In place. False: it is not what manifest_text_escape writes. */
bool manifest_text_unescape(char *text);

#endif
