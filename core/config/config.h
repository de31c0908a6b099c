/* The configuration: DIR/NAME.conf in lexical order, INI sections, strict.
 *
 *   [engine]           at most once
 *   [source NAME]      plugin = P, and P's options
 *   [sink NAME]        plugin = P, the keys in config_sink_options, and P's options
 *   [notify NAME]      plugin = P, the keys in config_notify_options, and P's options
 *   [job NAME]         sources, sinks, schedule, retention, who is told
 *   [job NAME on SINK] what is different for one sink
 *
 * Loading checks everything that can be known without a plugin: syntax, names, duplicates, types of the engine's own
 * keys, dangling names, unused job overrides, modes of files. Every message begins with FILE:LINE. A plugin's own
 * options are checked against its table when its worker has said it (config_check_options).
 */
#ifndef COFRE_CONFIG_CONFIG_H
#define COFRE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "config/option.h"

struct error;

#define CONFIG_FILE_MAX 1048576 /* bytes in a file */
#define CONFIG_FILES_MAX 1000   /* files in the directory */

/* A key as written, with variables expanded (config/expand.h). */
struct config_key {
    char *name, *value;
    const char *file; /* owned by the config */
    unsigned line;
    bool private_file; /* nobody else can read the file: secrets may stand in it */
};

/* What a plugin does, and so an instance of it. */
enum plugin_role { PLUGIN_SOURCE = 1, PLUGIN_SINK = 2, PLUGIN_NOTIFIER = 3 };
/* "source", "sink", "notifier". */
const char *config_role_name(enum plugin_role role);
/* As its sections are called: "source", "sink", "notify". */
const char *config_role_section(enum plugin_role role);

enum config_format { CONFIG_REPOSITORY, CONFIG_ARCHIVE };
enum config_encryption { CONFIG_ENCRYPTED, CONFIG_PLAIN };
enum config_compress { CONFIG_ZSTD, CONFIG_GZIP, CONFIG_STORE };

/* A secret as written, to be resolved when it is needed (config/secret.h). */
struct config_secret {
    char *text; /* NULL = not set */
    bool private_file;
};

/* How a sink uses OpenPGP: an archive for all that it stores, a repository for a copy of its key. */
struct config_openpgp {
    const char *passphrase_key; /* how the section calls passphrase */
    char **recipients;          /* encrypt_to, recovery_to: fingerprints */
    size_t recipient_count;
    struct config_secret passphrase; /* passphrase, recovery_passphrase */
    char *home;                      /* gnupg_home; NULL = not set */
    char *signer;                    /* sign_with: fingerprint; NULL = not set */
    struct config_secret key_passphrase;
};

/* When snapshots are removed: after each run, when somebody says so, or by another machine. */
enum config_prune { CONFIG_AFTER_RUN, CONFIG_MANUAL, CONFIG_ELSEWHERE };

/* Which snapshots stay. -1 = not set, of each. */
struct config_retention {
    int64_t keep_last, keep_hourly, keep_daily, keep_weekly, keep_monthly, keep_yearly; /* so many; 0 = no rule */
    int64_t keep_within;                                                                /* ms; 0 = no rule */
    int64_t keep_min;        /* so many are never removed (default 3) */
    int64_t keep_incomplete; /* ms that one that is not complete stays beside a newer one that is (default 7d) */
    int64_t prune;           /* enum config_prune (default: after each run) */
};

/* What can be told. */
enum config_event {
    CONFIG_FAILURE,
    CONFIG_INCOMPLETE,
    CONFIG_SUSPECT,
    CONFIG_STALE,
    CONFIG_RECOVERED,
    CONFIG_SUCCESS,
    CONFIG_SPACE,
    CONFIG_KEY_EXPIRY,
    CONFIG_REMOVED,
    CONFIG_START,
    CONFIG_EVENTS
};
/* "failure", ... */
const char *config_event_name(enum config_event event);

/* A source, a sink or a notifier. */
struct config_instance {
    char *name, *plugin;
    enum plugin_role role;
    const char *file;
    unsigned line;
    /* A variable that the section names is not set: FILE:LINE and why, NULL = all are. Nothing below is set then, and
     * nothing can be done with the instance (config_usable). */
    char *fault;
    struct config_key *keys; /* the plugin's options: all keys but those below */
    size_t key_count;
    char *run_as;          /* user that its worker runs as; NULL = the one that cofre runs as */
    int64_t timeout;       /* ms for one call, 0 = none (default) */
    int64_t stall_timeout; /* ms without a byte moved (default 15min) */
    int64_t retry_for;     /* ms that what fails in passing is tried again (default 1min; sinks 5min, notifiers 30s) */
    int64_t wait;          /* sources: ms that the thing may be out of reach at first, also for check (default 0) */
    /* sources only: the publish gate (job/gate.h) */
    int64_t shrink;      /* see config_shrink_of */
    int64_t min_size;    /* bytes, 0 = any */
    int64_t min_entries; /* besides the root, 0 = any */
    /* sinks only */
    enum config_format format;
    enum config_encryption encryption;
    char *key;           /* key file, NULL when encryption = none */
    bool trust_hosts;    /* re-use chunks that other hosts wrote */
    int64_t quota;       /* bytes that it may hold, where its place cannot tell; 0 = nobody says */
    int64_t gc_repack;   /* bytes of packs that one gc packs anew (default 10GiB) */
    int64_t prune_every; /* ms between two prunes of what other hosts store, as far as due does it; 0 = it does not */
    int64_t gc_every;    /* ms between two of them, as far as due does it, 0 = it does not (default 1d) */
    struct config_openpgp openpgp;
    /* archives only */
    enum config_compress compress;
    int64_t level;      /* 0 = the compressor's default */
    int64_t threads;    /* 0 = one for each processor */
    int64_t warn_space; /* sinks: status warns when so many percent are in use; 0 = none */
    int64_t warn_full;  /* sinks: status warns when it will be full within so long, ms (default 14d); 0 = never */
    int64_t max_age;    /* sinks: of what others store there, ms; 0 = none */
    /* sinks: of what other hosts store there */
    struct config_retention retention;
    /* notifiers only */
    unsigned on;    /* 1 << enum config_event */
    int64_t remind; /* ms until what goes on is told again; 0 = never */
};

/* Who is told. */
struct config_notify {
    const struct config_instance **to;
    size_t count;
    const struct config_instance *later; /* who is told of what is still so after `after` ms; NULL = nobody */
    int64_t after;
};

struct config_override {
    const struct config_instance *sink;
    struct config_retention retention;
};

/* When a job's hooks run: around each run and after its end, and around a restore in place. */
enum config_hook_kind {
    CONFIG_BEFORE,
    CONFIG_AFTER,
    CONFIG_ON_SUCCESS,
    CONFIG_ON_FAILURE,
    CONFIG_BEFORE_RESTORE,
    CONFIG_AFTER_RESTORE,
    CONFIG_HOOKS
};
/* A program with its arguments, as it is written; no words = there is none. */
struct config_hook {
    char **words;
    size_t word_count;
};

struct config_job {
    char *name;
    const char *file;
    unsigned line;
    const struct config_instance **sources;
    size_t source_count;
    const struct config_instance **sinks;
    size_t sink_count;
    char *schedule;       /* NULL = none */
    int64_t verify_every; /* ms, 0 = never */
    int64_t max_age;      /* ms, 0 = none */
    int64_t max_duration; /* ms, 0 = none */
    int64_t shrink;       /* see config_shrink_of */
    struct config_retention retention;
    char *restore_stop; /* what is stopped around a restore in place, in a plugin's words; NULL = nothing */
    const struct config_instance **restore_order; /* those of the sources that a restore in place begins with */
    size_t restore_order_count;
    struct config_hook hooks[CONFIG_HOOKS];
    int64_t hook_timeout;        /* ms (default 5min) */
    struct config_notify notify; /* what [engine] says where the job says nothing */
    struct config_override *overrides;
    size_t override_count;
};

struct config {
    char *directory; /* that was read */
    char **files;
    size_t file_count;
    char **unread; /* files beside them that look like some, and are not read: their names end otherwise */
    size_t unread_count;
    char *host; /* [engine] host, default: the system's host name, lower case, other bytes than [a-z0-9_-] as '-' */
    char *state_dir, *cache_dir;
    char *log;                    /* [engine] log: absolute path of the file; NULL = there is none */
    enum log_service log_service; /* or the system's log */
    char **plugin_dirs;
    size_t plugin_dir_count;
    int64_t parallel_jobs; /* that due does at once (default 1) */
    int64_t jitter;        /* ms that a job is due later than its schedule, at most (default 0) */
    struct config_instance *sources, *sinks, *notifiers;
    size_t source_count, sink_count, notifier_count;
    struct config_notify notify; /* [engine] */
    struct config_job *jobs;
    size_t job_count;
};

/* directory: NULL = COFRE_CONFIG_DIR, else /etc/cofre/conf.d. No *.conf file in it: ERROR_CONFIG. Defaults of [engine]:
 * as root /var/lib/cofre and /var/cache/cofre; else $XDG_STATE_HOME or ~/.local/state, and $XDG_CACHE_HOME or ~/.cache,
 * plus "/cofre"; and of another directory than /etc/cofre/conf.d, plus "/by-config/NAME-HASH", from its path, so that
 * two configurations do not meet there; HOME unset and not configured: ERROR_CONFIG. plugin_dir: "plugins" or
 * "../lib/cofre/plugins" seen from the running program, when there is one, else the compiled-in COFRE_PLUGIN_DIR.
 * Refuses files or directories that others can write. */
int config_load(const char *directory, struct config **config, struct error *e);
/* The same from one text, which the messages call file; no file is looked at. private_file: see config_key. */
int config_parse(const char *file, const void *text, size_t length, bool private_file, struct config **config,
                 struct error *e);

#define CONFIG_HOST_MAX 63
/* A system's name as the name of a host, as text_is_name takes it: what [engine] host is by default. */
void config_host_name(const char *name, char out[CONFIG_HOST_MAX + 1]);

/* What holds without a configuration: host and plugin_dirs. state_dir and cache_dir are NULL, and nothing is
 * configured. */
int config_defaults(struct config **config, struct error *e);
/* Is there a *.conf file in the directory (NULL as in config_load)? */
bool config_exists(const char *directory);
void config_free(struct config *config);

/* ERROR_CONFIG with a suggestion when there is none of that name, and for a source that is not usable. */
int config_find_job(const struct config *config, const char *name, const struct config_job **job, struct error *e);
int config_find_source(const struct config *config, const char *name, const struct config_instance **source,
                       struct error *e);
int config_find_notifier(const struct config *config, const char *name, const struct config_instance **notifier,
                         struct error *e);
int config_find_sink(const struct config *config, const char *name, const struct config_instance **sink,
                     struct error *e);

/* ERROR_CONFIG when the instance has a fault. */
int config_usable(const struct config_instance *instance, struct error *e);

#define CONFIG_SHRINK_UNSET INT64_C(-1)
/* By how many percent the source may shrink before a snapshot of the job is suspect: by its own section where that says
 * so, else by the job's, else 50. 0 = off: by any. */
int64_t config_shrink_of(const struct config_job *job, const struct config_instance *source);

/* Does the job store in that sink, and does it save that source? */
bool config_job_uses(const struct config_job *job, const struct config_instance *sink);
bool config_job_saves(const struct config_job *job, const struct config_instance *source);
/* Does any job save it? */
bool config_saves(const struct config *config, const struct config_instance *source);

/* What holds for the job on that sink: its own override where that is set, else the job's, else the default. The rules
 * themselves may be set nowhere. */
void config_retention_of(const struct config_job *job, const struct config_instance *sink,
                         struct config_retention *retention);
/* What holds for snapshots of other hosts in the sink, likewise. */
void config_retention_of_others(const struct config_instance *sink, struct config_retention *retention);
/* Is there a rule, so that anything may ever be removed? */
bool config_retention_rules(const struct config_retention *retention);
/* Does another machine remove what is in the sink, as a job that stores there says (prune = elsewhere)? */
bool config_retention_elsewhere(const struct config *config, const struct config_instance *sink);

/* The keys of the hooks: "before", "after", ... */
extern const char *const config_hook_names[CONFIG_HOOKS];
#define CONFIG_HOOK_WORDS 256
/* Text into words, as no shell does it. Blanks end a word; in 'single quotes' everything is as it stands; in "double
 * quotes" \" and \\ are escapes; elsewhere a backslash takes the next character as it is. Behind "sh:" it is one text
 * for /bin/sh -c. ERROR_CONFIG: a quote is not closed, there is no program, a path of it that is not absolute, or a
 * word that only a shell would understand. After an error there is nothing to be freed. */
int config_hook_split(const char *text, struct config_hook *hook, struct error *e);
void config_hook_free(struct config_hook *hook);
/* The program's absolute path, to be freed: a name without '/' is looked for in CONFIG_HOOK_PATH. ERROR_CONFIG: it is
 * not there, is no program, or somebody else can change it (file_check_trusted). NULL then. */
char *config_hook_program(const char *word, struct error *e);
#define CONFIG_HOOK_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* One option of a plugin with its final text: secrets resolved, default where not set. */
struct config_value {
    const struct option *option;
    char *text; /* NULL = not set and no default. Secrets: from secret_alloc, may hold any byte */
    size_t length;
};

/* Match an instance's keys, plus overrides ("key=value" of --set; may be NULL), with a plugin's options: unknown and
 * duplicate keys, missing required ones, types and ranges, overrides that the plugin does not allow, secrets. values
 * has one row per option. Errors name file and line, and suggest. A fault in an override is ERROR_USAGE. */
int config_check_options(const struct config_instance *instance, const struct option *options, size_t option_count,
                         char *const *overrides, size_t override_count, struct config_value **values, struct error *e);
/* As config_check_options, but no secret is looked up: each that is set has CONFIG_PLACEHOLDER for its text. What
 * `check --offline` may do. */
#define CONFIG_PLACEHOLDER "(not looked up)"
int config_check_syntax(const struct config_instance *instance, const struct option *options, size_t option_count,
                        struct config_value **values, struct error *e);
void config_values_free(struct config_value *values, size_t count);

/* The engine's own keys in a section of that role. */
const struct option *config_role_options(enum plugin_role role);
/* The engine's own keys, for `check`, the manual and suggestions; end with a row without name. */
extern const struct option config_engine_options[], config_source_options[], config_sink_options[],
    config_notify_options[], config_job_options[];

#endif
