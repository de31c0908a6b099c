#include "rsync/listing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cofre/plugin.h"
#include "rsync/transfer.h"

/* ---- lines: "-rw-------        4096 2026/11/21 04:15:30 packs/ab/one", times in UTC as we asked for ---- */

static bool parse(char *line, struct listing_row *row)
{
    struct tm tm = {0};
    int at = 0;
    if (sscanf(line, "%*10s %" SCNd64 " %4d/%2d/%2d %2d:%2d:%2d %n", &row->size, &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
               &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &at) != 7 ||
        at == 0 || line[at] == '\0')
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    row->type = line[0];
    row->mtime = (int64_t)timegm(&tm) * 1000000000;
    row->name = line + at;
    char *target = row->type == 'l' ? strstr(line + at, " -> ") : NULL;
    if (target)
        *target = '\0';
    return true;
}

int32_t listing_rows(char *text, int32_t (*row)(void *, const struct listing_row *, struct cofre_error *),
                     void *context, struct cofre_error *error)
{
    char *rest = text;
    int32_t result = COFRE_OK;
    for (char *line = strsep(&rest, "\n"); line && !result; line = strsep(&rest, "\n")) {
        struct listing_row parsed;
        if (parse(line, &parsed))
            result = row(context, &parsed, error);
    }
    return result;
}

/* ---- list ---- */

struct list {
    struct place *place;
    struct cofre_call *call;
    const char *prefix;
    bool there;
};

/* Whatever else lives on the far side, or is written there by rsync's own rules for odd bytes, is no key. */
static bool is_key(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/";
    return name[strspn(name, letters)] == '\0' && strlen(name) <= COFRE_MAX_KEY;
}

/* What is neither a directory nor a file is listed as an object, which nobody can get: it must not seem that there is
 * none, and is in no other's way. */
static int32_t say(void *context, const struct listing_row *row, struct cofre_error *error)
{
    struct list *list = context;
    list->there = list->there || strcmp(row->name, TRANSFER_TEMPORARY) == 0;
    if (row->type == 'd' || strncmp(row->name, list->prefix, strlen(list->prefix)) != 0 || !is_key(row->name))
        return COFRE_OK;
    struct cofre_object object = {
        .struct_size = sizeof object, .key = row->name, .size = row->size, .mtime = row->mtime};
    if (row->type == '-')
        inbox_remember(&list->place->inbox, row->name, row->size);
    return cofre->object(list->call, &object, error);
}

/* The directory that holds what begins with the prefix. */
static int32_t add_directory(struct transfer_names *names, const char *prefix, struct cofre_error *error)
{
    char directory[COFRE_MAX_KEY + 4];
    const char *slash = strrchr(prefix, '/');
    snprintf(directory, sizeof directory, "%.*s", slash ? (int)(slash - prefix) + 1 : 2, slash ? prefix : "./");
    return transfer_name(names, directory, error);
}

int32_t listing_run(struct place *place, struct cofre_call *call, const char *prefix, struct cofre_error *error)
{
    char subject[COFRE_MAX_KEY + 16], *text = NULL;
    struct transfer_names names = {0};
    struct list list = {.place = place, .call = call, .prefix = prefix};
    struct transfer t = {.kind = TRANSFER_LIST, .names = &names, .subject = subject};
    snprintf(subject, sizeof subject, "'%s'", prefix);
    inbox_forget_listing(&place->inbox);
    int32_t result = outbox_flush(&place->outbox, call, error);
    if (!result)
        result = transfer_name(&names, TRANSFER_TEMPORARY, error);
    if (!result)
        result = add_directory(&names, prefix, error);
    if (!result)
        result = transfer_run(&place->link, &t, call, &text, error);
    if (!result)
        result = listing_rows(text, say, &list, error);
    if (!result && !list.there)
        result = transfer_no_place(&place->link, error);
    free(text);
    transfer_free_names(&names);
    return result;
}

/* ---- sweep ---- */

struct sweep {
    struct place *place;
    struct transfer_names names;
    int64_t older_than;
    size_t count;
};

/* Only what lies directly in the two directories that nobody but us and rsync writes to. */
static int32_t gather(void *context, const struct listing_row *row, struct cofre_error *error)
{
    struct sweep *sweep = context;
    const char *slash = strchr(row->name, '/');
    size_t folder = slash ? (size_t)(slash - row->name) : 0;
    bool ours = (folder == strlen(TRANSFER_TEMPORARY) && memcmp(row->name, TRANSFER_TEMPORARY, folder) == 0) ||
                (folder == strlen(TRANSFER_MARKS) && memcmp(row->name, TRANSFER_MARKS, folder) == 0);
    if (!ours || row->type != '-' || row->mtime >= sweep->older_than || strpbrk(slash + 1, "/\\"))
        return COFRE_OK;
    sweep->count++;
    return transfer_name(&sweep->names, row->name, error);
}

static int32_t remove_all(struct sweep *sweep, struct cofre_call *call, struct cofre_error *error)
{
    struct link *link = &sweep->place->link;
    struct transfer t = {.kind = TRANSFER_REMOVE, .names = &sweep->names, .subject = "what interrupted runs left"};
    int32_t result = workspace_parents(&link->workspace, WORKSPACE_VOID, TRANSFER_TEMPORARY "/x", error);
    if (!result)
        result = workspace_parents(&link->workspace, WORKSPACE_VOID, TRANSFER_MARKS "/x", error);
    if (!result)
        result = transfer_run(link, &t, call, NULL, error);
    if (result != COFRE_E_DENIED && result != COFRE_E_UNSUPPORTED)
        return result;
    /* Append-only: it is small, and whoever looks after the far side can remove it. */
    cofre->log(call, COFRE_LOG_DEBUG, error->message);
    return COFRE_OK;
}

int32_t listing_sweep(struct place *place, struct cofre_call *call, int64_t older_than, struct cofre_error *error)
{
    char *text = NULL;
    struct transfer_names names = {0};
    struct sweep sweep = {.place = place, .older_than = older_than};
    struct transfer t = {.kind = TRANSFER_DEBRIS, .names = &names, .subject = "what interrupted runs left"};
    int32_t result = outbox_flush(&place->outbox, call, error);
    if (!result)
        result = transfer_name(&names, TRANSFER_TEMPORARY "/", error);
    if (!result)
        result = transfer_name(&names, TRANSFER_MARKS "/", error);
    if (!result)
        result = transfer_run(&place->link, &t, call, &text, error);
    if (!result)
        result = listing_rows(text, gather, &sweep, error);
    if (!result && sweep.count > 0)
        result = remove_all(&sweep, call, error);
    free(text);
    transfer_free_names(&names);
    transfer_free_names(&sweep.names);
    return result;
}
