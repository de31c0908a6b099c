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

#define LINE_SIZE 2048

static void write_line(const struct run_log_line *line, char text[LINE_SIZE])
{
    char safe[1024];
    int n = snprintf(text, LINE_SIZE,
                     "job=%s status=%s exit=%d snapshot=%s entries=%" PRIu64 " bytes=%" PRIu64 " added=%" PRIu64
                     " seconds=%.3f%s%s",
                     line->job, line->status, line->exit, line->snapshot ? line->snapshot : "-", line->entries,
                     line->bytes, line->added, (double)line->elapsed / 1000, line->error ? " error=" : "",
                     line->error ? log_escape(line->error, strlen(line->error), safe, sizeof safe) : "");
    ASSERT(n > 0 && n < LINE_SIZE);
}

/* ---- the log of the system ---- */

static const struct {
    const char *status, *id; /* made at random, and for ever */
    enum log_level level;
} kinds[] = {
    {"complete", "5f1e877428d84ef6b6cd7e109baf2ab9", LOG_NOTICE},
    {"partial", "255e9994a4564578877fc9ac9cecb048", LOG_NOTICE},
    {"skipped", "6a8c32e8ba9a445aaa0bd6b979ab7f1b", LOG_NOTICE},
    {"incomplete", "1b334eee56c8426fad874982d23d831e", LOG_WARNING},
    {"suspect", "2ee0669ecdfa401bb1029b29b0d699a9", LOG_WARNING},
    {"failed", "96e8cd3d89c443809f52ea53113aa638", LOG_ERROR},
};

void run_log_tell(const struct run_log_line *line)
{
    char text[LINE_SIZE], status[16];
    size_t kind = 0;
    while (kind + 1 < sizeof kinds / sizeof kinds[0] && strcmp(kinds[kind].status, line->status) != 0)
        kind++;
    snprintf(status, sizeof status, "%d", line->exit);
    const struct log_field fields[] = {{"COFRE_JOB", line->job},
                                       {"COFRE_STATUS", line->status},
                                       {"COFRE_EXIT", status},
                                       {"COFRE_SNAPSHOT", line->snapshot ? line->snapshot : ""}};
    write_line(line, text);
    log_to_service(&(struct log_entry){.level = kinds[kind].level,
                                       .text = text,
                                       .id = kinds[kind].id,
                                       .fields = fields,
                                       .field_count = sizeof fields / sizeof fields[0]});
}

/* ---- the file ---- */

static int append(int fd, const char *text, size_t n, const char *path, struct error *e)
{
    ssize_t written = write(fd, text, n);
    if (written == (ssize_t)n)
        return 0;
    return error_system(e, written < 0 ? errno : ENOSPC, "write the log '%s'", path);
}

int run_log_write(const char *path, const struct run_log_line *line, struct error *e)
{
    char text[LINE_SIZE], whole[LINE_SIZE + CLOCK_TEXT_MAX + 2], now[CLOCK_TEXT_MAX];
    write_line(line, text);
    int n = snprintf(whole, sizeof whole, "%s %s\n", clock_format(clock_now(), now), text);
    /* A pipe without a reader is an error, and not a place to wait at. */
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    if (fd < 0)
        return error_system(e, errno, "open the log '%s'", path);
    int result = append(fd, whole, (size_t)n, path, e);
    if (close(fd) < 0 && result == 0)
        return error_system(e, errno, "write the log '%s'", path);
    return result;
}
