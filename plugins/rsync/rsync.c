/* rsync: a sink on another machine: a server through ssh, a NAS with an rsync daemon.
 *
 *   target.c      where
 *   workspace.c   the private directory here
 *   program.c     running rsync and ssh
 *   verdict.c     what their failures mean
 *   link.c        the connection, and what all runs have in common
 *   transfer.c    the kinds of runs
 *   outbox.c      put, many in one run
 *   inbox.c       get, and parts of what was got
 *   object.c      put, get, stat, remove
 *   listing.c     list, sweep
 *   inspection.c  check
 */
#include <stdlib.h>
#include <string.h>

#include <cofre/plugin.h>

#include "rsync/inspection.h"
#include "rsync/listing.h"
#include "rsync/object.h"
#include "rsync/place.h"
#include "rsync/transfer.h"

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct options, target, STRING, COFRE_O_REQUIRED, NULL,
                 "[user@]host:/path (ssh) or rsync://[user@]host[:port]/module/path (daemon)"),
    COFRE_OPTION(struct options, identity_file, PATH, COFRE_O_READS, NULL, "private key for ssh, without a passphrase"),
    COFRE_OPTION(struct options, read_identity_file, PATH, COFRE_O_READS, NULL,
                 "another key for reading, where the first may only write"),
    COFRE_OPTION(struct options, known_hosts, PATH, COFRE_O_TRUSTED | COFRE_O_READS, NULL,
                 "the far side's host key, as ssh keeps it"),
    COFRE_OPTION_RANGE(struct options, ssh_port, INTEGER, 0, NULL, 0, 65535,
                       "port of sshd; 0 = ssh's own configuration"),
    COFRE_OPTION(struct options, password, SECRET, 0, NULL, "password of the daemon's user"),
    COFRE_OPTION_RANGE(struct options, bandwidth, SIZE, 0, NULL, 0, (int64_t)1 << 40, "bytes per second; 0 = no limit"),
    COFRE_OPTION_RANGE(struct options, io_timeout, DURATION, 0, "60s", 1000, 3600000,
                       "how long the line may be silent, and connecting may last"),
    COFRE_OPTION(struct options, rsync_path, STRING, 0, NULL, "rsync on the far side, such as: sudo rsync"),
    COFRE_OPTION(struct options, fsync, BOOLEAN, 0, "yes", "have the far side flush objects to its disk (rsync 3.2.4)"),
    COFRE_OPTION(struct options, staging, PATH, 0, "/var/tmp", "where objects wait for their transfer"),
    COFRE_OPTION_RANGE(struct options, staging_size, SIZE, 0, "256MiB", (int64_t)32 << 20, (int64_t)1 << 50,
                       "room there; the largest object that can be stored"),
};

static int32_t rsync_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    struct place *place = calloc(1, sizeof *place);
    if (!place)
        return cofre_fail(error, COFRE_E_MEMORY, "open the target: out of memory");
    int32_t result = link_open(&place->link, conf, error);
    if (result) {
        free(place);
        return result;
    }
    inbox_open(&place->inbox, &place->link);
    outbox_open(&place->outbox, &place->link, &place->inbox);
    *instance = place;
    return COFRE_OK;
}

static void rsync_close(void *instance)
{
    struct place *place = instance;
    outbox_close(&place->outbox);
    inbox_close(&place->inbox);
    link_close(&place->link);
    free(place);
}

static int32_t rsync_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    if (depth != COFRE_CHECK_OFFLINE && depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    return depth == COFRE_CHECK_OFFLINE ? COFRE_OK : inspection_run(instance, call, error);
}

static int32_t rsync_create(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct place *place = instance;
    struct transfer_names names = {0};
    struct transfer t = {.kind = TRANSFER_CREATE, .names = &names, .subject = "the place"};
    int32_t result = transfer_name(&names, TRANSFER_TEMPORARY, error);
    if (!result)
        result = transfer_name(&names, TRANSFER_MARKS, error);
    if (!result)
        result = workspace_parents(&place->link.workspace, WORKSPACE_VOID, TRANSFER_TEMPORARY "/x", error);
    if (!result)
        result = workspace_parents(&place->link.workspace, WORKSPACE_VOID, TRANSFER_MARKS "/x", error);
    if (!result)
        result = transfer_run(&place->link, &t, call, NULL, error);
    transfer_free_names(&names);
    return result;
}

static int32_t rsync_put(void *instance, struct cofre_call *call, const char *key, const struct cofre_put *put,
                         struct cofre_error *error)
{
    if (put->flags & ~COFRE_PUT_IF_ABSENT)
        return cofre_unknown(error, "put", "flag", put->flags & ~COFRE_PUT_IF_ABSENT);
    return object_put(instance, call, key, put, error);
}

static int32_t rsync_get(void *instance, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                         struct cofre_error *error)
{
    return object_get(instance, call, key, offset, length, error);
}

static int32_t rsync_stat(void *instance, struct cofre_call *call, const char *key, struct cofre_object *object,
                          struct cofre_error *error)
{
    return object_stat(instance, call, key, object, error);
}

/* rsync lists all at once, so there is one page. */
static int32_t rsync_list(void *instance, struct cofre_call *call, const char *prefix, const void *cursor,
                          size_t cursor_length, struct cofre_error *error)
{
    (void)cursor;
    if (cursor_length > 0)
        return cofre_fail(error, COFRE_E_BUG, "list '%s': the cursor is not one of ours", prefix);
    return listing_run(instance, call, prefix, error);
}

static int32_t rsync_remove(void *instance, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    return object_remove(instance, call, key, error);
}

static int32_t rsync_sync(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    struct place *place = instance;
    return outbox_flush(&place->outbox, call, error);
}

static int32_t rsync_sweep(void *instance, struct cofre_call *call, int64_t older_than, struct cofre_error *error)
{
    return listing_sweep(instance, call, older_than, error);
}

/* Not COFRE_SINK_IF_ABSENT: between rsync's look and its rename another host may write the same key. Not RANGES: a part
 * costs as much as the whole. No space: rsync cannot ask for it. */
static const struct cofre_sink sink = {
    .struct_size = sizeof sink,
    .open = rsync_open,
    .close = rsync_close,
    .check = rsync_check,
    .create = rsync_create,
    .put = rsync_put,
    .get = rsync_get,
    .stat = rsync_stat,
    .list = rsync_list,
    .remove = rsync_remove,
    .sync = rsync_sync,
    .sweep = rsync_sweep,
};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "rsync",
    .version = "0.1.0",
    .summary = "stores objects on another machine with rsync: through ssh, or with an rsync daemon",
    .license = "MIT",
    .example = "target        = backup@nas.example.org:/srv/cofre\n"
               "identity_file = /etc/cofre/keys/nas_ed25519\n"
               "known_hosts   = /etc/cofre/known_hosts\n"
               "key           = /etc/cofre/keys/nas.key\n",
    .options = COFRE_OPTIONS(struct options, rows),
    .sink = &sink,
    .reads = "~/.ssh",
};

COFRE_PLUGIN(plugin)
