/* The inventory: an archive's manifest.json. What every snapshot's manifest says (snapshot/manifest.h), and besides
 * that the stored files and whatever a tar archive has no place for: streams, and entries that are not whole. */
#ifndef COFRE_ARCHIVE_INVENTORY_H
#define COFRE_ARCHIVE_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "archive/compress.h"
#include "archive/digest.h"
#include "snapshot/manifest.h"
#include "snapshot/record.h"

struct bytes;
struct error;

/* So many of either are fewer than JSON_LIMIT_TOKENS values. */
#define INVENTORY_FILES_MAX 15000u
#define INVENTORY_ROWS_MAX 15000u
#define INVENTORY_MAX MANIFEST_MAX

enum inventory_encryption { INVENTORY_PLAIN, INVENTORY_RECIPIENTS, INVENTORY_PASSPHRASE };

/* A stored file. */
struct inventory_file {
    char *name; /* the last part of its key */
    char *source;
    uint64_t plain, stored;
    uint8_t sha256[DIGEST_SIZE];
};

/* An entry of which the tar archive alone does not tell all. Sorted by source and path. */
struct inventory_row {
    char *source, *path;
    uint32_t kind;
    enum record_status status;
    char *error;    /* status other than whole: why */
    char *file;     /* its content is a stored file of its own; else NULL */
    uint64_t size;  /* of the content that counts */
    bool sparse;    /* the tar archive has zeros where it has holes */
    uint64_t voids; /* copies in the tar archive, before the one that counts, that do not */
    uint32_t mode, uid, gid;
    char *user, *group;
    int64_t mtime;
};

struct inventory_count {
    uint64_t entries, bytes;
};

struct inventory {
    struct manifest *manifest;
    struct inventory_count
        *counts; /* of each source in this archive, when it is written; NULL = as the manifest says */
    enum compress_kind compress;
    enum inventory_encryption encryption;
    struct inventory_file *files;
    size_t file_count;
    struct inventory_row *rows;
    size_t row_count, row_capacity;
};
/* The manifest too. */
void inventory_free(struct inventory *inventory);

/* One more; zeroed, but for copies of the source's name and of the file's. After an error there is none
 * more. ERROR_RANGE beyond INVENTORY_FILES_MAX and INVENTORY_ROWS_MAX. */
int inventory_add_file(struct inventory *inventory, const char *source, const char *name, struct inventory_file **file,
                       struct error *e);
int inventory_add_row(struct inventory *inventory, const char *source, struct inventory_row **row, struct error *e);
/* Forget all but the first so many. */
void inventory_cut(struct inventory *inventory, size_t files, size_t rows);
const struct inventory_file *inventory_find(const struct inventory *inventory, const char *name);

/* The JSON text, appended to *out; it is parsed again before it is believed. */
int inventory_write(const struct inventory *inventory, struct bytes *out, struct error *e);
/* name is for messages. Everything is checked: ERROR_INTEGRITY. */
int inventory_parse(const void *p, size_t n, const char *name, struct inventory *inventory, struct error *e);

#endif
