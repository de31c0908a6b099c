#include "docker-volume/pour.h"

#include <inttypes.h>
#include <string.h>

#include "common/entry_path.h"
#include "common/failure.h"
#include "common/names.h"
#include "docker-volume/carrier.h"
#include "docker-volume/cask.h"
#include "docker-volume/fill.h"

/* ---- what is in it ---- */

static int32_t count(struct restoring *r, const struct carrier *carrier, uint64_t most, uint64_t *entries,
                     uint64_t *bytes)
{
    const struct daemon_request request = {.method = "GET",
                                           .path = "/containers/%s/archive",
                                           .segments = DAEMON_WORDS(carrier->container),
                                           .query = DAEMON_WORDS("path", carrier->destination),
                                           .what = "read what the volume holds"};
    struct daemon_stream *stream = NULL;
    int32_t status = daemon_stream_open(r->source->daemon, r->call, &request, &stream, r->error);
    if (status == COFRE_OK)
        status = cask_count(r->call, stream, most, entries, bytes, r->error);
    daemon_stream_free(stream);
    return status;
}

static int32_t refuse_content(struct restoring *r, const struct volume *volume)
{
    int32_t class =
        cofre_fail(r->error, COFRE_E_EXISTS,
                   "restore volume '%s': it has content, and its files cannot be reached from here, so that "
                   "it could be kept",
                   volume->name);
    cofre_hint(r->error, "restore into another one with --set volume=OTHER, or remove this one, and restore again");
    return class;
}

/* Only what was seen empty is ever removed: what mounts something elsewhere, or what a driver has kept, may
 * hold what is not ours, although it was just made. */
static int32_t check_empty(struct restoring *r, const struct volume *volume, const struct carrier *carrier, size_t at)
{
    uint64_t entries = 0, bytes;
    /* The root, and one more. */
    int32_t status = count(r, carrier, 2, &entries, &bytes);
    r->note.items[at].empty = status == COFRE_OK && entries <= 1;
    if (status == COFRE_OK)
        status = note_write(&r->note, r->error);
    return status == COFRE_OK && entries > 1 ? refuse_content(r, volume) : status;
}

/* ---- filling ---- */

/* *entry: as in tree_write_part. */
static int32_t put_all(struct restoring *r, struct cask *cask, const struct cofre_entry **entry)
{
    int32_t status = COFRE_OK, result;
    while (status == COFRE_OK && entry_path_is_of(cask->prefix, (*entry)->path, (*entry)->path_length)) {
        status = cask_put(cask, *entry, &result, r->error);
        if (status == COFRE_E_INTEGRITY) {
            /* The archive ends in the middle of it, and with it the restore. */
            struct cofre_error ignored = {.struct_size = sizeof ignored};
            cofre->done(r->call, status, r->error, &ignored);
        }
        if (status == COFRE_OK)
            status = cofre->done(r->call, result, &cask->why, r->error);
        if (status == COFRE_OK && result != COFRE_OK && result != COFRE_PARTLY &&
            !(result == COFRE_E_UNSUPPORTED && !cask->devices)) {
            failure_about(r->error, (*entry)->path, (*entry)->path_length, &cask->why);
            status = result;
        }
        if (status == COFRE_OK)
            status = cofre->next(r->call, entry, r->error);
    }
    if (status != COFRE_OK)
        *entry = NULL;
    return status == COFRE_END ? COFRE_OK : status;
}

static int32_t send(struct restoring *r, struct cask *cask, const struct cofre_entry **entry)
{
    int32_t status = cask_open(cask, r->error);
    if (status == COFRE_OK)
        status = put_all(r, cask, entry);
    if (status == COFRE_OK)
        status = cask_finish(cask, r->error);
    if (status == COFRE_OK)
        status = daemon_stream_end(cask->stream, r->error);
    losses_say(&cask->tally, r->call);
    cask_close(cask);
    return status;
}

static int32_t compare(struct restoring *r, const struct volume *volume, const struct carrier *carrier,
                       const struct cask *cask)
{
    uint64_t entries, bytes;
    int32_t status = count(r, carrier, 0, &entries, &bytes);
    if (status != COFRE_OK || (entries == cask->entries && bytes == cask->bytes))
        return status;
    return cofre_fail(r->error, COFRE_E_INTEGRITY,
                      "restore volume '%s': %" PRIu64 " entries with %" PRIu64 " bytes were sent, and %" PRIu64
                      " with %" PRIu64 " are there",
                      volume->name, cask->entries, cask->bytes, entries, bytes);
}

/* The archive is unpacked above the volume, so that it has an entry for the root, too: "." would be left out. */
static int32_t pour(struct restoring *r, const char *name, const struct volume *volume, const struct carrier *carrier,
                    size_t at, const struct cofre_entry **entry)
{
    const struct options *o = r->source->options;
    const struct daemon_request request = {.method = "PUT",
                                           .path = "/containers/%s/archive",
                                           .segments = DAEMON_WORDS(carrier->container),
                                           .query = DAEMON_WORDS("path", "/"),
                                           .what = "fill the volume"};
    struct cask cask = {.call = r->call, .prefix = name, .root = carrier->destination + 1, .devices = o->devices};
    cask.rules.setuid = o->setuid;
    cask.rules.names = o->numeric_owner ? NULL : names_new();
    int32_t status = daemon_stream_send(r->source->daemon, r->call, &request, &cask.stream, r->error);
    if (status == COFRE_OK)
        status = send(r, &cask, entry);
    daemon_stream_free(cask.stream);
    if (status == COFRE_OK)
        status = compare(r, volume, carrier, &cask);
    names_free(cask.rules.names);
    r->tallies[at] = (struct restoring_tally){.entries = cask.entries, .bytes = cask.bytes};
    return status;
}

int32_t pour_volume(struct restoring *r, const char *name, const struct volume *volume, size_t at,
                    const struct cofre_entry **entry)
{
    struct carrier carrier;
    int32_t status = carrier_make(r->source, r->call, volume, true, &carrier, r->error);
    if (status != COFRE_OK)
        return status;
    status = check_empty(r, volume, &carrier, at);
    if (status == COFRE_OK)
        status = pour(r, name, volume, &carrier, at, entry);
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t ended = carrier_end(r->source, r->call, &carrier, status == COFRE_OK ? r->error : &why);
    return status == COFRE_OK ? ended : status;
}

int32_t pour_into(struct restoring *r, const char *name, const struct volume *volume, const struct cofre_entry **entry)
{
    struct note_item *item;
    const struct container *user = users_running(&r->users, volume->name, "");
    if (user) {
        cofre_fail(r->error, COFRE_E_BUSY, "restore volume '%s': container '%s' is using it", volume->name, user->name);
        cofre_hint(r->error, "stop it first: docker stop %.100s", user->name);
        return COFRE_E_BUSY;
    }
    int32_t status = fill_item(r, volume->name, NOTE_POURED, &item);
    if (status == COFRE_OK)
        status = note_write(&r->note, r->error);
    return status == COFRE_OK ? pour_volume(r, name, volume, r->note.count - 1, entry) : status;
}
