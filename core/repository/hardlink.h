/* Hard links in a part of a snapshot: when the first name of a link is not among what is wanted, the link has nothing
 * to lead to. The first of such links is then given the content of that first name, as a file of its own, and further
 * links of the same file lead to it. */
#ifndef COFRE_REPOSITORY_HARDLINK_H
#define COFRE_REPOSITORY_HARDLINK_H

#include <stddef.h>
#include <stdint.h>

struct record;
struct error;
struct hardlinks;
struct manifest_source;
struct reader;

/* Memory for all that is kept of the first names. */
#define LINK_BYTES_MAX ((size_t)256 << 20)

/* Look through the entries at and below path (not "") for links whose first name is elsewhere, and read what the
 * catalogue says of those. Reads the catalogue only once when there are none. */
int hardlink_gather(struct reader *reader, const struct manifest_source *source, const char *path,
                    struct hardlinks **links, struct error *e);
void hardlink_free(struct hardlinks *links);

/* Give the records that stand for this one: itself, or what its link is replaced with. They are lent. */
int hardlink_replace(struct hardlinks *links, const struct record *record, const uint8_t *bytes, size_t n,
                     int (*give)(void *context, const struct record *record, const uint8_t *bytes, size_t n,
                                 struct error *e),
                     void *context, struct error *e);

#endif
