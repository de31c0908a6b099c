/* The row of a source in the manifest: what the run knows of it before and when it fails. */
#ifndef COFRE_JOB_ROW_H
#define COFRE_JOB_ROW_H

#include <stddef.h>
#include <stdint.h>

struct config_instance;
struct error;
struct manifest_part;
struct manifest_source;
struct plugin_info;

/* Name, plugin and the options as configured; what the plugin calls a secret is left out. */
int row_describe(struct manifest_source *row, const struct config_instance *config, const struct plugin_info *plugin,
                 struct error *e);

/* Something that is not whole, at path (n bytes, "" = the source itself): the source is incomplete. It is named in the
 * row and in the log, as far as their lists go, and counted. */
int row_problem(struct manifest_source *row, const char *path, size_t n, const char *why, const char *hint,
                struct error *e);
/* Something that is not saved, for a reason that is no failure: named and counted likewise. */
int row_left_out(struct manifest_source *row, const char *name, size_t n, const char *why, struct error *e);
/* flags: COFRE_FACT_*. */
int row_fact(struct manifest_source *row, const char *key, const char *value, uint32_t flags, struct error *e);

/* The part in which an entry at path (n bytes) lies, for counting: paths come in path order. *part: the row's, valid
 * until the next call; NULL = it lies in none, or in one beyond the first MANIFEST_PARTS_MAX. */
int row_part(struct manifest_source *row, const char *path, size_t n, struct manifest_part **part, struct error *e);

/* A source that failed is a part that is missing; nothing of it is kept. */
int row_missing(struct manifest_source *row, const struct error *why, struct error *e);

#endif
