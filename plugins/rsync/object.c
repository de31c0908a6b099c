#include "rsync/object.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "rsync/listing.h"
#include "rsync/transfer.h"

int32_t object_put(struct place *place, struct cofre_call *call, const char *key, const struct cofre_put *put,
                   struct cofre_error *error)
{
    return outbox_put(&place->outbox, call, key, put, error);
}

/* ---- get ---- */

static int32_t deliver(struct cofre_call *call, const char *key, int fd, int64_t offset, int64_t left,
                       struct cofre_error *error)
{
    while (left > 0) {
        void *buffer;
        size_t length = left > (1 << 20) ? 1 << 20 : (size_t)left;
        int32_t result = cofre->reserve(call, &buffer, &length, error);
        if (result)
            return result;
        if ((int64_t)length > left)
            length = (size_t)left;
        ssize_t n = pread(fd, buffer, length, offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return cofre_fail_errno(error, n ? errno : EIO, "read the copy of object '%s'", key);
        result = cofre->commit(call, (size_t)n, error);
        if (result)
            return result;
        offset += n;
        left -= n;
    }
    return COFRE_OK;
}

int32_t object_get(struct place *place, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                   struct cofre_error *error)
{
    int fd;
    int64_t size;
    int32_t result = outbox_flush(&place->outbox, call, error);
    if (!result)
        result = inbox_get(&place->inbox, call, key, &fd, &size, error);
    if (result)
        return result;
    if (offset < 0 || offset > size || length < -1 || length > size - offset)
        result = cofre_fail(error, COFRE_E_RANGE, "object '%s' has %lld bytes, asked for %lld from %lld", key,
                            (long long)size, (long long)length, (long long)offset);
    else
        result = deliver(call, key, fd, offset, length < 0 ? size - offset : length, error);
    close(fd);
    return result;
}

/* ---- stat ---- */

struct look {
    const char *key;
    struct cofre_object *object;
    bool place, found;
};

static int32_t see(void *context, const struct listing_row *row, struct cofre_error *error)
{
    struct look *look = context;
    (void)error;
    look->place = look->place || strcmp(row->name, TRANSFER_TEMPORARY) == 0;
    if (row->type == '-' && strcmp(row->name, look->key) == 0) {
        look->found = true;
        look->object->size = row->size;
        look->object->mtime = row->mtime;
    }
    return COFRE_OK;
}

int32_t object_stat(struct place *place, struct cofre_call *call, const char *key, struct cofre_object *object,
                    struct cofre_error *error)
{
    char subject[COFRE_MAX_KEY + 16], *text = NULL;
    struct transfer_names names = {0};
    struct look look = {.key = key, .object = object};
    struct transfer t = {.kind = TRANSFER_LOOK, .names = &names, .subject = subject};
    snprintf(subject, sizeof subject, "object '%s'", key);
    int32_t result = outbox_flush(&place->outbox, call, error);
    if (!result)
        result = transfer_name(&names, TRANSFER_TEMPORARY, error);
    if (!result)
        result = transfer_name(&names, key, error);
    if (!result)
        result = transfer_run(&place->link, &t, call, &text, error);
    if (!result)
        result = listing_rows(text, see, &look, error);
    if (!result && !look.place)
        result = transfer_no_place(&place->link, error);
    if (!result && !look.found)
        result = cofre_fail(error, COFRE_E_NOT_FOUND, "object '%s' does not exist in '%s'", key,
                            place->link.options->target);
    free(text);
    transfer_free_names(&names);
    return result;
}

/* ---- remove ---- */

int32_t object_remove(struct place *place, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    char subject[COFRE_MAX_KEY + 16];
    struct transfer_names names = {0};
    struct transfer t = {.kind = TRANSFER_REMOVE, .names = &names, .subject = subject};
    snprintf(subject, sizeof subject, "object '%s'", key);
    int32_t result = outbox_flush(&place->outbox, call, error);
    inbox_drop(&place->inbox, key);
    if (!result)
        result = transfer_name(&names, key, error);
    /* rsync wants the directories above a name on both sides. */
    if (!result)
        result = workspace_parents(&place->link.workspace, WORKSPACE_VOID, key, error);
    if (!result)
        result = transfer_add_mark(&place->link, WORKSPACE_VOID, &names, error);
    if (!result)
        result = transfer_run(&place->link, &t, call, NULL, error);
    transfer_remove_mark(&place->link, WORKSPACE_VOID, &names);
    transfer_free_names(&names);
    return result;
}
