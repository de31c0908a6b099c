#include "config/config.h"
#include "config/config_build.h"

#define DAY (INT64_C(24) * 3600 * 1000)                 /* ms */
#define LONGEST (INT64_C(100) * 365 * 24 * 3600 * 1000) /* 100 years, ms */

/* clang-format off */
#define END_ROW {NULL, OPTION_STRING, 0, NULL, 0, 0, NULL, NULL}

#define PLUGIN_ROW {"plugin", OPTION_STRING, OPTION_REQUIRED, NULL, 0, 0, NULL, "which plugin does it"}
#define TIMEOUT_ROW {"timeout", OPTION_DURATION, 0, "0", 0, LONGEST, NULL, "longest time for one call; 0 = none"}
#define STALL_ROW {"stall_timeout", OPTION_DURATION, 0, "15min", 0, LONGEST, NULL, \
                   "longest time without a byte moved; 0 = none"}

#define RUN_AS_ROW {"run_as", OPTION_STRING, 0, NULL, 0, 0, NULL, "user that its worker runs as; needs root"}

#define KEEP_ROW(key, help) {key, OPTION_INTEGER, 0, NULL, 0, 100000, NULL, help}
#define KEEP_ROWS                                                            \
    KEEP_ROW("keep_last", "newest snapshots to keep"),                       \
    KEEP_ROW("keep_hourly", "newest snapshots to keep, one for each hour"),  \
    KEEP_ROW("keep_daily", "newest snapshots to keep, one for each day"),    \
    KEEP_ROW("keep_weekly", "newest snapshots to keep, one for each week"),  \
    KEEP_ROW("keep_monthly", "newest snapshots to keep, one for each month"),\
    KEEP_ROW("keep_yearly", "newest snapshots to keep, one for each year"), \
    {"keep_within", OPTION_DURATION, 0, NULL, 0, LONGEST, NULL, "keep all that began so long before the newest"}, \
    {"keep_min", OPTION_INTEGER, 0, NULL, 1, 100000, NULL, "newest complete ones never removed; default 3"}, \
    {"keep_incomplete", OPTION_DURATION, 0, NULL, 0, LONGEST, NULL, \
     "how long one that is not complete stays beside a newer one that is; default 7d"}

#define PRUNE_ROW {"prune", OPTION_CHOICE, 0, NULL, 0, 0, "after_run|manual|elsewhere", \
                   "when snapshots that no rule keeps are removed; default after_run"}

#define NOTIFY_ROWS(help) \
    {"notify", OPTION_LIST, 0, NULL, 0, 0, NULL, help}, \
    {"escalate", OPTION_STRING, 0, NULL, 0, 0, NULL, "24h: NAME: who is told of what is still so after that time"}

const struct option config_engine_options[] = {
    {"state_dir", OPTION_PATH, 0, NULL, 0, 0, NULL, "what cofre must remember between runs"},
    {"cache_dir", OPTION_PATH, 0, NULL, 0, 0, NULL, "what cofre can make again"},
    {"plugin_dir", OPTION_LIST, 0, NULL, 0, 0, NULL, "directories with plugins"},
    {"env_file", OPTION_PATH, 0, NULL, 0, 0, NULL, "variables for ${NAME} and @env:NAME, as in .env of docker compose"},
    {"log", OPTION_STRING, 0, NULL, 0, 0, NULL, "syslog, journal, or file:PATH, with a line for each run"},
    {"host", OPTION_STRING, 0, NULL, 0, 0, NULL, "this host's name in snapshots; default: the system's"},
    {"parallel_jobs", OPTION_INTEGER, 0, "1", 1, 64, NULL, "how much due and daemon do at once"},
    {"jitter", OPTION_DURATION, 0, "0", 0, DAY, NULL, "up to how much later than its schedule a job is due"},
    NOTIFY_ROWS("who is told of jobs that say nothing else: names of [notify ...] sections"), END_ROW,
};

const struct option config_source_options[] = {
    PLUGIN_ROW,
    {"retry_for", OPTION_DURATION, 0, "1min", 0, LONGEST, NULL, "how long what fails in passing is tried again"},
    {"wait", OPTION_DURATION, 0, "0", 0, LONGEST, NULL, "how long it may be out of reach at first, also for check"},
    {"shrink", OPTION_STRING, 0, NULL, 0, 0, NULL,
     "by how much it may shrink before a snapshot is suspect; off = by any; default: as the job says"},
    {"min_size", OPTION_SIZE, 0, "0", 0, INT64_MAX, NULL, "with less in it a snapshot is suspect"},
    {"min_entries", OPTION_INTEGER, 0, "0", 0, INT64_MAX, NULL, "with fewer entries in it a snapshot is suspect"},
    RUN_AS_ROW, TIMEOUT_ROW, STALL_ROW, END_ROW,
};

const struct option config_sink_options[] = {
    PLUGIN_ROW,
    {"key", OPTION_PATH, 0, NULL, 0, 0, NULL, "key file that seals what is stored"},
    {"encryption", OPTION_CHOICE, 0, NULL, 0, 0, "none", "'none' stores everything readable, without a key"},
    {"format", OPTION_CHOICE, 0, "repository", 0, 0, "repository|archive", "how snapshots are laid out"},
    {"trust_hosts", OPTION_BOOLEAN, 0, "no", 0, 0, NULL, "re-use what other hosts have stored"},
    {"gc_repack", OPTION_SIZE, 0, "10GiB", 0, INT64_MAX, NULL,
     "how much of what holds little that is needed one gc packs anew; 0 = nothing"},
    {"gc_every", OPTION_DURATION, 0, "1d", 0, LONGEST, NULL, "how often due does gc, with a key that may; 0 = never"},
    {"prune_every", OPTION_DURATION, 0, "0", 0, LONGEST, NULL,
     "how often due removes what other hosts store and no keep_ rule here keeps; 0 = never"},
    {"retry_for", OPTION_DURATION, 0, "5min", 1, LONGEST, NULL, "how long what fails in passing is tried again"},
    {"compress", OPTION_CHOICE, 0, "zstd", 0, 0, "zstd|gzip|none", "archive: how files are compressed"},
    {"level", OPTION_INTEGER, 0, "0", 0, 19, NULL, "archive: zstd 1 to 19, gzip 1 to 9; 0 = its default"},
    {"threads", OPTION_INTEGER, 0, "0", 0, 64, NULL, "archive: threads of zstd; 0 = one for each processor"},
    {"encrypt_to", OPTION_LIST, 0, NULL, 0, 0, NULL, "archive: OpenPGP recipients, full fingerprints"},
    {"passphrase", OPTION_SECRET, 0, NULL, 0, 0, NULL, "archive: encrypt with this, instead of to recipients"},
    {"sign_with", OPTION_STRING, 0, NULL, 0, 0, NULL, "archive: OpenPGP key that signs manifests, full fingerprint"},
    {"gnupg_home", OPTION_PATH, 0, NULL, 0, 0, NULL, "home directory of gpg, with the keyring"},
    {"key_passphrase", OPTION_SECRET, 0, NULL, 0, 0, NULL, "of the OpenPGP secret keys that open and sign"},
    {"recovery_to", OPTION_LIST, 0, NULL, 0, 0, NULL, "repository: OpenPGP recipients who can get the key back"},
    {"recovery_passphrase", OPTION_SECRET, 0, NULL, 0, 0, NULL, "repository: passphrase that gets the key back"},
    {"warn_space", OPTION_STRING, 0, NULL, 0, 0, NULL, "status warns when it is so full, such as 80%"},
    {"quota", OPTION_SIZE, 0, "0", 0, INT64_MAX, NULL,
     "how much it may hold, for warn_space and warn_full where its place cannot tell; 0 = that is not known"},
    {"warn_full", OPTION_DURATION, 0, "14d", 0, LONGEST, NULL,
     "status warns when it will be full within so long, going by the last weeks; 0 = never"},
    {"max_age", OPTION_DURATION, 0, NULL, 1, LONGEST, NULL,
     "status --all-hosts warns when what a host has stored is older"},
    RUN_AS_ROW, TIMEOUT_ROW, STALL_ROW, KEEP_ROWS, END_ROW,
};

const struct option config_notify_options[] = {
    PLUGIN_ROW,
    {"on", OPTION_LIST, 0, "failure, incomplete, suspect, stale, recovered, space, key_expiry", 0, 0, NULL,
     "what is told: these, success, removed, start"},
    {"remind", OPTION_DURATION, 0, "1d", 0, LONGEST, NULL, "how often what goes on is told again; 0 = never"},
    {"retry_for", OPTION_DURATION, 0, "30s", 0, LONGEST, NULL, "how long what fails in passing is tried again"},
    RUN_AS_ROW,
    {"timeout", OPTION_DURATION, 0, "1min", 1, LONGEST, NULL, "longest time for one call"},
    STALL_ROW, END_ROW,
};

const struct option config_job_options[] = {
    {"sources", OPTION_LIST, OPTION_REQUIRED, NULL, 0, 0, NULL, "what is saved: names of [source ...] sections"},
    {"sinks", OPTION_LIST, OPTION_REQUIRED, NULL, 0, 0, NULL, "where to: names of [sink ...] sections"},
    {"schedule", OPTION_STRING, 0, NULL, 0, 0, NULL, "when: minute hour day month weekday, or @daily, ..."},
    {"verify_every", OPTION_DURATION, 0, NULL, 60000, LONGEST, NULL, "how often due reads back what is stored"},
    {"max_age", OPTION_DURATION, 0, NULL, 1, LONGEST, NULL, "status warns when the newest snapshot is older"},
    {"max_duration", OPTION_DURATION, 0, NULL, 1, LONGEST, NULL, "status warns when a run takes longer"},
    {"shrink", OPTION_STRING, 0, NULL, 0, 0, NULL,
     "by how much a source may shrink before the snapshot is suspect; default 50%; off = by any"},
    {"restore_stop", OPTION_STRING, 0, NULL, 0, 0, NULL, "services that restore --in-place stops, and starts again"},
    {"restore_order", OPTION_LIST, 0, NULL, 0, 0, NULL, "sources that restore --in-place begins with, in this order"},
    {"before", OPTION_STRING, 0, NULL, 0, 0, NULL, "program that runs first; if it fails, the run does"},
    {"after", OPTION_STRING, 0, NULL, 0, 0, NULL, "program that runs at the end of each run, whatever came of it"},
    {"on_success", OPTION_STRING, 0, NULL, 0, 0, NULL, "program that runs after a run that ended with 0"},
    {"on_failure", OPTION_STRING, 0, NULL, 0, 0, NULL, "program that runs after a run that ended otherwise"},
    {"before_restore", OPTION_STRING, 0, NULL, 0, 0, NULL, "program that runs before a restore --in-place"},
    {"after_restore", OPTION_STRING, 0, NULL, 0, 0, NULL, "program that runs after it, whatever came of it"},
    {"hook_timeout", OPTION_DURATION, 0, "5min", 1, LONGEST, NULL, "each of these programs is ended after so long"},
    NOTIFY_ROWS("who is told of it: names of [notify ...] sections"), KEEP_ROWS, PRUNE_ROW, END_ROW,
};

const struct option config_override_options[] = {KEEP_ROWS, PRUNE_ROW, END_ROW};
/* clang-format on */

const char *config_role_name(enum plugin_role role)
{
    static const char *const names[] = {
        [PLUGIN_SOURCE] = "source", [PLUGIN_SINK] = "sink", [PLUGIN_NOTIFIER] = "notifier"};
    return names[role];
}

const char *config_role_section(enum plugin_role role)
{
    return role == PLUGIN_NOTIFIER ? "notify" : config_role_name(role);
}

const struct option *config_role_options(enum plugin_role role)
{
    static const struct option *const tables[] = {[PLUGIN_SOURCE] = config_source_options,
                                                  [PLUGIN_SINK] = config_sink_options,
                                                  [PLUGIN_NOTIFIER] = config_notify_options};
    return tables[role];
}
