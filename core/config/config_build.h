/* Sections to the typed configuration: the step between section.h and config.h. */
#ifndef COFRE_CONFIG_CONFIG_BUILD_H
#define COFRE_CONFIG_CONFIG_BUILD_H

#include "config/config.h"

struct error;
struct sections;

#define CONFIG_DIRECTORY "/etc/cofre/conf.d"

/* Fill config, which is zeroed but for directory and files, from sections, whose variables are expanded first: those of
 * [engine], then, with its env_file, the others. Keys are moved out of the sections. After an error config can be
 * freed.
 */
int config_build_all(struct config *config, struct sections *sections, struct error *e);

/* [engine], or its defaults when engine is NULL. */
struct section;
int config_engine_build(struct config *config, const struct section *engine, struct error *e);
/* Load its env_file, if it names one. */
int config_engine_environment(const struct section *engine, struct error *e);
/* Those of host and plugin_dirs alone. */
int config_engine_defaults(struct config *config, struct error *e);

/* What only sinks have: format, keys, OpenPGP. */
int config_sink_build(struct config_instance *sink, const struct section *section, struct error *e);

/* The key shrink of a section: percent, 0 = off, CONFIG_SHRINK_UNSET. own: the options of the section. */
struct option;
int config_gate_shrink(int64_t *shrink, const struct section *section, const struct option *own, struct error *e);

/* What only notifiers have. */
int config_notify_build(struct config_instance *notifier, const struct section *section, struct error *e);
/* Who is told, as the section says; where it says nothing, as base does, which may be NULL. options: those of the
 * section. Afterwards *notify can be freed. */
int config_notify_list(const struct config *config, const struct config_notify *base, struct config_notify *notify,
                       const struct section *section, const struct option *options, struct error *e);

/* The rules of a section, as far as they are set there. ERROR_CONFIG when they keep nothing at all, with what base sets
 * besides (which may be the same). options: those of the section. */
struct config_retention;
int config_retention_build(struct config_retention *retention, const struct config_retention *base,
                           const struct section *section, const struct option *options, struct error *e);

/* Those of a job: CONFIG_HOOKS of them. */
struct config_hook;
int config_hook_build(struct config_hook *hooks, const struct section *section, struct error *e);

/* What a [job NAME on SINK] section may hold. */
extern const struct option config_override_options[];

#endif
