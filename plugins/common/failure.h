/* Paths in messages: what is quoted there, and errors about one. */
#ifndef COFRE_COMMON_FAILURE_H
#define COFRE_COMMON_FAILURE_H

#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

/* The bytes of the printable UTF-8 character that text, of `left` bytes, begins with; 0 = it begins with none. */
size_t failure_character(const char *text, size_t left);

/* A path made fit for a message: control bytes and invalid UTF-8 as \xHH, backslash doubled, a long one cut in the
 * middle. Returns out. */
#define FAILURE_QUOTE_MAX 320
const char *failure_quote(const char *path, size_t length, char out[FAILURE_QUOTE_MAX]);

/* *error: *why, with the path it is about in front of its message. */
void failure_about(struct cofre_error *error, const char *path, size_t length, const struct cofre_error *why);

#endif
