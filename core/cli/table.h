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

struct table {
    const struct table_column *columns;
    size_t column_count;
    char **cells; /* row by row, owned */
    size_t cell_count, cell_capacity;
};

void table_init(struct table *t, const struct table_column *columns, size_t column_count);
void table_free(struct table *t);
/* The next cell, copied and escaped. */
int table_add(struct table *t, const char *text, struct error *e);
/* Titles and rows; nothing when there is no row. */
void table_print(const struct table *t, struct output *out);

#endif
