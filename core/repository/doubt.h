/* Doubts: packs of a repository that were found damaged. They are remembered on this machine, and no run relies on what
 * is in them: it stores that again.
 *
 * Each is an empty file, named like the pack, in a directory of the repository, so that several processes may add and
 * remove at once, and what was added is there after a power cut.
 */
#ifndef COFRE_REPOSITORY_DOUBT_H
#define COFRE_REPOSITORY_DOUBT_H

#include <stdbool.h>
#include <stdint.h>

#include "repository/seal.h"

struct bytes;
struct error;

#define DOUBT_MAX 10000 /* in one repository: beyond it no more are remembered */

/* The names of all, sorted, SEAL_HASH_SIZE each, to *names; none when there is no such directory. */
int doubt_list(const char *directory, struct bytes *names, struct error *e);
/* One more, durable. *fresh: it was not there yet. The directory is made. */
int doubt_add(const char *directory, const uint8_t name[SEAL_HASH_SIZE], bool *fresh, struct error *e);
/* Absent is success. */
int doubt_remove(const char *directory, const uint8_t name[SEAL_HASH_SIZE], struct error *e);

#endif
