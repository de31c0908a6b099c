/* Of a repository: packs that are damaged, and records that lie about packs. */
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "repository/doubt.h"
#include "repository/index.h"
#include "repository/reader.h"
#include "repository/repository.h"
#include "worker/sink.h"

void repository_doubt(struct repository *r, const struct pack_name *pack)
{
    struct error e;
    bool fresh;
    if (doubt_add(r->damaged, pack->hash, &fresh, &e) == 0)
        r->doubted += fresh;
    else
        log_line(LOG_WARNING, "sink '%s': that a pack is damaged cannot be remembered: %s", sink_name(r->sink),
                 e.message);
}

void repository_trust(struct repository *r, const struct pack_name *pack)
{
    struct error e;
    if (doubt_remove(r->damaged, pack->hash, &e) < 0)
        log_line(LOG_WARNING, "sink '%s': that a pack is whole cannot be remembered: %s", sink_name(r->sink),
                 e.message);
}

/* What is going to be removed is relied on as little, and can be read as long as it is there. */
int repository_heed_doubts(struct repository *r, struct error *e)
{
    AUTO_BYTES struct bytes names = {.maximum = DOUBT_MAX * SEAL_HASH_SIZE + r->planned.length};
    if (doubt_list(r->damaged, &names, e) < 0)
        return -1;
    bytes_put(&names, r->planned.data, r->planned.length);
    if (bytes_check(&names, "list of packs", e) < 0)
        return -1;
    if (r->planned.length > 0)
        qsort(names.data, names.length / SEAL_HASH_SIZE, SEAL_HASH_SIZE, seal_hash_compare);
    return index_set_doubted(r->index, names.data, names.length / SEAL_HASH_SIZE, e);
}

bool repository_blame(struct repository *r, struct index_location *location)
{
    AUTO_FREE struct pack_chunk *chunks = NULL;
    const struct pack_chunk *found = NULL;
    struct error e;
    uint32_t count;
    int result = repository_read_directory(r, &location->pack, location->pack_size, &chunks, &count, &e);
    for (uint32_t i = 0; result == 0 && i < count && !found; i++)
        if (memcmp(chunks[i].id, location->chunk.id, SEAL_HASH_SIZE) == 0)
            found = &chunks[i];
    bool same = found && memcmp(found, &location->chunk, sizeof *found) == 0;
    if (same || (result < 0 && reader_is_damage(&e)))
        repository_doubt(r, &location->pack);
    if (!found || same)
        return false;
    location->chunk = *found;
    return true;
}
