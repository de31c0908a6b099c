#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"

static enum log_level threshold = LOG_NOTICE;
static int timestamps = 1;
static void (*hook_before)(void);
static void (*hook_after)(void);

void log_set_level(enum log_level level)
{
    threshold = level;
}

enum log_level log_get_level(void)
{
    return threshold;
}

void log_set_timestamps(int on)
{
    timestamps = on;
}

void log_set_hooks(void (*before)(void), void (*after)(void))
{
    hook_before = before;
    hook_after = after;
}

/* What the n bytes at p become, which are one printable sequence when plain is set. Returns its length. */
static size_t escape_one(const uint8_t *p, size_t n, bool plain, char out[17])
{
    size_t at = 0;
    if (n == 1 && (*p == '\\' || *p == '\n'))
        return (size_t)snprintf(out, 17, "\\%c", *p == '\n' ? 'n' : '\\');
    for (size_t i = 0; i < n; i++)
        at += plain ? (out[at] = (char)p[i], 1u) : (size_t)snprintf(out + at, 17 - at, "\\x%02x", p[i]);
    return at;
}

static const char *escape(const void *text, size_t length, bool shown, char *out, size_t size)
{
    const uint8_t *p = text;
    size_t at = 0;
    for (size_t i = 0; i < length;) {
        char piece[17];
        uint32_t character;
        size_t n = text_character(p + i, length - i, &character);
        bool plain = n > 0 && !(shown && text_is_hidden(character));
        n = n > 0 ? n : 1;
        size_t add = escape_one(p + i, n, plain, piece);
        if (at + add + 4 > size) {
            memcpy(out + at, "...", 4);
            return out;
        }
        memcpy(out + at, piece, add);
        at += add;
        i += n;
    }
    out[at] = '\0';
    return out;
}

const char *log_escape(const void *text, size_t length, char *out, size_t size)
{
    return escape(text, length, true, out, size);
}

const char *log_escape_bytes(const void *text, size_t length, char *out, size_t size)
{
    return escape(text, length, false, out, size);
}

/* The length of the escape at p, and its byte; 0 when it is none. */
static size_t escape_at(const char *p, char *byte)
{
    uint8_t value;
    char digits[3] = "";
    if (p[1] == '\\' || p[1] == 'n') {
        *byte = p[1] == 'n' ? '\n' : '\\';
        return 2;
    }
    if (p[1] != 'x' || !p[2] || !p[3])
        return 0;
    memcpy(digits, p + 2, 2);
    if (!text_parse_hex(digits, &value, 1) || value == 0)
        return 0;
    *byte = (char)value;
    return 4;
}

bool log_unescape(const char *text, char *out)
{
    char byte;
    for (const char *p = strchr(text, '\\'); p; p = strchr(p, '\\')) {
        size_t n = escape_at(p, &byte);
        if (n == 0)
            return false;
        p += n;
    }
    while (*text) {
        size_t n = 1;
        byte = *text;
        if (byte == '\\')
            n = escape_at(text, &byte);
        *out++ = byte;
        text += n;
    }
    *out = '\0';
    return true;
}

/* Is there anybody to read it? */
static bool is_wanted(enum log_level level)
{
    return level <= threshold || (level <= LOG_NOTICE && log_get_service() != LOG_NO_SERVICE);
}

static void copy_line(enum log_level level, const char *name, const char *text)
{
    char line[4096];
    if (log_get_service() == LOG_NO_SERVICE)
        return;
    snprintf(line, sizeof line, "%s%s", name, text);
    log_to_service(&(struct log_entry){.level = level, .text = line});
}

static void write_line(enum log_level level, const char *label, const char *text)
{
    static const char *const names[] = {[LOG_ERROR] = "error: ", [LOG_WARNING] = "warning: "};
    char line[4096], safe[3072], stamp[CLOCK_TEXT_MAX] = "";
    if (timestamps)
        clock_format_shown(clock_now(), stamp);
    const char *name = label ? label : level <= LOG_WARNING && names[level] ? names[level] : "";
    log_escape(text, strlen(text), safe, sizeof safe);
    copy_line(level, name, safe);
    int n = snprintf(line, sizeof line, "%s%s%s%s\n", stamp, timestamps ? " " : "", name, safe);
    if (level > threshold)
        return;
    if (hook_before)
        hook_before();
    /* A log that cannot be written must not fail a backup. */
    if (n > 0 && write(STDERR_FILENO, line, (size_t)n) < 0)
        errno = 0;
    if (hook_after)
        hook_after();
}

void log_line(enum log_level level, const char *format, ...)
{
    if (!is_wanted(level))
        return;
    int saved = errno;
    char text[3072];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    write_line(level, NULL, text);
    errno = saved;
}

void log_error(enum log_level level, const struct error *e)
{
    if (!is_wanted(level))
        return;
    int saved = errno;
    char text[ERROR_TEXT_MAX];
    write_line(level, NULL, error_text(e, text));
    errno = saved;
    log_hint(level, e->hint);
}

void log_hint(enum log_level level, const char *hint)
{
    if (!is_wanted(level) || !hint || !hint[0])
        return;
    int saved = errno;
    write_line(level, "  hint: ", hint);
    errno = saved;
}
