/* The JSON body of a manifest: one table of members writes, reads and frees it. Only manifest.c and tests call this. */
#ifndef COFRE_SNAPSHOT_MANIFEST_JSON_H
#define COFRE_SNAPSHOT_MANIFEST_JSON_H

#include <stddef.h>

struct bytes;
struct error;
struct manifest;

/* Appended to *out. */
int manifest_json_write(const struct manifest *manifest, struct bytes *out, struct error *e);
/* Fill the zeroed *manifest. Members are checked one by one, not yet against each other. ERROR_INTEGRITY names the
 * member; ERROR_UNSUPPORTED for a format or a feature that is not known. After failure too *manifest is freed with
 * manifest_json_free. Members that are not known are ignored. */
int manifest_json_parse(const void *p, size_t n, const char *name, struct manifest *manifest, struct error *e);
/* Everything that *manifest holds, not itself. */
void manifest_json_free(struct manifest *manifest);

#endif
