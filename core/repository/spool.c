#include "repository/spool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/catalogue_file.h"
#include "repository/writer.h"
#include "snapshot/manifest.h"

/* The catalogue on its way into chunks: a row of the manifest for each. */
struct spool {
    struct writer *writer;
    struct manifest_source *source;
    struct bytes numbers; /* uint64_t per row: its chunk's number */
    size_t named;         /* rows before it have their ids: the chunks of one lane are named in order */
};

static struct manifest_chunk *add_row(struct spool *s, uint64_t number, struct error *e)
{
    struct manifest_source *source = s->source;
    struct manifest_chunk *rows = realloc(source->chunks, (source->chunk_count + 1) * sizeof *rows);
    bytes_put(&s->numbers, &number, sizeof number);
    if (!rows || bytes_check(&s->numbers, "catalogue", e) < 0) {
        source->chunks = rows ? rows : source->chunks;
        error_memory(e);
        return NULL;
    }
    source->chunks = rows;
    rows[source->chunk_count] = (struct manifest_chunk){0};
    return &rows[source->chunk_count++];
}

static uint64_t number_of(const struct spool *s, size_t row)
{
    uint64_t number;
    memcpy(&number, s->numbers.data + row * sizeof number, sizeof number);
    return number;
}

/* The row of the chunk with that number, which is the last one or a new one. */
static struct manifest_chunk *row_of(struct spool *s, uint64_t number, struct error *e)
{
    size_t count = s->source->chunk_count;
    if (count > 0 && number_of(s, count - 1) == number)
        return &s->source->chunks[count - 1];
    return add_row(s, number, e);
}

static void take_row_ids(struct spool *s)
{
    uint64_t number;
    uint8_t id[SEAL_HASH_SIZE];
    while (writer_next_id(s->writer, &number, id)) {
        ASSERT(s->named < s->source->chunk_count && number_of(s, s->named) == number);
        memcpy(s->source->chunks[s->named++].id, id, SEAL_HASH_SIZE);
    }
}

/* The first record that begins in a chunk, and its path, are noted in the row. */
static int note_record(struct manifest_chunk *row, const struct record *record, uint32_t offset, struct error *e)
{
    if (record->continuation || row->first_path)
        return 0;
    row->first_record = offset;
    row->first_path = strndup(record->entry.path, record->entry.path_length);
    return row->first_path ? 0 : error_memory(e);
}

static int spool_record(struct spool *s, const struct record *record, const uint8_t *p, size_t n, struct error *e)
{
    for (bool first = true; n > 0; first = false) {
        struct writer_taken taken;
        if (writer_append(s->writer, WRITER_LARGE, p, n, &taken, e) < 0)
            return -1;
        struct manifest_chunk *row = row_of(s, taken.chunk, e);
        if (!row || (first && note_record(row, record, taken.offset, e) < 0))
            return -1;
        row->length += taken.length;
        take_row_ids(s);
        p += taken.length;
        n -= taken.length;
    }
    return 0;
}

/* Rows in which no record begins repeat the path before. */
static int complete_rows(struct manifest_source *source, struct error *e)
{
    const char *before = "";
    for (size_t i = 0; i < source->chunk_count; i++) {
        struct manifest_chunk *row = &source->chunks[i];
        if (!row->first_path) {
            row->first_record = row->length;
            row->first_path = strdup(before);
        }
        if (!row->first_path)
            return error_memory(e);
        before = row->first_path;
    }
    return 0;
}

static int spool_records(struct spool *s, struct catalogue_input *input, struct error *e)
{
    for (;;) {
        struct record record;
        const uint8_t *p;
        size_t n;
        bool end;
        if (catalogue_input_next(input, &record, &p, &n, &end, e) < 0)
            return -1;
        if (end)
            break;
        if (spool_record(s, &record, p, n, e) < 0)
            return -1;
    }
    if (writer_cut(s->writer, WRITER_LARGE, e) < 0 || writer_drain(s->writer, e) < 0)
        return -1;
    take_row_ids(s);
    return complete_rows(s->source, e);
}

int spool_catalogue(struct writer *writer, const char *path, struct manifest_source *source, struct error *e)
{
    struct catalogue_input *input;
    if (catalogue_input_open(path, &input, e) < 0)
        return -1;
    struct spool s = {.writer = writer, .source = source, .numbers = {.maximum = (size_t)64 << 20}};
    int result = spool_records(&s, input, e);
    bytes_free(&s.numbers);
    catalogue_input_close(input);
    return result;
}
