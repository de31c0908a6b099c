/* An RDB file, checked and counted as it passes: magic, version, structure up to the end opcode, CRC-64.
 *
 * Values are passed over, never decoded: each type is a small program of lengths and runs of bytes (rdb.c), so memory
 * does not depend on the data. A type that is not known (a newer server's) ends the counting, and from there only the
 * last bytes and the CRC are checked.
 */
#ifndef COFRE_REDIS_RDB_H
#define COFRE_REDIS_RDB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"
#include "redis/family.h"

struct rdb;

/* Of one database. */
struct rdb_count {
    uint64_t number, keys, expires;
};

struct rdb_summary {
    uint64_t bytes;
    int version;
    bool counted;                      /* all of it was understood, so the counts below are those of the file */
    bool checksum;                     /* it has one; "rdbchecksum no" leaves it out */
    uint64_t libraries;                /* of functions */
    uint64_t module_values;            /* values and records that only a module can read */
    const struct rdb_count *databases; /* ascending in the order of the file; those that have keys */
    size_t database_count;
    uint64_t highest;                  /* database that was met */
    const struct family_set *families; /* of its keys */
};

#define RDB_DATABASES_MAX 65536

/* NULL = out of memory. */
struct rdb *rdb_new(void);
void rdb_free(struct rdb *rdb);

/* The next n bytes. COFRE_E_INTEGRITY: this is no RDB file, or more follows after its end; COFRE_E_UNSUPPORTED: it is
 * older than version 5 (Redis 2.6), which had no CRC. */
int32_t rdb_feed(struct rdb *rdb, const void *p, size_t n, struct cofre_error *error);

/* All was fed. COFRE_E_INTEGRITY: it ends early, or the CRC is not right. *summary is valid until rdb_free, also after
 * an error. */
int32_t rdb_end(struct rdb *rdb, struct rdb_summary *summary, struct cofre_error *error);

/* The same of what was fed so far, unchecked. The version is 0 until 9 bytes were fed. A module's value, a database and
 * the version are there as soon as the bytes that name them were fed. */
void rdb_so_far(const struct rdb *rdb, struct rdb_summary *summary);

#endif
