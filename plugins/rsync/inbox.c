#include "rsync/inbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cofre/plugin.h"

#define SMALL ((int64_t)1 << 20)
#define LISTED_MAX 65536
#define AHEAD_MAX 256
#define AHEAD_BYTES ((int64_t)16 << 20)

void inbox_open(struct inbox *inbox, struct link *link)
{
    *inbox = (struct inbox){.link = link};
}

void inbox_close(struct inbox *inbox)
{
    free(inbox->kept.rows);
    free(inbox->listed.rows);
    *inbox = (struct inbox){0};
}

/* ---- rows ---- */

static struct inbox_row *find(const struct inbox_rows *rows, const char *key)
{
    for (size_t i = 0; i < rows->count; i++)
        if (strcmp(rows->rows[i].key, key) == 0)
            return &rows->rows[i];
    return NULL;
}

/* NULL without memory. */
static struct inbox_row *add(struct inbox_rows *rows, const char *key, int64_t size)
{
    if (rows->count == rows->room) {
        size_t room = rows->room ? 2 * rows->room : 64;
        struct inbox_row *more = realloc(rows->rows, room * sizeof *more);
        if (!more)
            return NULL;
        rows->rows = more;
        rows->room = room;
    }
    struct inbox_row *row = &rows->rows[rows->count++];
    *row = (struct inbox_row){.size = size};
    snprintf(row->key, sizeof row->key, "%s", key);
    return row;
}

void inbox_forget_listing(struct inbox *inbox)
{
    inbox->listed.count = 0;
    inbox->ahead = 1;
}

void inbox_remember(struct inbox *inbox, const char *key, int64_t size)
{
    if (size <= SMALL && inbox->listed.count < LISTED_MAX)
        add(&inbox->listed, key, size);
}

static void drop_row(struct inbox *inbox, struct inbox_row *row)
{
    char path[WORKSPACE_PATH];
    unlink(workspace_path(&inbox->link->workspace, WORKSPACE_IN, row->key, path));
    inbox->bytes -= row->size;
    *row = inbox->kept.rows[--inbox->kept.count];
}

void inbox_drop(struct inbox *inbox, const char *key)
{
    struct inbox_row *row = find(&inbox->kept, key);
    if (row)
        drop_row(inbox, row);
}

/* The longest unused go until no more than that is left. */
static void shrink(struct inbox *inbox, int64_t bytes)
{
    while (inbox->bytes > bytes && inbox->kept.count > 0) {
        struct inbox_row *oldest = inbox->kept.rows;
        for (size_t i = 1; i < inbox->kept.count; i++)
            if (inbox->kept.rows[i].used < oldest->used)
                oldest = &inbox->kept.rows[i];
        drop_row(inbox, oldest);
    }
}

/* ---- fetching ---- */

/* The object, and those that are likely to be asked for next. */
static int32_t choose(struct inbox *inbox, const char *key, struct transfer_names *names, struct cofre_error *error)
{
    int32_t result = transfer_name(names, TRANSFER_TEMPORARY, error);
    if (!result)
        result = transfer_name(names, key, error);
    const struct inbox_row *row = find(&inbox->listed, key);
    if (!row)
        return result;
    const struct inbox_row *end = inbox->listed.rows + inbox->listed.count;
    int64_t bytes = 0;
    size_t left = inbox->ahead;
    for (row++; !result && row < end && --left > 0 && (bytes += row->size) < AHEAD_BYTES; row++)
        if (!find(&inbox->kept, row->key))
            result = transfer_name(names, row->key, error);
    inbox->ahead = inbox->ahead < AHEAD_MAX ? 2 * inbox->ahead : AHEAD_MAX;
    return result;
}

int32_t inbox_keep(struct inbox *inbox, const char *names, size_t length, struct cofre_error *error)
{
    char path[WORKSPACE_PATH];
    struct stat st;
    shrink(inbox, inbox->link->options->staging_size / 2);
    for (size_t at = 0; at < length; at += strlen(names + at) + 1) {
        const char *key = names + at;
        if (lstat(workspace_path(&inbox->link->workspace, WORKSPACE_IN, key, path), &st) || !S_ISREG(st.st_mode))
            continue;
        struct inbox_row *row = add(&inbox->kept, key, st.st_size);
        if (!row)
            return cofre_fail(error, COFRE_E_MEMORY, "get '%s': out of memory", key);
        row->used = ++inbox->clock;
        inbox->bytes += st.st_size;
    }
    return COFRE_OK;
}

static bool is_same_content(int one, int other)
{
    char a[16384], b[16384];
    for (off_t at = 0;;) {
        ssize_t n = pread(one, a, sizeof a, at);
        if (n < 0 || pread(other, b, sizeof b, at) != n || memcmp(a, b, (size_t)n) != 0)
            return false;
        if (n == 0)
            return true;
        at += n;
    }
}

bool inbox_is_same(const struct inbox *inbox, const char *key, const char *path)
{
    char kept[WORKSPACE_PATH];
    if (!find(&inbox->kept, key))
        return false;
    workspace_path(&inbox->link->workspace, WORKSPACE_IN, key, kept);
    int one = open(kept, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), other = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    bool same = one >= 0 && other >= 0 && is_same_content(one, other);
    if (one >= 0)
        close(one);
    if (other >= 0)
        close(other);
    return same;
}

/* What came. The sentinel goes, so that the next run shows it anew. */
static int32_t collect(struct inbox *inbox, const struct transfer_names *names, struct cofre_error *error)
{
    char path[WORKSPACE_PATH];
    size_t sentinel = strlen(names->text) + 1;
    if (rmdir(workspace_path(&inbox->link->workspace, WORKSPACE_IN, TRANSFER_TEMPORARY, path)))
        return transfer_no_place(inbox->link, error);
    return inbox_keep(inbox, names->text + sentinel, names->length - sentinel, error);
}

/* Nothing came: it is absent, or too large to be kept. */
static int32_t explain(struct inbox *inbox, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    struct transfer_names names = {0};
    char *text = NULL;
    struct transfer t = {.kind = TRANSFER_LOOK, .names = &names, .subject = key};
    int32_t result = transfer_name(&names, key, error);
    if (!result)
        result = transfer_run(inbox->link, &t, call, &text, error);
    if (!result && text[0] == '-') {
        result = cofre_fail(error, COFRE_E_NO_SPACE, "get '%s': it has more than the %lld MiB of staging_size", key,
                            (long long)(inbox->link->options->staging_size >> 20));
        cofre_hint(error, "raise staging_size; '%s' needs the room", inbox->link->options->staging);
    } else if (!result) {
        result = cofre_fail(error, COFRE_E_NOT_FOUND, "object '%s' does not exist in '%s'", key,
                            inbox->link->options->target);
    }
    free(text);
    transfer_free_names(&names);
    return result;
}

static int32_t fetch(struct inbox *inbox, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    char subject[COFRE_MAX_KEY + 16];
    struct transfer_names names = {0};
    snprintf(subject, sizeof subject, "object '%s'", key);
    struct transfer t = {.kind = TRANSFER_FETCH, .names = &names, .subject = subject};
    shrink(inbox, inbox->link->options->staging_size / 2);
    int32_t result = choose(inbox, key, &names, error);
    if (!result)
        result = transfer_run(inbox->link, &t, call, NULL, error);
    if (!result)
        result = collect(inbox, &names, error);
    transfer_free_names(&names);
    if (!result && !find(&inbox->kept, key))
        result = explain(inbox, call, key, error);
    return result;
}

int32_t inbox_get(struct inbox *inbox, struct cofre_call *call, const char *key, int *fd, int64_t *size,
                  struct cofre_error *error)
{
    char path[WORKSPACE_PATH];
    struct inbox_row *row = find(&inbox->kept, key);
    int32_t result = row ? COFRE_OK : fetch(inbox, call, key, error);
    if (result)
        return result;
    row = find(&inbox->kept, key);
    row->used = ++inbox->clock;
    *size = row->size;
    *fd = open(workspace_path(&inbox->link->workspace, WORKSPACE_IN, key, path), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*fd < 0)
        return cofre_fail_errno(error, errno, "open object '%s' in '%s'", key, inbox->link->options->staging);
    /* Open is enough: it can be read also when its name has gone. */
    shrink(inbox, inbox->link->options->staging_size);
    return COFRE_OK;
}
