#include "repository/ledger.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#define LINE (2 * SEAL_HASH_SIZE + 1)
#define LEDGER_MAX ((size_t)256 << 20) /* four million runs */

int ledger_read(const char *path, struct bytes *names, bool *there, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = LEDGER_MAX};
    *there = file_read_own(path, LEDGER_MAX - 1, &text, e) == 0;
    if (!*there)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    const char *at = (const char *)text.data, *end = at + text.length, *line_end;
    for (; at < end && (line_end = memchr(at, '\n', (size_t)(end - at))); at = line_end + 1) {
        char line[LINE];
        uint8_t name[SEAL_HASH_SIZE];
        snprintf(line, sizeof line, "%.*s", (int)(line_end - at), at);
        if (line_end - at == LINE - 1 && text_parse_hex(line, name, sizeof name))
            bytes_put(names, name, sizeof name);
    }
    if (names->length > 0)
        qsort(names->data, names->length / SEAL_HASH_SIZE, SEAL_HASH_SIZE, seal_hash_compare);
    return bytes_check(names, path, e);
}

static int make_directory(const char *path, struct error *e)
{
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
    return file_make_trusted(directory, e);
}

int ledger_add(const char *path, const uint8_t name[SEAL_HASH_SIZE], struct error *e)
{
    char line[1 + LINE + 1] = "\n";
    struct stat st;
    if (make_directory(path, e) < 0)
        return -1;
    AUTO_CLOSE int fd = file_open(path, O_WRONLY | O_CREAT | O_APPEND, e);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0)
        return error_system(e, errno, "stat '%s'", path);
    text_hex(name, SEAL_HASH_SIZE, line + 1);
    strcat(line, "\n");
    /* An empty line does no harm, and ends one that was not finished. */
    if (file_write_all(fd, line, strlen(line), path, e) < 0)
        return -1;
    if (fsync(fd) < 0)
        return error_system(e, errno, "make '%s' durable", path);
    return st.st_size > 0 ? 0 : file_make_durable(path, e);
}
