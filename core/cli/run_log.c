#include "cli/run_log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

static int append(int fd, const char *text, size_t n, const char *path, struct error *e)
{
    ssize_t written = write(fd, text, n);
    if (written == (ssize_t)n)
        return 0;
    return error_system(e, written < 0 ? errno : ENOSPC, "write the log '%s'", path);
}

int run_log_write(const char *path, const struct run_log_line *line, struct error *e)
{
    char text[2048], safe[1024], now[CLOCK_TEXT_MAX];
    int n = snprintf(text, sizeof text,
                     "%s job=%s status=%s exit=%d snapshot=%s entries=%" PRIu64 " bytes=%" PRIu64 " added=%" PRIu64
                     " seconds=%.3f%s%s\n",
                     clock_format(clock_now(), now), line->job, line->status, line->exit,
                     line->snapshot ? line->snapshot : "-", line->entries, line->bytes, line->added,
                     (double)line->elapsed / 1000, line->error ? " error=" : "",
                     line->error ? log_escape(line->error, strlen(line->error), safe, sizeof safe) : "");
    ASSERT(n > 0 && (size_t)n < sizeof text);
    /* A pipe without a reader is an error, and not a place to wait at. */
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0)
        return error_system(e, errno, "open the log '%s'", path);
    int result = append(fd, text, (size_t)n, path, e);
    if (close(fd) < 0 && result == 0)
        return error_system(e, errno, "write the log '%s'", path);
    return result;
}
