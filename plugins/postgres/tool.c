#include "postgres/tool.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "postgres/program.h"

#define NEWER 15 /* major versions that are looked for beyond the server's */

/* Where packages keep the programs of one major version: Debian, Red Hat, SUSE. */
static const char *const homes[] = {"/usr/lib/postgresql/%d/bin", "/usr/pgsql-%d/bin", "/usr/lib/postgresql%d/bin"};

bool tool_read_version(struct tool *tool, const char *said)
{
    /* pg_dump (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1) */
    const char *number = strstr(said, "(PostgreSQL) ");
    if (!number)
        return false;
    number += strlen("(PostgreSQL) ");
    snprintf(tool->version, sizeof tool->version, "%.*s", (int)strcspn(number, " \n"), number);
    tool->major = atoi(tool->version);
    return tool->major > 0;
}

/* Is it there, and which version is it? */
static bool look(struct tool *tool, const char *directory, const char *name)
{
    char said[200];
    if (snprintf(tool->path, sizeof tool->path, "%s/%s", directory, name) >= (int)sizeof tool->path ||
        access(tool->path, X_OK) != 0 || program_ask(tool->path, "--version", said, sizeof said) < 0)
        return false;
    return tool_read_version(tool, said);
}

/* A later one that fits takes the place of an earlier one that does not. */
static bool consider(struct tool *best, const char *directory, const char *name, int major)
{
    struct tool found;
    if (!look(&found, directory, name))
        return false;
    if (found.major > best->major)
        *best = found;
    return found.major >= major;
}

static bool search_homes(struct tool *tool, const char *name, int major)
{
    for (int version = major; version <= major + NEWER; version++)
        for (size_t i = 0; i < sizeof homes / sizeof homes[0]; i++) {
            char directory[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(directory, sizeof directory, homes[i], version);
#pragma GCC diagnostic pop
            if (consider(tool, directory, name, major))
                return true;
        }
    return false;
}

static bool search_path(struct tool *tool, const char *name, int major)
{
    const char *path = getenv("PATH");
    for (const char *p = path ? path : ""; *p; p += *p == ':') {
        char directory[PATH_MAX];
        size_t n = strcspn(p, ":");
        snprintf(directory, sizeof directory, "%.*s", (int)n, p);
        p += n;
        if (n > 0 && consider(tool, directory, name, major))
            return true;
    }
    return false;
}

int32_t tool_find(struct tool *tool, struct cofre_call *call, const char *name, const struct options *options,
                  int server_major, struct cofre_error *error)
{
    const char *bin_dir = options->bin_dir;
    *tool = (struct tool){.major = 0};
    if (options_tools_inside(options))
        return tool_find_inside(tool, call, name, options, server_major, error);
    bool fits = bin_dir ? consider(tool, bin_dir, name, server_major)
                        : search_homes(tool, name, server_major) || search_path(tool, name, server_major);
    if (fits)
        return COFRE_OK;
    int32_t class = COFRE_E_NOT_FOUND;
    if (tool->major > 0)
        class = cofre_fail(error, COFRE_E_CONFIG, "'%.200s' is of version %s, and the server of version %d", tool->path,
                           tool->version, server_major);
    else
        cofre_fail(error, class, "%s of version %d or newer was not found%s%.200s%s", name, server_major,
                   bin_dir ? " in '" : "", bin_dir ? bin_dir : "", bin_dir ? "'" : "");
    cofre_hint(error, "install postgresql-client-%d, or set bin_dir to where it is%s", server_major,
               options->inside ? "; or use the container's own: tools = container" : "");
    return class;
}
