/* Bytes from a worker that went wrong, given to the engine's decoders. The first byte says which. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "snapshot/entry.h"
#include "wire/channel.h"
#include "wire/grammar.h"
#include "wire/wire.h"
#include "worker/worker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_entry(struct cursor c)
{
    static struct grammar grammar;
    struct snapshot_attribute *attributes = NULL;
    struct snapshot_entry entry;
    struct error e;
    if (grammar_start(&grammar, &e) == 0 && wire_entry(&c, &entry, &attributes) &&
        grammar_entry(&grammar, &entry, &e) == 0)
        ASSERT(strlen(entry.path) == entry.path_length);
    free(attributes);
}

static void try_error(struct cursor c)
{
    struct error e;
    if (wire_error(&c, &e))
        ASSERT(memchr(e.message, '\0', sizeof e.message) && memchr(e.hint, '\0', sizeof e.hint));
}

static void try_plugin(struct cursor c)
{
    struct plugin_info plugin;
    bool no_memory;
    if (wire_plugin(&c, &plugin, &no_memory))
        ASSERT(plugin.name && plugin.options);
    wire_plugin_free(&plugin);
}

/* As the ring's content, with the positions that the input claims. */
static void try_frames(struct cursor c)
{
    static struct channel channel;
    static int peer, memory;
    struct error e;
    if (!channel.memory && channel_create(&channel, &peer, &memory, &e) < 0)
        abort();
    uint64_t produced = cursor_u32(&c);
    size_t n = c.left < CHANNEL_RING ? c.left : CHANNEL_RING;
    channel.in.mine = channel.in.seen = 0;
    channel.held = 0;
    memcpy(channel.in.data, c.p, n);
    atomic_store(&channel.shared->to_engine.produced, produced);
    struct channel_frame frame;
    uint8_t sum = 0;
    while (channel_next(&channel, &frame) > 0)
        for (size_t i = 0; i < frame.length; i += 64)
            sum ^= frame.payload[i];
    static volatile uint8_t seen;
    seen = sum;
    (void)seen;
}

static void (*const targets[])(struct cursor) = {try_entry, try_error, try_plugin, try_frames};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0)
        targets[data[0] % (sizeof targets / sizeof targets[0])](cursor_of(data + 1, size - 1));
    return 0;
}
