#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "cofre/plugin.h"
#include "host/confine.h"
#include "wire/plugin_info.h"
#include "wire/wire.h"

#define LONGEST 4096

/* Is one of them the other, or below it? Both as realpath gives them. */
static bool overlap(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), shorter = n < m ? n : m;
    const char *longer = n < m ? b : a;
    return strncmp(a, b, shorter) == 0 && (longer[shorter] == '\0' || longer[shorter] == '/' || shorter == 1);
}

static bool is_secluded(const struct confine_places *places, const char *path)
{
    AUTO_FREE char *real = realpath(path, NULL);
    for (size_t i = 0; real && i < places->secluded_count; i++) {
        AUTO_FREE char *other = realpath(places->secluded[i], NULL);
        if (other && overlap(real, other))
            return true;
    }
    return false;
}

/* ---- what the section says ---- */

static int allow_option(struct confine_paths *paths, const struct option *option, const char *path, struct error *e)
{
    struct stat st;
    if (option->flags & OPTION_READS)
        return confine_paths_allow(paths, path, CONFINE_READ, e);
    bool there = stat(path, &st) == 0;
    return confine_paths_allow(paths, path, there ? CONFINE_WRITE : CONFINE_MAKE, e);
}

static int allow_options(struct confine_paths *paths, const struct confine_places *places, struct error *e)
{
    struct cursor c = places->values;
    uint32_t count = cursor_u32(&c);
    for (uint32_t i = 0; i < count && i < places->plugin->option_count && !c.failed; i++) {
        char path[LONGEST];
        uint32_t length = cursor_u32(&c);
        const uint8_t *text = length == WIRE_NONE ? NULL : cursor_bytes(&c, length);
        if (!text || places->plugin->options[i].type != OPTION_PATH || length >= sizeof path)
            continue;
        memcpy(path, text, length);
        path[length] = '\0';
        if (allow_option(paths, &places->plugin->options[i], path, e) < 0)
            return -1;
    }
    return 0;
}

/* ---- what the plugin reads beside ---- */

/* The path that a word of `reads` stands for; "" = none. */
static void expand(const char *word, size_t length, char *out, size_t size)
{
    char name[256] = "";
    out[0] = '\0';
    if (length > 2 && word[0] == '~' && word[1] == '/') {
        const struct passwd *user = getpwuid(geteuid());
        if (user && user->pw_dir)
            snprintf(out, size, "%s%.*s", user->pw_dir, (int)length - 1, word + 1);
    } else if (length > 1 && length < sizeof name && word[0] == '$') {
        memcpy(name, word + 1, length - 1);
        const char *value = getenv(name);
        snprintf(out, size, "%s", value ? value : "");
    } else {
        snprintf(out, size, "%.*s", (int)length, word);
    }
    if (out[0] != '/')
        out[0] = '\0';
}

static int allow_reads(struct confine_paths *paths, const struct confine_places *places, struct error *e)
{
    const char *words = places->plugin->reads ? places->plugin->reads : "";
    for (const char *word = words + strspn(words, " "); *word; word += strspn(word, " ")) {
        char path[LONGEST];
        size_t length = strcspn(word, " ");
        expand(word, length, path, sizeof path);
        word += length;
        if (path[0] && is_secluded(places, path))
            log_line(LOG_WARNING, "plugin '%s' is kept from '%s': a key or a directory of cofre's own is in it",
                     places->plugin->name, path);
        else if (path[0] && confine_paths_allow(paths, path, CONFINE_READ, e) < 0)
            return -1;
    }
    return 0;
}

/* Where programs are looked for: the worker's PATH is the engine's. */
static int allow_programs(struct confine_paths *paths, struct error *e)
{
    const char *path = getenv("PATH");
    char directory[LONGEST];
    for (size_t n; path && *path; path += n + (path[n] == ':')) {
        n = strcspn(path, ":");
        if (*path != '/' || n >= sizeof directory)
            continue;
        snprintf(directory, sizeof directory, "%.*s", (int)n, path);
        if (confine_paths_allow(paths, directory, CONFINE_EXECUTE, e) < 0)
            return -1;
    }
    return 0;
}

static int allow_plugin(struct confine_paths *paths, const struct confine_places *places, struct error *e)
{
    for (size_t i = 0; i < places->plugin_dir_count; i++)
        if (confine_paths_allow(paths, places->plugin_dirs[i], CONFINE_READ, e) < 0)
            return -1;
    if (!places->plugin)
        return 0;
    if (allow_programs(paths, e) < 0)
        return -1;
    return allow_options(paths, places, e) < 0 || allow_reads(paths, places, e) < 0 ? -1 : 0;
}

int confine_sink(const struct confine_places *places, struct error *e)
{
    int role = places->plugin ? PLUGIN_SINK : CONFINE_DESCRIBES;
    struct confine_paths paths;
    if (confine_paths_begin(&paths, e) < 0)
        return -1;
    if (allow_plugin(&paths, places, e) < 0) {
        confine_paths_free(&paths);
        return -1;
    }
    if (confine_paths_end(&paths, e) < 0 || confine_rights(role, e) < 0 || confine_calls(role, e) < 0)
        return -1;
    return places->plugin ? 0 : confine_network(e);
}
