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

/* The length of the printable UTF-8 sequence at p, 0 when it is none. */
static size_t printable(const uint8_t *p, size_t left)
{
    if (p[0] < 0x80)
        return p[0] >= 0x20 && p[0] != 0x7f ? 1 : 0;
    size_t n = p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;
    if (n == 0 || p[0] >= 0xf5 || n > left)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) /* C1 controls */
        return 0;
    if (n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0)))
        return 0;
    if (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90)))
        return 0;
    return n;
}

const char *log_escape(const void *text, size_t length, char *out, size_t size)
{
    const uint8_t *p = text;
    size_t at = 0;
    for (size_t i = 0; i < length;) {
        char piece[8];
        size_t n = printable(p + i, length - i);
        if (p[i] == '\\' || p[i] == '\n' || n == 0) {
            n = 1;
            if (p[i] == '\\' || p[i] == '\n')
                snprintf(piece, sizeof piece, "\\%c", p[i] == '\n' ? 'n' : '\\');
            else
                snprintf(piece, sizeof piece, "\\x%02x", p[i]);
        } else {
            memcpy(piece, p + i, n);
            piece[n] = '\0';
        }
        size_t add = strlen(piece);
        if (at + add + 4 > size) {
            memcpy(out + at, "...", 4);
            return out;
        }
        memcpy(out + at, piece, add + 1);
        at += add;
        i += n;
    }
    out[at] = '\0';
    return out;
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

static void write_line(enum log_level level, const char *label, const char *text)
{
    static const char *const names[] = {[LOG_ERROR] = "error: ", [LOG_WARNING] = "warning: "};
    char line[4096], safe[3072], stamp[CLOCK_TEXT_MAX] = "";
    if (timestamps)
        clock_format_shown(clock_now(), stamp);
    const char *name = label ? label : level <= LOG_WARNING && names[level] ? names[level] : "";
    log_escape(text, strlen(text), safe, sizeof safe);
    int n = snprintf(line, sizeof line, "%s%s%s%s\n", stamp, timestamps ? " " : "", name, safe);
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
    if (level > threshold)
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
    if (level > threshold)
        return;
    int saved = errno;
    char text[ERROR_TEXT_MAX];
    write_line(level, NULL, error_text(e, text));
    errno = saved;
    log_hint(level, e->hint);
}

void log_hint(enum log_level level, const char *hint)
{
    if (level > threshold || !hint || !hint[0])
        return;
    int saved = errno;
    write_line(level, "  hint: ", hint);
    errno = saved;
}
