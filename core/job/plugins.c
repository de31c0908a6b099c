#include "job/plugins.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/config.h"

static bool has(const struct plugins *plugins, const char *name, size_t length)
{
    for (size_t i = 0; i < plugins->count; i++)
        if (strlen(plugins->names[i]) == length && memcmp(plugins->names[i], name, length) == 0)
            return true;
    return false;
}

bool plugins_have(const struct plugins *plugins, const char *name)
{
    return has(plugins, name, strlen(name));
}

static int collect(const char *path, struct plugins *plugins, struct error *e)
{
    DIR *directory = opendir(path);
    if (!directory)
        return errno == ENOENT ? 0 : error_system(e, errno, "read plugin directory '%s'", path);
    const struct dirent *entry;
    int result = 0;
    for (errno = 0; result == 0 && (entry = readdir(directory)); errno = 0) {
        size_t length = strlen(entry->d_name);
        if (length <= 3 || strcmp(entry->d_name + length - 3, ".so") != 0 || has(plugins, entry->d_name, length - 3))
            continue;
        char *copy = plugins->count < PLUGINS_MAX ? strndup(entry->d_name, length - 3) : NULL;
        if (copy)
            plugins->names[plugins->count++] = copy;
        else
            result = error_memory(e);
    }
    if (result == 0 && errno)
        result = error_system(e, errno, "read plugin directory '%s'", path);
    closedir(directory);
    return result;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int plugins_list(const struct config *config, struct plugins *plugins, struct error *e)
{
    int result = 0;
    *plugins = (struct plugins){.count = 0};
    for (size_t i = 0; i < config->plugin_dir_count && result == 0; i++)
        result = collect(config->plugin_dirs[i], plugins, e);
    qsort(plugins->names, plugins->count, sizeof plugins->names[0], compare);
    return result;
}

void plugins_free(struct plugins *plugins)
{
    for (size_t i = 0; i < plugins->count; i++)
        free(plugins->names[i]);
    plugins->count = 0;
}
