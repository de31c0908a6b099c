#include "docker-volume/user.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "docker-volume/order.h"

#define ID_SHORT 12 /* of an id, as a container's host name */
#define LINE 4096

/* By its name, or by where its files are: a directory in it, mounted as a directory of the machine. */
static bool is_mount_of(const struct container_mount *mount, const struct volume *volume)
{
    if (mount->volume)
        return strcmp(mount->volume, volume->name) == 0;
    return volume->plain && volume->mountpoint[0] &&
           (strcmp(mount->source, volume->mountpoint) == 0 || order_is_below(mount->source, volume->mountpoint));
}

static bool mounts(const struct container *container, const struct volume *volume, bool writable)
{
    for (size_t i = 0; i < container->mount_count; i++)
        if ((container->mounts[i].writable || !writable) && is_mount_of(&container->mounts[i], volume))
            return true;
    return false;
}

bool user_mounts(const struct container *container, const struct volume *volume)
{
    return mounts(container, volume, false);
}

bool user_writes(const struct container *container, const struct volume *volume)
{
    return mounts(container, volume, true);
}

static bool mounts_any(const struct survey *survey, const struct container *container, bool writable)
{
    for (size_t i = 0; i < survey->volumes.count; i++)
        if (survey->chosen[i] && mounts(container, &survey->volumes.items[i], writable))
            return true;
    return false;
}

bool user_mounts_any(const struct survey *survey, const struct container *container)
{
    return mounts_any(survey, container, false);
}

bool user_writes_any(const struct survey *survey, const struct container *container)
{
    return mounts_any(survey, container, true);
}

bool user_runs(const struct container *container)
{
    return container->state == CONTAINER_RUNNING || container->state == CONTAINER_RESTARTING;
}

/* The host name that Docker gives, unless told otherwise, is the beginning of the id. */
static bool is_host_name(const char *id)
{
    char name[256] = "";
    gethostname(name, sizeof name - 1);
    size_t length = strlen(name);
    return length >= ID_SHORT && strncmp(id, name, length) == 0;
}

/* Is there a line with both? */
static bool is_in_file(const char *path, const char *id, const char *also)
{
    char *line = malloc(LINE);
    FILE *file = line ? fopen(path, "re") : NULL;
    bool found = false;
    while (file && !found && fgets(line, LINE, file))
        found = strstr(line, id) && strstr(line, also);
    if (file)
        fclose(file);
    free(line);
    return found;
}

/* Its control group is named after the id, and so is the file that is mounted over /etc/hostname, which is seen also
 * where a process has a view of control groups of its own. (Other mounts with ids are those of the daemon's machine.)
 */
bool user_is_self(const struct container *container)
{
    if (container->pid == 0 || strlen(container->id) < ID_SHORT)
        return false;
    return is_host_name(container->id) || is_in_file("/proc/self/cgroup", container->id, "") ||
           is_in_file("/proc/self/mountinfo", container->id, " /etc/hostname ");
}

enum options_during user_during(const struct options *options, const struct container *container, bool *known)
{
    static const char *const words[] = {[OPTIONS_RUN] = "run", [OPTIONS_PAUSE] = "pause", [OPTIONS_STOP] = "stop"};
    *known = true;
    if (user_is_self(container))
        return OPTIONS_RUN;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(container->during, words[i]) == 0)
            return (enum options_during)i;
    *known = container->during[0] == '\0';
    return (enum options_during)options->during;
}

const char *user_reference(const struct container *container, char out[USER_REFERENCE_MAX])
{
    if (container->project[0] && container->service[0])
        snprintf(out, USER_REFERENCE_MAX, "%.140s/%.140s", container->project, container->service);
    else
        snprintf(out, USER_REFERENCE_MAX, "%.280s", container->name);
    return out;
}
