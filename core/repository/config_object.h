/* The object `config` of a repository: one line of JSON that anybody may read, and the root's signature over it.
 * docs/format.md lists the members. */
#ifndef COFRE_REPOSITORY_CONFIG_OBJECT_H
#define COFRE_REPOSITORY_CONFIG_OBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "repository/key.h"

struct bytes;
struct error;

#define CONFIG_OBJECT_MAX 65536

struct config_object {
    uint8_t repository[16];
    struct key_public public;
    uint8_t signer[KEY_SIZE]; /* of the full key: what it signs of a host is that host's own, too */
    bool plain;               /* encryption = none: seed is the key */
    uint8_t seed[KEY_SIZE];   /* plain only */
    int64_t created;          /* ns */
};

/* A fresh repository id, and the public parts of key (with plain, the seed too). */
void config_object_make(struct config_object *config, const struct key *key, bool plain);
/* key: full, signs. Appended to *out. */
int config_object_encode(const struct config_object *config, const struct key *key, struct bytes *out, struct error *e);
/* Parses, and checks the signature against the root that the text itself names; whose root that is,
 * config_object_verify tells. ERROR_INTEGRITY when it is damaged, ERROR_UNSUPPORTED for a newer format or an unknown
 * feature. */
int config_object_decode(const void *p, size_t n, struct config_object *config, struct error *e);
/* The public parts are those of the key: ERROR_AUTH otherwise. */
int config_object_verify(const struct config_object *config, const struct key *key, struct error *e);

#endif
