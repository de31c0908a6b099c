/* The shape of a manifest: which members its JSON has, and where each lives in the structs. One table for writing,
 * reading and freeing (manifest_json.c). */
#ifndef COFRE_SNAPSHOT_MANIFEST_SHAPE_H
#define COFRE_SNAPSHOT_MANIFEST_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

enum member_type {
    MEMBER_NAME,       /* char *, text_is_name */
    MEMBER_TEXT,       /* char *, any text; NULL = the member is left out */
    MEMBER_PATH,       /* char *, path_valid */
    MEMBER_COUNT,      /* uint64_t, at most INT64_MAX */
    MEMBER_TIME,       /* int64_t */
    MEMBER_STATUS,     /* enum manifest_status */
    MEMBER_FLAG,       /* bool; false = the member is left out */
    MEMBER_ID,         /* char[MANIFEST_ID_SIZE]; may be "" when optional */
    MEMBER_HEX,        /* size bytes */
    MEMBER_SNAPSHOT,   /* char *, manifest_is_id */
    MEMBER_REPOSITORY, /* char *, 32 hexadecimal digits */
    MEMBER_LIST,       /* pointer and size_t count; elements are objects of other members */
    MEMBER_HASHES      /* pointer and size_t count; elements are MANIFEST_HASH_SIZE bytes */
};

struct shape;

struct member {
    const char *name;
    enum member_type type;
    bool optional;
    size_t offset;
    size_t size;         /* of MEMBER_HEX, or of a list's element */
    size_t count_offset; /* lists */
    size_t maximum;      /* elements */
    const struct shape *element;
};

struct shape {
    const struct member *members;
    size_t count;
};

extern const struct shape manifest_shape;

#endif
