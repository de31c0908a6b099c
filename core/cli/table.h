/* A table of text: cells are collected, columns become as wide as their widest cell. */
#ifndef COFRE_CLI_TABLE_H
#define COFRE_CLI_TABLE_H

#include <stddef.h>

struct error;
struct output;

#define TABLE_COLUMNS_MAX 12

struct table_column {
    const char *title;
    int right; /* numbers stand on the right */
};

struct table_cell {
    char *text;        /* owned */
    const char *paint; /* what turns a terminal's colour on; NULL = none */
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    struct table_cell *cells; /* row by row */
    size_t cell_count, cell_capacity;
};

void table_init(struct table *t, const struct table_column *columns, size_t column_count);
void table_free(struct table *t);
/* The next cell, copied and escaped. */
int table_add(struct table *t, const char *text, struct error *e);
/* The same, in a colour: paint, such as "\033[31m", lives as long as the table; NULL = none. */
int table_add_painted(struct table *t, const char *text, const char *paint, struct error *e);
/* Titles and rows; nothing when there is no row. */
void table_print(const struct table *t, struct output *out);

#endif
