/* What a plugin is told of the snapshot that it restores, or of the one before its backup. */
#ifndef COFRE_JOB_PAST_H
#define COFRE_JOB_PAST_H

#include <stdbool.h>

struct error;
struct manifest_source;
struct past;
struct plugin_info;
struct worker;

/* Does the plugin look at it in a backup? In a restore everyone may. */
bool past_is_wanted(const struct plugin_info *plugin);

/* The facts of the row, of a snapshot: for the next backup or restore of the worker. All is lent until past_free, which
 * comes after that has begun; NULL is fine. */
int past_tell(struct worker *worker, const char *snapshot, const struct manifest_source *row, struct past **past,
              struct error *e);
void past_free(struct past *past);

#endif
