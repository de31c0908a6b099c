#include "cli/table.h"

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
        free(t->cells[i]);
    free(t->cells);
    t->cells = NULL;
    t->cell_count = t->cell_capacity = 0;
}

int table_add(struct table *t, const char *text, struct error *e)
{
    if (t->cell_count == t->cell_capacity) {
        size_t capacity = t->cell_capacity ? 2 * t->cell_capacity : 64;
        char **cells = realloc(t->cells, capacity * sizeof *cells);
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
    t->cells[t->cell_count++] = copy;
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

static void print_row(const struct table *t, const size_t *widths, const char *const *row, struct output *out)
{
    for (size_t i = 0; i < t->column_count; i++) {
        int padding = (int)(widths[i] - width(row[i]));
        const char *gap = i + 1 < t->column_count ? "  " : "";
        if (t->columns[i].right)
            output_print(out, "%*s%s%s", padding, "", row[i], gap);
        else if (*gap)
            output_print(out, "%s%*s%s", row[i], padding, "", gap);
        else
            output_print(out, "%s", row[i]);
    }
    output_print(out, "\n");
}

void table_print(const struct table *t, struct output *out)
{
    size_t widths[TABLE_COLUMNS_MAX];
    const char *row[TABLE_COLUMNS_MAX];
    if (t->cell_count < t->column_count)
        return;
    for (size_t i = 0; i < t->column_count; i++) {
        row[i] = t->columns[i].title;
        widths[i] = width(row[i]);
        for (size_t at = i; at < t->cell_count; at += t->column_count)
            if (width(t->cells[at]) > widths[i])
                widths[i] = width(t->cells[at]);
    }
    print_row(t, widths, row, out);
    for (size_t at = 0; at + t->column_count <= t->cell_count; at += t->column_count) {
        for (size_t i = 0; i < t->column_count; i++)
            row[i] = t->cells[at + i];
        print_row(t, widths, row, out);
    }
}
