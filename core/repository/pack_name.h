/* The name of a pack: whose it is, and the BLAKE3 of its bytes. Its key is packs/HOST/ab/HEX, where ab are the first
 * two digits of HEX. The same bytes may be there under two hosts: those are two packs.
 *
 * Hosts are numbered as they come, in this process alone, so that a name is small and two of them are compared by
 * pack_name_compare; no number may be stored.
 */
#ifndef COFRE_REPOSITORY_PACK_NAME_H
#define COFRE_REPOSITORY_PACK_NAME_H

#include <stdbool.h>
#include <stdint.h>

#include "repository/seal.h"

struct pack_name {
    uint8_t hash[SEAL_HASH_SIZE];
    uint32_t host; /* 0 = not known */
};

/* The number of a host; 0 when it is no name, or the 16,777,216th. By any thread. */
uint32_t pack_name_number(const char *host);
/* What it stands for, "" for 0; lasts as long as the process. */
const char *pack_name_host(const struct pack_name *name);
struct pack_name pack_name_of(const char *host, const uint8_t hash[SEAL_HASH_SIZE]);

/* A total order, by hash first. */
int pack_name_compare(const void *a, const void *b);
bool pack_name_is(const struct pack_name *a, const struct pack_name *b);

/* Into out[201]. */
void pack_name_key(const struct pack_name *name, char *out);
/* False: it is none. */
bool pack_name_parse_key(const char *key, struct pack_name *name);

#endif
