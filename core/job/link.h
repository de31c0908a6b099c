/* Hard links in a part of a snapshot: when the first name of a link is not among what is wanted, the link has nothing
 * to lead to. The first of such links is then given the content of that first name, as a file of its own, and further
 * links of the same file lead to it. */
#ifndef COFRE_JOB_LINK_H
#define COFRE_JOB_LINK_H

#include <stddef.h>
#include <stdint.h>

struct record;
struct error;
struct links;
struct manifest_source;
struct reader;

/* Memory for all that is kept of the first names. */
#define LINK_BYTES_MAX ((size_t)256 << 20)

/* Look through the entries at and below path (not "") for links whose first name is elsewhere, and read what the
 * catalogue says of those. Reads the catalogue only once when there are none. */
int link_gather(struct reader *reader, const struct manifest_source *source, const char *path, struct links **links,
                struct error *e);
void link_free(struct links *links);

/* Give the records that stand for this one: itself, or what its link is replaced with. They are lent. */
int link_replace(struct links *links, const struct record *record, const uint8_t *bytes, size_t n,
                 int (*give)(void *context, const struct record *record, const uint8_t *bytes, size_t n,
                             struct error *e),
                 void *context, struct error *e);

#endif
