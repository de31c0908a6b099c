/* The commit: the one function that makes a snapshot exist. */
#ifndef COFRE_JOB_COMMIT_H
#define COFRE_JOB_COMMIT_H

#include <stddef.h>

struct bytes;
struct error;
struct sink;

/* All other objects of the snapshot are stored in the sink. Put its manifest, if absent, under key,
 * read it back and compare. After 0 the snapshot is committed; after -1 it may be there, but nobody was told. */
int commit_manifest(struct sink *sink, const char *key, const struct bytes *manifest, struct error *e);

#endif
