/* The ledger: names of the index objects that this machine has stored in a repository. What they describe, and nothing
 * else, is what it re-uses: a signature tells who made an object, but a key can be copied.
 *
 * A text file in the state directory, one name in hexadecimal digits a line. Several processes may add at once; a line
 * that a power cut left unfinished is passed over.
 */
#ifndef COFRE_REPOSITORY_LEDGER_H
#define COFRE_REPOSITORY_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

#include "repository/seal.h"

struct bytes;
struct error;

/* All names, sorted, SEAL_HASH_SIZE each, to *names. No such file: none, and *there is false. */
int ledger_read(const char *path, struct bytes *names, bool *there, struct error *e);
/* One more, durable. The file is made, mode 0600, and the directory that it is in. */
int ledger_add(const char *path, const uint8_t name[SEAL_HASH_SIZE], struct error *e);

#endif
