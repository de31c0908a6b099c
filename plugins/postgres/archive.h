/* pg_dump's custom format, read as it passes: what is in it, how many rows each table has, and whether it is whole.
 *
 * The format has no end mark, and a program that died may leave a file that pg_restore -l accepts. But its table of
 * contents comes first and names every block of data that follows, and every block ends with an empty piece: a dump is
 * whole when each of them was there to its end, and nothing else. Source: PostgreSQL,
 * src/bin/pg_dump/pg_backup_archiver.c (WriteHead, WriteToc, ReadToc) and pg_backup_custom.c, archive versions 1.14
 * to 1.16 (PostgreSQL 12 to 18).
 */
#ifndef COFRE_POSTGRES_ARCHIVE_H
#define COFRE_POSTGRES_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

/* A block of data that the table of contents promises. */
struct archive_item {
    int32_t id;
    char *schema, *name; /* of the table */
    bool is_table;       /* else large objects */
    bool begun, ended;
    int64_t rows;       /* of an uncompressed table, once ended; else -1 */
    uint64_t begins_at; /* in the dump, once begun */
    uint64_t offset_at; /* where the table of contents has room for begins_at */
};

struct namelist;
struct archive; /* the reader */

struct archive *archive_new(void); /* NULL = no memory */
void archive_free(struct archive *archive);

/* The next bytes. COFRE_E_PERMANENT: this is no dump, or not as its table of contents says. */
int32_t archive_feed(struct archive *archive, const void *bytes, size_t length, struct cofre_error *error);
/* That was all: is it whole? COFRE_E_PERMANENT says what is missing. */
int32_t archive_finish(const struct archive *archive, struct cofre_error *error);

/* Has the table of contents passed? Only then there are items. */
bool archive_listed(const struct archive *archive);
/* The blocks, in the order of their ids. */
struct archive_item *archive_items(const struct archive *archive, size_t *count);
/* What belongs at offset_at so that pg_restore finds the block without reading all before it: pg_dump cannot go back
 * and write it when its output is a pipe. The number of bytes. */
#define ARCHIVE_OFFSET_MAX 9
size_t archive_offset(const struct archive *archive, const struct archive_item *item, uint8_t out[ARCHIVE_OFFSET_MAX]);
/* The owners of what is in it, each once. */
const struct namelist *archive_owners(const struct archive *archive);
/* The tables that it defines, with or without rows: "SCHEMA.NAME". */
const struct namelist *archive_tables(const struct archive *archive);
/* The tablespaces that it wants, each once. */
const struct namelist *archive_tablespaces(const struct archive *archive);
/* The schemas of what is in it, each once. */
const struct namelist *archive_schemas(const struct archive *archive);

#endif
