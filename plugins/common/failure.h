/* Failures of system calls, in the words of the plugin ABI. */
#ifndef COFRE_COMMON_FAILURE_H
#define COFRE_COMMON_FAILURE_H

#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

/* The error class of an errno; COFRE_E_PERMANENT when the table has none. */
int32_t failure_class(int errnum);

/* Fill *error with the text, ": " and strerror(errnum); returns the class of errnum. An earlier hint goes. */
int32_t failure_system(struct cofre_error *error, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As cofre_fail, and forgets what an earlier failure left in *error: errno, hint. */
int32_t failure_set(struct cofre_error *error, int32_t error_class, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

void failure_hint(struct cofre_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The bytes of the printable UTF-8 character that text, of `left` bytes, begins with; 0 = it begins with none. */
size_t failure_character(const char *text, size_t left);

/* A path made fit for a message: control bytes and invalid UTF-8 as \xHH, backslash doubled, a long one cut in the
 * middle. Returns out. */
#define FAILURE_QUOTE_MAX 320
const char *failure_quote(const char *path, size_t length, char out[FAILURE_QUOTE_MAX]);

/* *error: *why, with the path it is about in front of its message. */
void failure_about(struct cofre_error *error, const char *path, size_t length, const struct cofre_error *why);

#endif
