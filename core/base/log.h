/* The log: one line, one write(2), to stderr. Only cli/, the job runner and the worker's log channel call it.
 *
 * Names from outside are escaped (control bytes, invalid UTF-8), so that a file name cannot forge a line. errno is
 * kept.
 */
#ifndef COFRE_BASE_LOG_H
#define COFRE_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

struct error;

enum log_level { LOG_ERROR = 3, LOG_WARNING = 4, LOG_NOTICE = 5, LOG_INFO = 6, LOG_DEBUG = 7 };

/* What is more detailed than level is dropped. Default LOG_NOTICE; -q makes it LOG_WARNING, -v LOG_DEBUG. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* Lines get the time in front; off on a terminal. */
void log_set_timestamps(int on);

/* Called before a line is written and after it, to take a progress bar off the terminal and put it back. May be NULL.
 */
void log_set_hooks(void (*before)(void), void (*after)(void));

/* The log of the system, which gets lines of LOG_NOTICE and what is more important besides, whatever the level of
 * standard error is. That it cannot be reached is a warning there, once, and changes nothing else. */
enum log_service { LOG_NO_SERVICE, LOG_SYSLOG, LOG_JOURNAL };
void log_set_service(enum log_service service);
enum log_service log_get_service(void);

/* What only that log gets. text and values: escaped. id: 128 bits in hexadecimal, by which the journal knows the kind
 * of message, or NULL; fields, with names in capitals, are for the journal alone. */
struct log_field {
    const char *name, *value;
};
struct log_entry {
    enum log_level level;
    const char *text, *id;
    const struct log_field *fields;
    size_t field_count;
};
void log_to_service(const struct log_entry *entry);

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The error's message at this level, and its hint as a second line. */
void log_error(enum log_level level, const struct error *e);

/* The line below a message that says what to do. NULL and "" are nothing to say. */
void log_hint(enum log_level level, const char *hint);

/* text escaped for a terminal or log into out, terminated, cut with "..." when it does not fit. Returns out. Bytes that
 * are not printable UTF-8 become \xHH, and so do those of characters that hide or turn text (text_is_hidden); a newline
 * is \n, a backslash \\. */
const char *log_escape(const void *text, size_t length, char *out, size_t size);
/* The same for programs: all characters as they are. */
const char *log_escape_bytes(const void *text, size_t length, char *out, size_t size);
/* The bytes that an escaped text stands for, into out, which is as large as text and may be text. False, with nothing
 * done, when a backslash in it begins no escape, or a NUL would be in it. */
bool log_unescape(const char *text, char *out);

#endif
