/* The row of a source in the manifest: what the run knows of it before and when it fails. */
#ifndef COFRE_JOB_ROW_H
#define COFRE_JOB_ROW_H

struct config_instance;
struct error;
struct manifest_source;
struct worker_plugin;

/* Name, plugin and the options as configured; what the plugin calls a secret is left out. */
int row_describe(struct manifest_source *row, const struct config_instance *config, const struct worker_plugin *plugin,
                 struct error *e);

/* A source that failed is a part that is missing; nothing of it is kept. */
int row_missing(struct manifest_source *row, const struct error *why, struct error *e);

#endif
