/* Annotations: what is said of a snapshot afterwards. A pin keeps it from being removed; a proof says that all of it
 * was read and was whole, or that it was restored; an acceptance, that it is as it should be although it is suspect.
 *
 * Placed objects (placed.h), named as the snapshot: "pins/HOST/JOB/ID", "proofs/verified/HOST/JOB/ID",
 * "proofs/proven/HOST/JOB/ID", "accepted/HOST/JOB/ID". They may be replaced and removed. docs/format.md lists every
 * member.
 */
#ifndef COFRE_REPOSITORY_ANNOTATION_H
#define COFRE_REPOSITORY_ANNOTATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/vault.h"

struct bytes;
struct error;
struct repository;

/* Bytes, of the object and of its body. */
#define ANNOTATION_OBJECT_MAX ((size_t)64 << 10)
#define ANNOTATION_BODY_MAX ((size_t)64 << 10)

/* "pins", "proofs/verified", "proofs/proven", "accepted" */
const char *annotation_prefix(enum vault_annotation_kind kind);
/* Of which kind, and of which snapshot, is the annotation with this key? */
bool annotation_parse_key(const char *key, enum vault_annotation_kind *kind, struct vault_name *name);

/* The object, appended to *out, for the key of its kind and name. */
int annotation_seal(const struct repository *repository, const struct vault_annotation *annotation, struct bytes *out,
                    struct error *e);
/* Verified, opened and parsed. Errors as of placed_open and placed_json_parse. */
int annotation_open(const struct repository *repository, const char *key, const struct bytes *object,
                    struct vault_annotation *annotation, struct error *e);
/* The body alone. */
int annotation_parse(const struct repository *repository, const char *key, const struct bytes *body,
                     struct vault_annotation *annotation, struct error *e);

#endif
