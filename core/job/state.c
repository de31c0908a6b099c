#include "job/state.h"

#include <limits.h>
#include <stdio.h>

#include "base/error.h"
#include "base/file.h"
#include "config/config.h"

int state_directory(const struct config *config, const char *job, char *out, struct error *e)
{
    if (snprintf(out, PATH_MAX, "%s/jobs/%s", config->state_dir, job) >= PATH_MAX - 128)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", config->state_dir);
    return file_make_trusted(out, e);
}

int state_lock(const char *directory, const char *job, int *fd, struct error *e)
{
    char path[PATH_MAX];
    long holder;
    if (snprintf(path, sizeof path, "%s/lock", directory) >= (int)sizeof path)
        return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", directory);
    if (file_lock(path, fd, &holder, e) == 0)
        return 0;
    if (e->class != ERROR_BUSY)
        return -1;
    error_set(e, ERROR_BUSY, "another run is active (process %ld)", holder);
    error_subject(e, "job", job);
    return error_hint(e, "wait for it, or end that process");
}
