#include "archive/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

static void free_file(struct inventory_file *file)
{
    free(file->name);
    free(file->source);
}

static void free_row(struct inventory_row *row)
{
    free(row->source);
    free(row->path);
    free(row->error);
    free(row->file);
    free(row->user);
    free(row->group);
}

void inventory_cut(struct inventory *inventory, size_t files, size_t rows)
{
    for (size_t i = files; i < inventory->file_count; i++)
        free_file(&inventory->files[i]);
    for (size_t i = rows; i < inventory->row_count; i++)
        free_row(&inventory->rows[i]);
    inventory->file_count = files;
    inventory->row_count = rows;
}

void inventory_free(struct inventory *inventory)
{
    inventory_cut(inventory, 0, 0);
    free(inventory->files);
    free(inventory->rows);
    free(inventory->counts);
    manifest_free(inventory->manifest);
    *inventory = (struct inventory){0};
}

int inventory_add_file(struct inventory *inventory, const char *source, const char *name, struct inventory_file **file,
                       struct error *e)
{
    if (inventory->file_count == INVENTORY_FILES_MAX)
        return error_set(e, ERROR_RANGE, "more than %u stored files", INVENTORY_FILES_MAX);
    struct inventory_file *files = realloc(inventory->files, (inventory->file_count + 1) * sizeof *files);
    if (!files)
        return error_memory(e);
    inventory->files = files;
    struct inventory_file made = {.source = text_copy(source), .name = text_copy(name)};
    if (!made.source || !made.name) {
        free_file(&made);
        return error_memory(e);
    }
    *file = &files[inventory->file_count++];
    **file = made;
    return 0;
}

static int grow(struct inventory *inventory, struct error *e)
{
    size_t capacity = inventory->row_capacity ? 2 * inventory->row_capacity : 64;
    if (inventory->row_count < inventory->row_capacity)
        return 0;
    struct inventory_row *rows = realloc(inventory->rows, capacity * sizeof *rows);
    if (!rows)
        return error_memory(e);
    inventory->rows = rows;
    inventory->row_capacity = capacity;
    return 0;
}

int inventory_add_row(struct inventory *inventory, const char *source, struct inventory_row **row, struct error *e)
{
    if (inventory->row_count == INVENTORY_ROWS_MAX)
        return error_set(e, ERROR_RANGE, "more than %u streams and entries that are not whole", INVENTORY_ROWS_MAX);
    if (grow(inventory, e) < 0)
        return -1;
    char *copy = text_copy(source);
    if (!copy)
        return error_memory(e);
    *row = &inventory->rows[inventory->row_count++];
    **row = (struct inventory_row){.source = copy};
    return 0;
}

const struct inventory_file *inventory_find(const struct inventory *inventory, const char *name)
{
    for (size_t i = 0; i < inventory->file_count; i++)
        if (strcmp(inventory->files[i].name, name) == 0)
            return &inventory->files[i];
    return NULL;
}
