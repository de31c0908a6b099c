#include "cli/table.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/output.h"

void table_init(struct table *t, const struct table_column *columns, size_t column_count)
{
    ASSERT(column_count > 0 && column_count <= TABLE_COLUMNS_MAX);
    *t = (struct table){.columns = columns, .column_count = column_count};
}

void table_free(struct table *t)
{
    for (size_t i = 0; i < t->cell_count; i++)
        free(t->cells[i].text);
    free(t->cells);
    t->cells = NULL;
    t->cell_count = t->cell_capacity = 0;
}

int table_add(struct table *t, const char *text, struct error *e)
{
    return table_add_painted(t, text, NULL, e);
}

int table_add_painted(struct table *t, const char *text, const char *paint, struct error *e)
{
    if (t->cell_count == t->cell_capacity) {
        size_t capacity = t->cell_capacity ? 2 * t->cell_capacity : 64;
        struct table_cell *cells = realloc(t->cells, capacity * sizeof *cells);
        if (!cells)
            return error_memory(e);
        t->cells = cells;
        t->cell_capacity = capacity;
    }
    size_t length = strlen(text);
    char *copy = malloc(4 * length + 8);
    if (!copy)
        return error_memory(e);
    log_escape(text, length, copy, 4 * length + 8);
    t->cells[t->cell_count++] = (struct table_cell){copy, paint};
    return 0;
}

/* Columns on the screen: bytes that do not continue a UTF-8 sequence. */
static size_t width(const char *text)
{
    size_t n = 0;
    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_row(const struct table *t, const size_t *widths, const struct table_cell *row, struct output *out)
{
    for (size_t i = 0; i < t->column_count; i++) {
        const char *text = row[i].text, *on = row[i].paint ? row[i].paint : "", *off = *on ? "\033[0m" : "";
        int padding = (int)(widths[i] - width(text));
        const char *gap = i + 1 < t->column_count ? "  " : "";
        if (t->columns[i].right)
            output_print(out, "%*s%s%s%s%s", padding, "", on, text, off, gap);
        else if (*gap)
            output_print(out, "%s%s%s%*s%s", on, text, off, padding, "", gap);
        else
            output_print(out, "%s%s%s", on, text, off);
    }
    output_print(out, "\n");
}

void table_print(const struct table *t, struct output *out)
{
    size_t widths[TABLE_COLUMNS_MAX];
    struct table_cell titles[TABLE_COLUMNS_MAX];
    if (t->cell_count < t->column_count)
        return;
    for (size_t i = 0; i < t->column_count; i++) {
        titles[i] = (struct table_cell){(char *)(uintptr_t)t->columns[i].title, NULL};
        widths[i] = width(titles[i].text);
        for (size_t at = i; at < t->cell_count; at += t->column_count)
            if (width(t->cells[at].text) > widths[i])
                widths[i] = width(t->cells[at].text);
    }
    print_row(t, widths, titles, out);
    for (size_t at = 0; at + t->column_count <= t->cell_count; at += t->column_count)
        print_row(t, widths, t->cells + at, out);
}
