#include "config/config_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/environment.h"
#include "config/section.h"

static char *join(const char *directory, const char *rest)
{
    char *path;
    return asprintf(&path, "%s%s", directory, rest) < 0 ? NULL : path;
}

void config_host_name(const char *name, char out[CONFIG_HOST_MAX + 1])
{
    size_t n = 0;
    for (; *name && n < CONFIG_HOST_MAX; name++) {
        char c = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;
        bool letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!letter && c != '_')
            c = '-';
        if (letter || n > 0)
            out[n++] = c;
    }
    out[n] = '\0';
    if (n == 0)
        snprintf(out, CONFIG_HOST_MAX + 1, "localhost");
}

/* ---- places of our own ---- */

/* "staging-1f6a…" for /srv/staging/conf.d: the name to be recognised by, the hash (FNV-1a) to be another's never. */
static void name_directory(const char *path, char *out, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (const char *p = path; *p; p++)
        hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    size_t length = strlen(path), ending = strlen("/conf.d");
    if (length > ending && strcmp(path + length - ending, "/conf.d") == 0)
        length -= ending;
    const char *name = memrchr(path, '/', length);
    name = name ? name + 1 : path;
    char shown[CONFIG_HOST_MAX + 1], cut[256];
    snprintf(cut, sizeof cut, "%.*s", (int)(length - (size_t)(name - path)), name);
    config_host_name(cut, shown);
    snprintf(out, size, "/by-config/%.32s-%016llx", shown, (unsigned long long)hash);
}

/* What belongs to another configuration than the system's own has a place of its own: locks, chains, caches and undo
 * records of two that happen to name a job alike must not meet. */
static char *by_configuration(char *base, const struct config *config, struct error *e)
{
    char below[128] = "";
    AUTO_FREE char *real = realpath(config->directory, NULL), *usual = realpath(CONFIG_DIRECTORY, NULL);
    const char *path = real ? real : config->directory;
    if (*path && strcmp(path, usual ? usual : CONFIG_DIRECTORY) != 0)
        name_directory(path, below, sizeof below);
    char *whole = join(base, below);
    free(base);
    if (!whole)
        error_memory(e);
    return whole;
}

/* Where a user's programs keep things (the XDG base directories); root has the system's places. */
static char *default_directory(const char *system, const char *variable, const char *below_home, struct error *e)
{
    char *path = NULL;
    const char *base = getenv(variable), *home = getenv("HOME");
    if (geteuid() == 0) {
        path = text_copy(system);
    } else if (base && base[0] == '/') {
        path = join(base, "/cofre");
    } else if (home && home[0] == '/') {
        path = join(home, below_home);
    } else {
        error_set(e, ERROR_CONFIG, "HOME is not set, so there is no place for cofre's own files");
        error_hint(e, "set HOME, or state_dir and cache_dir in [engine]");
        return NULL;
    }
    if (!path)
        error_memory(e);
    return path;
}

static int build_host(struct config *config, const struct section *engine, struct error *e)
{
    char name[256] = "", host[CONFIG_HOST_MAX + 1];
    const struct config_key *key = engine ? section_find(engine, "host") : NULL;
    if (!key && gethostname(name, sizeof name - 1) < 0)
        name[0] = '\0';
    config_host_name(key ? key->value : name, host);
    if (key && !text_is_name(key->value)) {
        error_set(e, ERROR_CONFIG, "'host': '%.100s' is no name", key->value);
        error_hint(e, "write it with a-z, 0-9, '-' and '_': %s", host);
        return section_error_at_key(key, e);
    }
    config->host = text_copy(host);
    return config->host ? 0 : error_memory(e);
}

static int default_plugin_dirs(struct config *config, struct error *e)
{
    static const char *const places[] = {"/plugins", "/../lib/cofre/plugins"};
    config->plugin_dirs = calloc(1, sizeof *config->plugin_dirs);
    if (!config->plugin_dirs)
        return error_memory(e);
    char *path = file_beside_program(places, sizeof places / sizeof places[0]);
    config->plugin_dirs[0] = path ? path : text_copy(COFRE_PLUGIN_DIR);
    config->plugin_dir_count = 1;
    return config->plugin_dirs[0] ? 0 : error_memory(e);
}

static int build_plugin_dirs(struct config *config, const struct section *engine, struct error *e)
{
    struct option_value v = {0};
    int written = engine ? section_value(engine, config_engine_options, "plugin_dir", &v, e) : 0;
    if (written <= 0)
        return written < 0 ? -1 : default_plugin_dirs(config, e);
    config->plugin_dirs = v.items;
    config->plugin_dir_count = v.count;
    for (size_t i = 0; i < v.count; i++)
        if (v.items[i][0] != '/') {
            error_set(e, ERROR_CONFIG, "'plugin_dir': '%.200s' is no absolute path: it must begin with '/'",
                      v.items[i]);
            return section_error_at_key(section_find(engine, "plugin_dir"), e);
        }
    return 0;
}

static int build_directory(const struct config *config, char **out, const struct section *engine, const char *name,
                           const char *system, const char *variable, const char *below_home, struct error *e)
{
    struct option_value v = {0};
    int written = engine ? section_value(engine, config_engine_options, name, &v, e) : 0;
    if (written < 0)
        return -1;
    *out = written ? v.text : default_directory(system, variable, below_home, e);
    if (*out && !written)
        *out = by_configuration(*out, config, e);
    return *out ? 0 : -1;
}

int config_engine_environment(const struct section *engine, struct error *e)
{
    struct option_value v = {0};
    int written = section_value(engine, config_engine_options, "env_file", &v, e);
    if (written <= 0)
        return written;
    int result = environment_load(v.text, e);
    option_value_free(&v);
    if (result == 0)
        return 0;
    error_context(e, "'env_file': ");
    return section_error_at_key(section_find(engine, "env_file"), e);
}

static int build_log(struct config *config, const struct section *engine, struct error *e)
{
    struct option_value v = {0};
    int written = engine ? section_value(engine, config_engine_options, "log", &v, e) : 0;
    if (written <= 0)
        return written;
    bool file = strncmp(v.text, "file:/", 6) == 0;
    config->log_service = strcmp(v.text, "syslog") == 0    ? LOG_SYSLOG
                          : strcmp(v.text, "journal") == 0 ? LOG_JOURNAL
                                                           : LOG_NO_SERVICE;
    config->log = file ? text_copy(v.text + 5) : NULL;
    option_value_free(&v);
    if (file)
        return config->log ? 0 : error_memory(e);
    if (config->log_service != LOG_NO_SERVICE)
        return 0;
    error_set(e, ERROR_CONFIG,
              "'log': it must be syslog, journal, or file: and an absolute path, as in file:/var/log/cofre.log");
    return section_error_at_key(section_find(engine, "log"), e);
}

static int take_number(int64_t *out, const struct section *engine, const char *name, struct error *e)
{
    struct option_value v = {0};
    if (section_value(engine, config_engine_options, name, &v, e) < 0)
        return -1;
    *out = v.number;
    return 0;
}

static int build_due(struct config *config, const struct section *engine, struct error *e)
{
    const struct section none = {0};
    const struct section *from = engine ? engine : &none;
    if (take_number(&config->parallel_jobs, from, "parallel_jobs", e) < 0)
        return -1;
    return take_number(&config->jitter, from, "jitter", e);
}

int config_engine_defaults(struct config *config, struct error *e)
{
    return build_host(config, NULL, e) < 0 || build_plugin_dirs(config, NULL, e) < 0 ? -1 : 0;
}

int config_engine_build(struct config *config, const struct section *engine, struct error *e)
{
    if (engine && section_check_keys(engine, config_engine_options, e) < 0)
        return -1;
    if (build_host(config, engine, e) < 0 || build_plugin_dirs(config, engine, e) < 0 ||
        build_log(config, engine, e) < 0 || build_due(config, engine, e) < 0)
        return -1;
    if (build_directory(config, &config->state_dir, engine, "state_dir", "/var/lib/cofre", "XDG_STATE_HOME",
                        "/.local/state/cofre", e) < 0)
        return -1;
    return build_directory(config, &config->cache_dir, engine, "cache_dir", "/var/cache/cofre", "XDG_CACHE_HOME",
                           "/.cache/cofre", e);
}
