/* The reader of archive.h from inside: its parts are archive.c (elements, blocks of data) and archive_contents.c. */
#ifndef COFRE_POSTGRES_ARCHIVE_READER_H
#define COFRE_POSTGRES_ARCHIVE_READER_H

#include "postgres/archive.h"
#include "postgres/namelist.h"

/* What an element of the format is. An integer is a sign byte and the bytes of the value, the lowest first; a string is
 * an integer (its length, -1 = none) and its bytes. */
enum archive_form { ARCHIVE_MAGIC, ARCHIVE_BYTE, ARCHIVE_INTEGER, ARCHIVE_STRING, ARCHIVE_OFFSET };

struct archive {
    uint64_t fed;                  /* bytes, with the element at hand */
    int (*step)(struct archive *); /* takes the element that is complete; -1 = why is set */
    /* the element at hand */
    enum archive_form form;
    size_t need, have; /* of the bytes in small, or of the string */
    unsigned char small[16];
    char *text; /* of a string; NULL = none. Cut to TEXT_MAX */
    size_t text_length;
    bool in_text;   /* its length is known, its bytes follow */
    int64_t number; /* of BYTE, INTEGER; the length of a string */
    /* the header */
    unsigned field;
    int32_t minor; /* of the version, 1.minor */
    size_t integer_size, offset_size;
    bool compressed;
    int64_t entries_left; /* of the table of contents */
    bool listed;
    /* the entry at hand */
    struct archive_item item;
    bool has_data;
    char kind[64], owner[256];
    /* blocks */
    struct archive_item *items, *current;
    size_t count, ended;
    int block;         /* its kind */
    uint64_t block_at; /* where it begins */
    uint64_t piece;    /* bytes of the piece at hand that are still to come */
    int64_t lines;
    bool at_boundary; /* between two blocks */
    struct namelist owners, schemas, tables, tablespaces;
    const char *why; /* what is wrong */
    bool no_memory;
};

/* What is expected next, and what is to be done when it is complete. */
void archive_expect(struct archive *a, enum archive_form form, int (*step)(struct archive *));
/* -1, with the reason noted. */
int archive_wrong(struct archive *a, const char *why);

/* The first expectation: the header, then the table of contents. */
void archive_begin_contents(struct archive *a);
/* What follows the table of contents. */
void archive_begin_blocks(struct archive *a);

#endif
