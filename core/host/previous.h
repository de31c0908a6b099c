/* The entries of the previous snapshot, read in path order beside the running backup. The format is in worker/source.h.
 * Memory: one window of the file. */
#ifndef COFRE_HOST_PREVIOUS_H
#define COFRE_HOST_PREVIOUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;
struct previous;

/* Takes over fd, also when it fails. */
int previous_open(int fd, struct previous **previous, struct error *e);
void previous_close(struct previous *previous);

/* Is path, which must come after every path asked before, in the table with this fingerprint (16 bytes)? Then *found
 * and its ordinal. ERROR_INTEGRITY when the table is damaged. */
int previous_find(struct previous *previous, const char *path, size_t length, const uint8_t *fingerprint, bool *found,
                  uint64_t *ordinal, struct error *e);

#endif
