#include "wire/ring.h"

#include "base/error.h"

void ring_init(struct ring *ring, struct ring_shared *shared, uint8_t *data, size_t size)
{
    ASSERT(size > 0 && (size & (size - 1)) == 0);
    *ring = (struct ring){.shared = shared, .data = data, .size = size};
}

int ring_room(struct ring *ring, size_t wanted, size_t *room)
{
    /* The shared line is fetched only when the last look does not suffice. */
    if (ring->size - (size_t)(ring->mine - ring->seen) < wanted)
        ring->seen = atomic_load_explicit(&ring->shared->consumed, memory_order_acquire);
    uint64_t used = ring->mine - ring->seen;
    if (used > ring->size)
        return -1;
    *room = ring->size - (size_t)used;
    return 0;
}

int ring_pending(struct ring *ring, size_t wanted, size_t *pending)
{
    if (ring->seen - ring->mine < wanted)
        ring->seen = atomic_load_explicit(&ring->shared->produced, memory_order_acquire);
    uint64_t there = ring->seen - ring->mine;
    if (there > ring->size)
        return -1;
    *pending = (size_t)there;
    return 0;
}

void ring_publish(struct ring *ring, size_t n)
{
    ring->mine += n;
    atomic_store_explicit(&ring->shared->produced, ring->mine, memory_order_release);
}

void ring_release(struct ring *ring, size_t n)
{
    ring->mine += n;
    atomic_store_explicit(&ring->shared->consumed, ring->mine, memory_order_release);
}
