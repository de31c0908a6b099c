#include "config/config.h"

#include <errno.h>
#include <fnmatch.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/config_build.h"
#include "config/environment.h"
#include "config/section.h"

/* ---- freeing ---- */

static void free_strings(char **list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(list[i]);
    free(list);
}

/* A literal secret may stand in it. */
static void free_secret(struct config_secret *secret)
{
    if (secret->text)
        explicit_bzero(secret->text, strlen(secret->text));
    free(secret->text);
}

static void free_openpgp(struct config_openpgp *openpgp)
{
    free_strings(openpgp->recipients, openpgp->recipient_count);
    free_secret(&openpgp->passphrase);
    free_secret(&openpgp->key_passphrase);
    free(openpgp->home);
    free(openpgp->signer);
}

static void free_instances(struct config_instance *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].name);
        free(list[i].plugin);
        free(list[i].run_as);
        free(list[i].fault);
        free(list[i].key);
        free_openpgp(&list[i].openpgp);
        section_free_keys(list[i].keys, list[i].key_count);
    }
    free(list);
}

static void free_notify(struct config_notify *notify)
{
    free(notify->to);
}

static void free_jobs(struct config_job *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].name);
        free(list[i].schedule);
        free(list[i].restore_stop);
        free(list[i].restore_order);
        free(list[i].sources);
        free(list[i].sinks);
        free_notify(&list[i].notify);
        free(list[i].overrides);
        for (size_t k = 0; k < CONFIG_HOOKS; k++)
            config_hook_free(&list[i].hooks[k]);
    }
    free(list);
}

void config_free(struct config *c)
{
    if (!c)
        return;
    environment_forget();
    free_jobs(c->jobs, c->job_count);
    free_instances(c->sources, c->source_count);
    free_instances(c->sinks, c->sink_count);
    free_instances(c->notifiers, c->notifier_count);
    free_notify(&c->notify);
    free_strings(c->plugin_dirs, c->plugin_dir_count);
    free_strings(c->files, c->file_count);
    free_strings(c->unread, c->unread_count);
    free(c->host);
    free(c->state_dir);
    free(c->cache_dir);
    free(c->log);
    free(c->directory);
    free(c);
}

/* ---- files ---- */

/* A fault found in the file system is one of the configuration: the exit status says so. */
static int as_config(struct error *e)
{
    if (e->class != ERROR_MEMORY)
        e->class = ERROR_CONFIG;
    return -1;
}

static int is_conf(const struct dirent *entry)
{
    return fnmatch("*.conf", entry->d_name, FNM_PERIOD) == 0;
}

/* Also what somebody may take for one that is read. */
static int is_near(const struct dirent *entry)
{
    return is_conf(entry) || fnmatch("*.ini", entry->d_name, FNM_PERIOD) == 0 ||
           fnmatch("*.cfg", entry->d_name, FNM_PERIOD) == 0;
}

/* Bytewise, so that the order does not depend on the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int append_file(struct config *c, const struct dirent *entry, struct error *e)
{
    char *path;
    if (asprintf(&path, "%s/%s", c->directory, entry->d_name) < 0)
        return error_memory(e);
    if (is_conf(entry))
        c->files[c->file_count++] = path;
    else
        c->unread[c->unread_count++] = path;
    return 0;
}

static int append_files(struct config *c, struct dirent **entries, size_t count, struct error *e)
{
    if (count > CONFIG_FILES_MAX)
        return error_set(e, ERROR_CONFIG, "config directory '%s' holds more than %d files", c->directory,
                         CONFIG_FILES_MAX);
    c->files = calloc(count + 1, sizeof *c->files);
    c->unread = calloc(count + 1, sizeof *c->unread);
    if (!c->files || !c->unread)
        return error_memory(e);
    for (size_t i = 0; i < count; i++)
        if (append_file(c, entries[i], e) < 0)
            return -1;
    if (c->file_count > 0)
        return 0;
    error_set(e, ERROR_CONFIG, "config directory '%s' holds no *.conf file", c->directory);
    if (c->unread_count > 0)
        return error_hint(e, "only names that end in .conf are read: rename '%s'", c->unread[0]);
    return error_hint(e, "put one there, or name another directory with --config-dir or COFRE_CONFIG_DIR");
}

static int list_files(struct config *c, struct error *e)
{
    struct dirent **entries;
    int count = scandir(c->directory, &entries, is_near, by_name);
    if (count < 0) {
        error_system(e, errno, "read config directory '%s'", c->directory);
        as_config(e);
        return error_hint(e, "make it, or name another one with --config-dir or COFRE_CONFIG_DIR");
    }
    int result = append_files(c, entries, (size_t)count, e);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    free(entries);
    return result;
}

static int read_file(const char *file, const struct stat *st, struct sections *sections, struct error *e)
{
    if (!S_ISREG(st->st_mode))
        return error_set(e, ERROR_CONFIG, "config file '%s' is not a regular file", file);
    /* Room from the start: a buffer that moves would leave copies of what may be a secret. */
    struct bytes text = {.maximum = CONFIG_FILE_MAX};
    if (!bytes_reserve(&text, text.maximum))
        return error_memory(e);
    int result = file_read(file, CONFIG_FILE_MAX, &text, e);
    if (result < 0)
        as_config(e);
    else
        result = section_read(sections, file, text.data, text.length, (st->st_mode & 077) == 0, e);
    explicit_bzero(text.data, text.length);
    bytes_free(&text);
    return result;
}

static int read_files(struct config *c, struct sections *sections, struct error *e)
{
    for (size_t i = 0; i < c->file_count; i++) {
        struct stat st;
        if (file_check_trusted(c->files[i], e) < 0)
            return as_config(e);
        if (stat(c->files[i], &st) < 0) {
            error_system(e, errno, "stat config file '%s'", c->files[i]);
            return as_config(e);
        }
        if (read_file(c->files[i], &st, sections, e) < 0)
            return -1;
    }
    return 0;
}

static const char *choose_directory(const char *directory)
{
    const char *variable = getenv("COFRE_CONFIG_DIR");
    return directory ? directory : variable && *variable ? variable : CONFIG_DIRECTORY;
}

static int check_place(const char *name, const char *path, struct error *e)
{
    if (file_check_trusted_place(path, e) == 0)
        return 0;
    error_context(e, "%s '%s': ", name, path);
    return as_config(e);
}

/* What is kept there is believed: what is to be undone, and with what options, what was stored, how gpg is run. */
static int check_places(const struct config *c, struct error *e)
{
    return check_place("state_dir", c->state_dir, e) < 0 ? -1 : check_place("cache_dir", c->cache_dir, e);
}

static int load(struct config *c, const char *directory, struct error *e)
{
    c->directory = text_copy(choose_directory(directory));
    if (!c->directory)
        return error_memory(e);
    if (list_files(c, e) < 0)
        return -1;
    if (file_check_trusted(c->directory, e) < 0)
        return as_config(e);
    struct sections sections = {0};
    int result = read_files(c, &sections, e);
    if (result == 0)
        result = config_build_all(c, &sections, e);
    section_free(&sections);
    return result < 0 ? -1 : check_places(c, e);
}

int config_load(const char *directory, struct config **config, struct error *e)
{
    *config = NULL;
    struct config *c = calloc(1, sizeof *c);
    if (!c)
        return error_memory(e);
    if (load(c, directory, e) < 0) {
        config_free(c);
        return -1;
    }
    *config = c;
    return 0;
}

int config_defaults(struct config **config, struct error *e)
{
    *config = NULL;
    struct config *c = calloc(1, sizeof *c);
    if (!c)
        return error_memory(e);
    c->directory = text_copy("");
    if (!c->directory || config_engine_defaults(c, e) < 0) {
        int result = c->directory ? -1 : error_memory(e);
        config_free(c);
        return result;
    }
    *config = c;
    return 0;
}

bool config_exists(const char *directory)
{
    struct dirent **entries;
    int count = scandir(choose_directory(directory), &entries, is_conf, NULL);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    if (count >= 0)
        free(entries);
    return count > 0;
}

static int parse(struct config *c, const char *file, const void *text, size_t length, bool private_file,
                 struct error *e)
{
    c->files = calloc(1, sizeof *c->files);
    c->directory = text_copy("");
    if (!c->files || !c->directory)
        return error_memory(e);
    c->files[0] = text_copy(file);
    c->file_count = 1;
    if (!c->files[0])
        return error_memory(e);
    struct sections sections = {0};
    int result = section_read(&sections, c->files[0], text, length, private_file, e);
    if (result == 0)
        result = config_build_all(c, &sections, e);
    section_free(&sections);
    return result < 0 ? -1 : check_places(c, e);
}

int config_parse(const char *file, const void *text, size_t length, bool private_file, struct config **config,
                 struct error *e)
{
    *config = NULL;
    struct config *c = calloc(1, sizeof *c);
    if (!c)
        return error_memory(e);
    if (parse(c, file, text, length, private_file, e) < 0) {
        config_free(c);
        return -1;
    }
    *config = c;
    return 0;
}

/* ---- finding ---- */

/* Names of count things of this size whose first member is the name, as in every struct here. */
static int not_found(const struct config *c, const char *what, const char *name, const void *list, size_t count,
                     size_t size, struct error *e)
{
    error_set(e, ERROR_CONFIG, "no %s '%.80s' is configured in '%s'", what, name, c->directory);
    const char **names = calloc(count + 1, sizeof *names);
    if (!names)
        return error_memory(e);
    for (size_t i = 0; i < count; i++)
        memcpy(&names[i], (const char *)list + i * size, sizeof names[i]);
    char known[32];
    snprintf(known, sizeof known, "%ss", what);
    section_suggest(name, known, names, count, e);
    free(names);
    return -1;
}

int config_find_job(const struct config *c, const char *name, const struct config_job **job, struct error *e)
{
    for (size_t i = 0; i < c->job_count; i++)
        if (strcmp(c->jobs[i].name, name) == 0) {
            *job = &c->jobs[i];
            return 0;
        }
    return not_found(c, "job", name, c->jobs, c->job_count, sizeof *c->jobs, e);
}

static int find_instance(const struct config *c, const char *what, const char *name, const struct config_instance *list,
                         size_t count, const struct config_instance **out, struct error *e)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].name, name) == 0) {
            *out = &list[i];
            return 0;
        }
    return not_found(c, what, name, list, count, sizeof *list, e);
}

int config_find_source(const struct config *c, const char *name, const struct config_instance **source, struct error *e)
{
    int found = find_instance(c, "source", name, c->sources, c->source_count, source, e);
    return found < 0 ? -1 : config_usable(*source, e);
}

int config_find_sink(const struct config *c, const char *name, const struct config_instance **sink, struct error *e)
{
    return find_instance(c, "sink", name, c->sinks, c->sink_count, sink, e);
}

static bool has(const struct config_instance *const *items, size_t count, const struct config_instance *item)
{
    for (size_t i = 0; i < count; i++)
        if (items[i] == item)
            return true;
    return false;
}

bool config_job_uses(const struct config_job *job, const struct config_instance *sink)
{
    return has(job->sinks, job->sink_count, sink);
}

bool config_job_saves(const struct config_job *job, const struct config_instance *source)
{
    return has(job->sources, job->source_count, source);
}

bool config_saves(const struct config *config, const struct config_instance *source)
{
    for (size_t i = 0; i < config->job_count; i++)
        if (config_job_saves(&config->jobs[i], source))
            return true;
    return false;
}

int config_find_notifier(const struct config *c, const char *name, const struct config_instance **notifier,
                         struct error *e)
{
    int found = find_instance(c, "notifier", name, c->notifiers, c->notifier_count, notifier, e);
    return found < 0 ? -1 : config_usable(*notifier, e);
}

int config_usable(const struct config_instance *instance, struct error *e)
{
    if (!instance->fault)
        return 0;
    error_set(e, ERROR_CONFIG, "%s", instance->fault);
    return error_hint(e, "set it, name env_file in [engine], or write ${NAME:-DEFAULT}");
}
