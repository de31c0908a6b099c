#include "postgres/complaint.h"

#include <stdio.h>
#include <string.h>

#include "common/failure.h"

#define NAME "pg_restore: "

/* What a database that is not UTF-8 says is not either. */
static void make_valid(char *text)
{
    for (size_t take; *text; text += take) {
        take = failure_character(text, strlen(text));
        if (take == 0) {
            *text = '?';
            take = 1;
        }
    }
}

/* As much as fits, and no half words. */
static void copy_words(char *out, size_t size, const char *text)
{
    static const char more[] = " ...";
    size_t n = strlen(text);
    if (n >= size) {
        for (n = size - sizeof more; n > 0 && text[n] != ' ';)
            n--;
        if (n == 0)
            for (n = size - sizeof more; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
                n--;
        memmove(out, text, n);
        memcpy(out + n, more, sizeof more);
        make_valid(out);
        return;
    }
    while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == ';' || text[n - 1] == '.'))
        n--;
    memmove(out, text, n);
    out[n] = '\0';
    make_valid(out);
}

static const char *after(const char *text, const char *beginning)
{
    size_t n = strlen(beginning);
    return strncmp(text, beginning, n) == 0 ? text + n : NULL;
}

/* "ERROR:  relation ...", in the server's language. */
static const char *without_severity(const char *said)
{
    const char *colon = strstr(said, ":  ");
    return colon && !memchr(said, ' ', (size_t)(colon - said)) ? colon + 3 : said;
}

/* A statement that is not known, or none at all, may have been about data; a table that is not there has none. */
static bool brings_data(const struct complaint *c)
{
    static const char *const statements[] = {"COPY ",
                                             "INSERT ",
                                             "SELECT pg_catalog.setval(",
                                             "CREATE TABLE ",
                                             "CREATE UNLOGGED ",
                                             "CREATE SEQUENCE ",
                                             "SELECT pg_catalog.lo_"};
    bool data = c->command[0] == '\0' || strstr(c->said, "large object") || strstr(c->command, " ATTACH PARTITION ");
    for (size_t i = 0; i < sizeof statements / sizeof statements[0] && !data; i++)
        data = after(c->command, statements[i]) != NULL;
    return data;
}

static void close_last(struct complaints *all)
{
    if (!all->open)
        return;
    all->open = false;
    all->last.data = brings_data(&all->last);
    all->data = all->data || all->last.data;
    if (all->count++ == 0)
        all->first = all->last;
    if (all->found)
        all->found(all->context, &all->last);
}

static void begin(struct complaints *all, const char *said)
{
    static const char *const fronts[] = {"error: ", "warning: ", "could not execute query: "};
    close_last(all);
    for (size_t i = 0; i < sizeof fronts / sizeof fronts[0]; i++)
        said = after(said, fronts[i]) ? after(said, fronts[i]) : said;
    all->last = (struct complaint){.data = false};
    copy_words(all->last.said, sizeof all->last.said, without_severity(said));
    all->open = true;
}

/* Two workers that fail at once write at once: a statement that finds its complaint taken stands for itself. */
static void add_command(struct complaints *all, const char *command)
{
    if (!all->open || all->last.command[0] != '\0')
        begin(all, "");
    copy_words(all->last.command, sizeof all->last.command, command);
}

void complaint_line(void *context, const char *line)
{
    struct complaints *all = context;
    const char *said = after(line, NAME), *command;
    /* Older ones put the name in front of these, too. */
    if (said && (after(said, "while ") || after(said, "from TOC entry")))
        return;
    if ((command = after(said ? said : line, "Command was: ")) ||
        (command = after(said ? said : line, "detail: Command was: ")))
        add_command(all, command);
    else if (said && after(said, "warning: errors ignored on restore"))
        all->to_the_end = true;
    else if (said)
        begin(all, said);
    else if (all->open && after(line, "DETAIL:  ")) {
        char both[sizeof all->last.said * 2];
        snprintf(both, sizeof both, "%s: %s", all->last.said, after(line, "DETAIL:  "));
        copy_words(all->last.said, sizeof all->last.said, both);
    }
}

void complaint_end(struct complaints *all)
{
    close_last(all);
}
