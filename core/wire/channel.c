#include "wire/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define PAGE 65536u /* the largest page size there is */
#define MEMORY (PAGE + 2 * CHANNEL_RING)
#define MAPPING (PAGE + 4 * CHANNEL_RING)
#define BATCH (CHANNEL_RING / 8)

_Static_assert(sizeof(struct channel_shared) <= PAGE, "the shared page is full");

/* page | ring 1 | ring 1 | ring 2 | ring 2 */
static int map_memory(struct channel *channel, int memory, struct error *e)
{
    uint8_t *base = mmap(NULL, MAPPING, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED)
        return error_system(e, errno, "reserve memory for a worker's channel");
    channel->memory = base;
    channel->memory_size = MAPPING;
    static const struct {
        size_t at, length, offset;
    } parts[] = {
        {0, PAGE, 0},
        {PAGE, CHANNEL_RING, PAGE},
        {PAGE + CHANNEL_RING, CHANNEL_RING, PAGE},
        {PAGE + 2 * CHANNEL_RING, CHANNEL_RING, PAGE + CHANNEL_RING},
        {PAGE + 3 * CHANNEL_RING, CHANNEL_RING, PAGE + CHANNEL_RING},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (mmap(base + parts[i].at, parts[i].length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory,
                 (off_t)parts[i].offset) == MAP_FAILED)
            return error_system(e, errno, "map a worker's channel");
    /* Content and secrets pass through here: not into a core file. Older kernels may refuse; then it is only less tidy.
     */
    (void)madvise(base, MAPPING, MADV_DONTDUMP);
    channel->shared = (struct channel_shared *)(void *)base;
    return 0;
}

static int attach(struct channel *channel, int socket, int memory, bool engine, struct error *e)
{
    *channel = (struct channel){.socket = socket};
    if (map_memory(channel, memory, e) < 0) {
        channel->socket = -1;
        channel_close(channel);
        return -1;
    }
    struct channel_shared *shared = channel->shared;
    uint8_t *to_engine = channel->memory + PAGE, *to_worker = to_engine + 2 * CHANNEL_RING;
    ring_init(engine ? &channel->in : &channel->out, &shared->to_engine, to_engine, CHANNEL_RING);
    ring_init(engine ? &channel->out : &channel->in, &shared->to_worker, to_worker, CHANNEL_RING);
    channel->sleeps = engine ? &shared->engine_sleeps : &shared->worker_sleeps;
    channel->peer_sleeps = engine ? &shared->worker_sleeps : &shared->engine_sleeps;
    return 0;
}

static int make_memory(struct error *e)
{
    int memory = memfd_create("cofre-channel", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (memory < 0)
        return error_system(e, errno, "make memory for a worker's channel");
    /* Sealed, so that a worker cannot cut it under the engine's feet. */
    if (ftruncate(memory, MEMORY) < 0 || fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        error_system(e, errno, "size memory for a worker's channel");
        close(memory);
        return -1;
    }
    return memory;
}

int channel_create(struct channel *channel, int *peer, int *memory, struct error *e)
{
    int pair[2];
    AUTO_CLOSE int fd = make_memory(e);
    if (fd < 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return error_system(e, errno, "make a socket for a worker");
    if (attach(channel, pair[0], fd, true, e) < 0) {
        close(pair[0]);
        close(pair[1]);
        return -1;
    }
    *peer = pair[1];
    *memory = fd;
    fd = -1;
    return 0;
}

int channel_attach(struct channel *channel, int socket, int memory, struct error *e)
{
    return attach(channel, socket, memory, false, e);
}

void channel_close(struct channel *channel)
{
    if (channel->memory)
        munmap(channel->memory, channel->memory_size);
    if (channel->socket >= 0)
        close(channel->socket);
    *channel = (struct channel){.socket = -1};
}

void channel_wake(struct channel *channel)
{
    channel->unannounced = 0;
    /* Orders our published position before the look at the flag; the sleeper does the same the other way round. */
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(channel->peer_sleeps, memory_order_relaxed) && atomic_exchange(channel->peer_sleeps, 0))
        syscall(SYS_futex, channel->peer_sleeps, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Has the other end moved since this was last asked? What moved before that, the caller has seen. */
static bool moved(struct channel *channel)
{
    uint64_t produced = atomic_load(&channel->in.shared->produced);
    uint64_t consumed = atomic_load(&channel->out.shared->consumed);
    bool is = produced != channel->last_produced || consumed != channel->last_consumed;
    channel->last_produced = produced;
    channel->last_consumed = consumed;
    return is;
}

void channel_sleep(struct channel *channel)
{
    static const struct timespec timeout = {.tv_sec = 0, .tv_nsec = CHANNEL_SLEEP * 1000000L};
    channel_wake(channel);
    atomic_store(channel->sleeps, 1);
    atomic_thread_fence(memory_order_seq_cst);
    if (!moved(channel))
        syscall(SYS_futex, channel->sleeps, FUTEX_WAIT, 1, &timeout, NULL, 0);
    atomic_store(channel->sleeps, 0);
}

bool channel_gone(const struct channel *channel)
{
    struct pollfd watched = {.fd = channel->socket};
    return poll(&watched, 1, 0) > 0 && (watched.revents & (POLLHUP | POLLERR | POLLNVAL));
}

static void announce_later(struct channel *channel, size_t n)
{
    channel->unannounced += n;
    if (channel->unannounced >= BATCH)
        channel_wake(channel);
}

static size_t frame_size(size_t payload)
{
    return CHANNEL_HEADER + ((payload + 7) & ~(size_t)7);
}

int channel_next(struct channel *channel, struct channel_frame *frame)
{
    struct ring *in = &channel->in;
    if (channel->held) {
        ring_release(in, channel->held);
        announce_later(channel, channel->held);
        channel->held = 0;
    }
    size_t pending;
    if (ring_pending(in, CHANNEL_HEADER, &pending) < 0)
        return -1;
    if (pending == 0)
        return 0;
    if (pending < CHANNEL_HEADER)
        return -1;
    uint32_t header[2];
    uint8_t *at = ring_here(in);
    memcpy(header, at, sizeof header);
    if (header[0] > CHANNEL_RING || frame_size(header[0]) > pending)
        return -1;
    channel->held = frame_size(header[0]);
    *frame = (struct channel_frame){.type = header[1], .payload = at + CHANNEL_HEADER, .length = header[0]};
    return 1;
}

int channel_lend(struct channel *channel, size_t least, size_t most, uint8_t **p, size_t *n)
{
    size_t room;
    if (ring_room(&channel->out, frame_size(least), &room) < 0)
        return -1;
    if (room < frame_size(least))
        return 0;
    *n = room - CHANNEL_HEADER < most ? room - CHANNEL_HEADER : most;
    *p = ring_here(&channel->out) + CHANNEL_HEADER;
    return 1;
}

void channel_commit(struct channel *channel, uint32_t type, size_t n)
{
    uint32_t header[2] = {(uint32_t)n, type};
    memcpy(ring_here(&channel->out), header, sizeof header);
    ring_publish(&channel->out, frame_size(n));
    announce_later(channel, frame_size(n));
}

int channel_send(struct channel *channel, uint32_t type, uint32_t number, int fd, struct error *e)
{
    uint32_t text[2] = {type, number};
    struct iovec piece = {.iov_base = text, .iov_len = sizeof text};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control = {.space = {0}};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = control.space;
        message.msg_controllen = sizeof control.space;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    ssize_t n;
    while ((n = sendmsg(channel->socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT)) < 0 && errno == EINTR)
        ;
    return n < 0 ? error_system(e, errno, "send to a worker") : 0;
}

int channel_receive(struct channel *channel, struct channel_message *out)
{
    uint32_t text[2] = {0, 0};
    struct iovec piece = {.iov_base = text, .iov_len = sizeof text};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {
        .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof control.space};
    ssize_t n;
    while ((n = recvmsg(channel->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    *out = (struct channel_message){.type = text[0], .number = text[1], .fd = -1};
    struct cmsghdr *header = n >= 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&out->fd, CMSG_DATA(header), sizeof out->fd);
    return n == (ssize_t)sizeof text ? 1 : -1;
}
