#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive/digest.h"
#include "attempt/records.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

#define BLOCK ((size_t)64 << 10)

/* ---- one of them ---- */

json_t *records_parse(const char *line, size_t length)
{
    json_t *record = length <= RECORDS_LINE_MAX ? json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (record && json_is_object(record) && records_text(record, "id") && records_text(record, "command") &&
        records_text(record, "status") && records_time(record, "started") != INT64_MIN &&
        records_time(record, "ended") != INT64_MIN)
        return record;
    json_decref(record);
    return NULL;
}

const char *records_text(const json_t *record, const char *member)
{
    return json_string_value(json_object_get(record, member));
}

int64_t records_number(const json_t *record, const char *member)
{
    return json_integer_value(json_object_get(record, member));
}

int64_t records_time(const json_t *record, const char *member)
{
    int64_t ns;
    const char *text = records_text(record, member);
    return text && clock_parse_exact(text, &ns) ? ns : INT64_MIN;
}

bool records_is(const json_t *record, const char *member, const char *word)
{
    const char *text = records_text(record, member);
    return text && strcmp(text, word) == 0;
}

const json_t *records_row(const json_t *record, const char *list, const char *name)
{
    const json_t *rows = json_object_get(record, list);
    for (size_t i = 0; i < json_array_size(rows); i++)
        if (records_is(json_array_get(rows, i), "name", name))
            return json_array_get(rows, i);
    return NULL;
}

const char *records_why(const json_t *record)
{
    static const struct {
        const char *list, *member;
    } places[] = {{"sources", "error"}, {"sinks", "error"}, {"sources", "suspect"}};
    const char *text = records_text(record, "error");
    for (size_t k = 0; k < sizeof places / sizeof places[0] && !text; k++) {
        const json_t *rows = json_object_get(record, places[k].list);
        for (size_t i = 0; i < json_array_size(rows) && !text; i++)
            text = records_text(json_array_get(rows, i), places[k].member);
    }
    return text;
}

const char *records_accepted(const json_t *record)
{
    bool done = records_is(record, "status", "complete") || records_is(record, "status", "incomplete");
    return records_is(record, "command", "accept") && done ? records_text(record, "snapshot") : NULL;
}

/* ---- oldest first ---- */

static int open_records(const char *directory, char *path, int *fd, struct error *e)
{
    snprintf(path, PATH_MAX, "%.*s/records", PATH_MAX - 16, directory);
    *fd = file_open(path, O_RDONLY, e);
    return *fd < 0 && e->class != ERROR_NOT_FOUND ? -1 : 0;
}

int records_open(const char *directory, struct records_reader *reader, struct error *e)
{
    int fd;
    *reader = (struct records_reader){0};
    if (open_records(directory, reader->path, &fd, e) < 0)
        return -1;
    if (fd < 0 || (reader->file = fdopen(fd, "r")))
        return 0;
    close(fd);
    return error_memory(e);
}

int records_next(struct records_reader *reader, struct error *e)
{
    if (!reader->file)
        return 0;
    errno = 0;
    ssize_t n = getline(&reader->line, &reader->capacity, reader->file);
    if (n < 0 && ferror(reader->file))
        return error_system(e, errno, "read '%s'", reader->path);
    if (n <= 0 || reader->line[n - 1] != '\n')
        return 0;
    reader->length = (size_t)n;
    reader->number++;
    return 1;
}

void records_close(struct records_reader *reader)
{
    if (reader->file)
        fclose(reader->file);
    free(reader->line);
    *reader = (struct records_reader){0};
}

/* ---- newest first ---- */

struct back {
    int fd;
    const char *path;
    struct bytes block;
    bool (*visit)(void *context, const char *line, size_t length);
    void *context;
};

/* The last n bytes before end; less at the beginning of the file. */
static int load(struct back *b, size_t end, size_t n, struct error *e)
{
    bytes_reset(&b->block);
    n = n < end ? n : end;
    uint8_t *to = bytes_reserve(&b->block, n);
    if (!to)
        return bytes_check(&b->block, "records", e);
    b->block.length = n;
    return file_read_at(b->fd, to, n, end - n, b->path, e);
}

/* Of the lines that end in the block: *end is then where the first of those begins that were visited. False: enough. */
static bool visit_block(struct back *b, size_t *end)
{
    const char *data = (const char *)b->block.data;
    size_t length = b->block.length, base = *end - length;
    /* What is behind the last newline is no line. */
    const char *last = memrchr(data, '\n', length);
    while (last) {
        size_t at = (size_t)(last - data);
        const char *before = at > 0 ? memrchr(data, '\n', at) : NULL;
        if (!before && base > 0)
            break;
        const char *line = before ? before + 1 : data;
        *end = base + (size_t)(line - data);
        if (!b->visit(b->context, line, at - (size_t)(line - data)))
            return false;
        last = before;
    }
    return true;
}

static int read_back(struct back *b, struct error *e)
{
    struct stat st;
    if (fstat(b->fd, &st) < 0)
        return error_system(e, errno, "stat '%s'", b->path);
    size_t end = (size_t)st.st_size, n = BLOCK;
    while (end > 0) {
        size_t before = end;
        if (load(b, end, n, e) < 0)
            return -1;
        if (!visit_block(b, &end) || b->block.length == before)
            return 0;
        n = end < before ? BLOCK : 2 * n;
    }
    return 0;
}

int records_back(const char *directory, bool (*visit)(void *context, const char *line, size_t length), void *context,
                 struct error *e)
{
    char path[PATH_MAX];
    struct back b = {.path = path, .block = {.maximum = RECORDS_FILE_MAX + BLOCK}, .visit = visit, .context = context};
    if (open_records(directory, path, &b.fd, e) < 0)
        return -1;
    int result = b.fd < 0 ? 0 : read_back(&b, e);
    bytes_free(&b.block);
    if (b.fd >= 0)
        close(b.fd);
    return result;
}

/* ---- the chain ---- */

/* What is wrong with the line; NULL = nothing. hash: of the line before; "" = this is the first. */
static const char *look_at(const struct records_reader *r, const char *hash, bool *cut)
{
    json_t *record = records_parse(r->line, r->length - 1), *previous = json_object_get(record, "previous");
    const char *what = NULL;
    if (!record)
        what = "it is no record";
    else if (!hash[0])
        *cut = !json_is_null(previous);
    else if (!json_is_string(previous) || strcmp(json_string_value(previous), hash) != 0)
        what = "it does not follow the line before: that one was changed, or some between them were taken out";
    json_decref(record);
    return what;
}

int records_check(const char *directory, void (*flaw)(void *context, size_t line, const char *what), void *context,
                  struct records_chain *chain, struct error *e)
{
    struct records_reader r;
    char hex[DIGEST_TEXT] = "";
    int got;
    *chain = (struct records_chain){0};
    if (records_open(directory, &r, e) < 0)
        return -1;
    while ((got = records_next(&r, e)) > 0) {
        uint8_t hash[DIGEST_SIZE];
        const char *what = look_at(&r, hex, &chain->cut);
        if (what) {
            flaw(context, r.number, what);
            chain->flaws++;
        }
        if ((got = digest_of(r.line, r.length, hash, e)) < 0)
            break;
        text_hex(hash, sizeof hash, hex);
        chain->count++;
    }
    records_close(&r);
    return got;
}
