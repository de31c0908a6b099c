/* A ring: bytes from one producer to one consumer through shared memory.
 *
 * The data are mapped twice, back to back, so what is lent is always in one piece. Each end keeps its own position in
 * private memory and only publishes it; what it reads of the other end's position is checked, since the other end may
 * be a plugin that writes where it likes.
 */
#ifndef COFRE_WIRE_RING_H
#define COFRE_WIRE_RING_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

/* In shared memory; zero is an empty ring. Positions count all bytes that ever went through. */
struct ring_shared {
    _Alignas(64) _Atomic uint64_t produced;
    _Alignas(64) _Atomic uint64_t consumed;
};

/* One end. */
struct ring {
    struct ring_shared *shared;
    uint8_t *data; /* mapped at data and at data + size */
    size_t size;   /* a power of two */
    uint64_t mine; /* this end's position */
    uint64_t seen; /* the other end's position when it was last looked at */
};

void ring_init(struct ring *ring, struct ring_shared *shared, uint8_t *data, size_t size);

/* Producer: free bytes, at least `wanted` when there are that many; -1 = the other end's position is impossible. */
int ring_room(struct ring *ring, size_t wanted, size_t *room);
/* Consumer: published bytes, at least `wanted` when there are that many; -1 as above. */
int ring_pending(struct ring *ring, size_t wanted, size_t *pending);

/* Where this end goes on: `room` writable, or `pending` readable bytes follow in one piece. */
static inline uint8_t *ring_here(const struct ring *ring)
{
    return ring->data + (ring->mine & (ring->size - 1));
}

/* Hand n bytes over to the other end: written (producer) or done with (consumer). */
void ring_publish(struct ring *ring, size_t n);
void ring_release(struct ring *ring, size_t n);

#endif
