#include "job/commit.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "worker/sink.h"

static int commit(struct sink *sink, const char *key, const struct bytes *manifest, struct error *e)
{
    if (sink_sync(sink, e) < 0)
        return -1;
    /* One that is there may have been left by a process that was killed before it was durable: the sink has made it so
     * when it says "exists", and the look below tells whether it is this one. */
    if (sink_put(sink, key, manifest->data, manifest->length, true, e) < 0 && e->class != ERROR_EXISTS)
        return -1;
    AUTO_BYTES struct bytes back = {.maximum = manifest->length + 1};
    if (sink_get(sink, key, manifest->length, &back, e) < 0)
        return error_context(e, "read back '%s': ", key);
    if (back.length != manifest->length || memcmp(back.data, manifest->data, back.length) != 0)
        return error_set(e, ERROR_PERMANENT, "read back '%s': it is not what was written", key);
    return 0;
}

int commit_manifest(struct sink *sink, const char *key, const struct bytes *manifest, struct error *e)
{
    return commit(sink, key, manifest, e) < 0 ? error_subject(e, "sink", sink_name(sink)) : 0;
}
