/* INI text, strictly: one section or one "key = value" a line, comments with ';' or '#' at the start of a line and with
 * " ;" behind a value.
 *
 * inih parses the lines. It cuts them at 200 bytes and takes an indented line for more of the value above; so lines are
 * handed to it one at a time, a long one in slices that are joined again, and an indented line is refused. Also
 * refused: control bytes, bytes that are no UTF-8, lines of more than INI_LINE_MAX bytes. A byte order mark and CRLF
 * are fine.
 *
 * No message holds a value, a key or other text of the file: it could be a part of a secret.
 */
#ifndef COFRE_CONFIG_INI_H
#define COFRE_CONFIG_INI_H

#include <stddef.h>

struct error;

#define INI_LINE_MAX 65536

/* Both return 0, or -1 to stop. header is what stands between the brackets. The strings live until the return. */
struct ini_events {
    int (*section)(void *user, unsigned line, const char *header, struct error *e);
    int (*key)(void *user, unsigned line, const char *name, const char *value, struct error *e);
    void *user;
};

/* -1 with ERROR_CONFIG at the first fault, or when an event stopped; *line is where. */
int ini_scan(const void *text, size_t length, const struct ini_events *events, unsigned *line, struct error *e);

#endif
