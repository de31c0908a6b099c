/* A channel: what connects the engine with one worker.
 *
 *   two rings in one sealed memfd    frames in both directions, in order: calls, content, entries, results, log lines
 *   a socket                         greeting, descriptors, cancellation; its end is the other side's death
 *
 * A frame is u32 length, u32 type, then the payload, padded to 8 bytes. It is published whole. Small frames do not wake
 * the other end one by one: it is woken when a batch is together, when this end goes to sleep, or by channel_wake; and
 * it never sleeps longer than CHANNEL_SLEEP, so a late wake-up costs little and a lost one cannot hang anything.
 */
#ifndef COFRE_WIRE_CHANNEL_H
#define COFRE_WIRE_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/ring.h"

struct error;

#define CHANNEL_RING (1u << 20)            /* bytes of each ring */
#define CHANNEL_LARGEST (CHANNEL_RING / 2) /* payload of the largest frame that is not content */
#define CHANNEL_HEADER 8u
#define CHANNEL_SLEEP 50 /* ms */

/* The first page of the memory. */
struct channel_shared {
    struct ring_shared to_engine, to_worker;
    _Alignas(64) _Atomic uint32_t engine_sleeps;
    _Alignas(64) _Atomic uint32_t worker_sleeps;
    _Alignas(64) _Atomic uint32_t cancel; /* number of the call that is to end */
    _Atomic uint32_t ticks;               /* grows with every progress() */
    _Atomic uint64_t progress_done, progress_total;
};

struct channel {
    int socket;
    uint8_t *memory;
    size_t memory_size;
    struct channel_shared *shared;
    struct ring in, out;
    _Atomic uint32_t *sleeps, *peer_sleeps;
    size_t unannounced;                    /* bytes published or released since the peer was last woken */
    size_t held;                           /* bytes in `in` of the frame that is lent */
    uint64_t last_produced, last_consumed; /* the other end's positions at the last channel_sleep */
};

struct channel_frame {
    uint32_t type;
    uint8_t *payload; /* in shared memory: the other end could change it while it is read */
    size_t length;
};

/* The engine's end. *peer and *memory are for the other end: a socket and a memfd. */
int channel_create(struct channel *channel, int *peer, int *memory, struct error *e);
/* The worker's end; takes over the socket, not the memfd. */
int channel_attach(struct channel *channel, int socket, int memory, struct error *e);
void channel_close(struct channel *channel);

/* The next frame, valid until the following channel_next. 1 = there is one, 0 = none yet, -1 = broken by the other end.
 */
int channel_next(struct channel *channel, struct channel_frame *frame);

/* Lend room for a payload of at least `least` and at most `most` bytes. 1 = there is room: *n bytes at *p; 0 = not yet;
 * -1 = broken. Nothing is sent until channel_commit. */
int channel_lend(struct channel *channel, size_t least, size_t most, uint8_t **p, size_t *n);
/* Publish a frame of n bytes, which were written where channel_lend said. */
void channel_commit(struct channel *channel, uint32_t type, size_t n);

void channel_wake(struct channel *channel);
/* Until the other end has done something, at most CHANNEL_SLEEP ms; it may also return early. */
void channel_sleep(struct channel *channel);

/* Has the other end closed its socket, or died? */
bool channel_gone(const struct channel *channel);

/* A message on the socket: type, number, and a descriptor or -1. */
struct channel_message {
    uint32_t type, number;
    int fd;
};
int channel_send(struct channel *channel, uint32_t type, uint32_t number, int fd, struct error *e);
/* 1 = there was one (the caller owns message->fd), 0 = none now, -1 = the other end is gone. */
int channel_receive(struct channel *channel, struct channel_message *message);

#endif
