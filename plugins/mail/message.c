#include "mail/message.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LINE 76 /* of the body, without its end */
#define WORD 39 /* bytes of text in an encoded word, which has 75 characters then */
#define NAME_LENGTH 200

/* ---- addresses ---- */

bool message_address(const char *text, char *out)
{
    const char *open = strrchr(text, '<'), *end = text + strlen(text);
    const char *from = open ? open + 1 : text;
    if (open && (end[-1] != '>' || open == text))
        return false;
    size_t n = (size_t)((open ? end - 1 : end) - from);
    if (n == 0 || n > MESSAGE_ADDRESS_MAX || from[0] == '-')
        return false;
    for (size_t i = 0; i < n; i++)
        if (from[i] <= ' ' || from[i] >= 0x7f || strchr("<>()[]\\,;:\"", from[i]))
            return false;
    memcpy(out, from, n);
    out[n] = '\0';
    return strchr(out, '@') == strrchr(out, '@');
}

/* ---- writing ---- */

struct writer {
    FILE *file;
    const char *line_end;
};

static void line(const struct writer *w, const char *name, const char *value)
{
    fprintf(w->file, "%s: %s%s", name, value, w->line_end);
}

static void base64(FILE *file, const unsigned char *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0u) | (i + 2 < n ? p[i + 2] : 0u);
        fputc(digits[v >> 18], file);
        fputc(digits[v >> 12 & 63], file);
        fputc(i + 1 < n ? digits[v >> 6 & 63] : '=', file);
        fputc(i + 2 < n ? digits[v & 63] : '=', file);
    }
}

static bool is_plain(const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] >= 0x7f)
            return false;
    return !memmem(text, n, "=?", 2);
}

/* On several lines, between its words, where one is too short. column: where it begins. */
static void folded(const struct writer *w, const char *text, size_t n, size_t column)
{
    for (size_t i = 0; i < n; i++) {
        const char *blank = memchr(text + i + 1, ' ', n - i - 1);
        size_t end = blank ? (size_t)(blank - text) : n;
        if (text[i] == ' ' && i > 0 && text[i - 1] != ' ' && column + (end - i) > LINE) {
            fputs(w->line_end, w->file);
            column = 0;
        }
        fputc(text[i], w->file);
        column++;
    }
}

/* Any text as what may stand in a header: as it is, or in encoded words (RFC 2047), none of which ends within a
 * character, on lines of their own. */
static void words(const struct writer *w, const char *text, size_t n)
{
    if (is_plain(text, n)) {
        folded(w, text, n, strlen("Subject: "));
        return;
    }
    for (size_t at = 0; at < n;) {
        size_t length = n - at < WORD ? n - at : WORD;
        while (length > 1 && at + length < n && ((unsigned char)text[at + length] & 0xc0) == 0x80)
            length--;
        fprintf(w->file, "%s=?UTF-8?B?", at > 0 ? " " : "");
        base64(w->file, (const unsigned char *)text + at, length);
        at += length;
        fprintf(w->file, "?=%s", at < n ? w->line_end : "");
    }
}

/* "NAME <ADDRESS>"; the name in quotes where it is not plain words. */
static void mailbox(const struct writer *w, const char *text)
{
    char address[MESSAGE_ADDRESS_MAX + 1];
    const char *open = strrchr(text, '<');
    size_t n = open ? (size_t)(open - text) : 0;
    if (!message_address(text, address))
        return;
    while (n > 0 && text[n - 1] == ' ')
        n--;
    if (n > NAME_LENGTH)
        n = 0;
    bool quoted = is_plain(text, n) && !memchr(text, '"', n) && !memchr(text, '\\', n);
    if (n > 0 && quoted)
        fprintf(w->file, "\"%.*s\" ", (int)n, text);
    else if (n > 0) {
        words(w, text, n);
        fprintf(w->file, "%s ", w->line_end);
    }
    fprintf(w->file, "<%s>", address);
}

static void date(const struct writer *w)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm))
        fprintf(w->file, "Date: %s, %02d %s %d %02d:%02d:%02d +0000%s", days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
                tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, w->line_end);
}

/* The same event has the same id, so that a mail that comes twice is seen to be one. */
static void message_id(const struct writer *w, const char *from, const char *id)
{
    char address[MESSAGE_ADDRESS_MAX + 1] = "";
    const char *at = message_address(from, address) ? strchr(address, '@') : NULL;
    fprintf(w->file, "Message-ID: <%s@%s>%s", id, at ? at + 1 : "localhost", w->line_end);
}

static void head(const struct writer *w, const struct message *m, const struct cofre_event *event)
{
    date(w);
    fputs("From: ", w->file);
    mailbox(w, m->from);
    fputs(w->line_end, w->file);
    for (size_t i = 0; i < m->to->count; i++) {
        fputs(i == 0 ? "To: " : " ", w->file);
        mailbox(w, m->to->items[i]);
        fprintf(w->file, "%s%s", i + 1 < m->to->count ? "," : "", w->line_end);
    }
    fputs("Subject: ", w->file);
    words(w, event->title, strlen(event->title));
    fputs(w->line_end, w->file);
    message_id(w, m->from, event->id);
    line(w, "Auto-Submitted", "auto-generated"); /* no answer of a machine comes to it */
    line(w, "X-Cofre-Event", event->event);
    if (event->job[0])
        line(w, "X-Cofre-Job", event->job);
    line(w, "MIME-Version", "1.0");
    line(w, "Content-Type", "text/plain; charset=utf-8");
    line(w, "Content-Transfer-Encoding", "quoted-printable");
    fputs(w->line_end, w->file);
}

/* Quoted-printable. A dot or "From " at the beginning of a line would mean something on some ways. */
static void body(const struct writer *w, const char *text)
{
    size_t column = 0;
    for (const unsigned char *p = (const unsigned char *)text; *p; p++) {
        if (*p == '\n') {
            fputs(w->line_end, w->file);
            column = 0;
            continue;
        }
        bool last = p[1] == '\n' || p[1] == '\0';
        bool plain =
            *p >= ' ' && *p < 0x7f && *p != '=' && !(*p == ' ' && last) && !(column == 0 && (*p == '.' || *p == 'F'));
        if (column + (plain ? 1 : 3) > LINE - 1) {
            fprintf(w->file, "=%s", w->line_end);
            column = 0;
        }
        fprintf(w->file, plain ? "%c" : "=%02X", *p);
        column += plain ? 1 : 3;
    }
    if (column > 0)
        fputs(w->line_end, w->file);
}

char *message_make(const struct message *message, const struct cofre_event *event)
{
    char *text = NULL;
    size_t length;
    struct writer w = {.file = open_memstream(&text, &length), .line_end = message->line_end};
    if (!w.file)
        return NULL;
    head(&w, message, event);
    body(&w, event->text);
    bool failed = ferror(w.file);
    if (fclose(w.file) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}
