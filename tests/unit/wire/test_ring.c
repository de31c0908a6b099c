/* The channel's rings against a model, with pieces of every size, and between two processes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "wire/channel.h"

struct pair {
    struct channel engine, worker;
};

static void pair_make(struct pair *pair)
{
    struct error e;
    int peer, memory;
    assert_int_equal(channel_create(&pair->engine, &peer, &memory, &e), 0);
    assert_int_equal(channel_attach(&pair->worker, peer, memory, &e), 0);
    /* Sealed: nobody can cut it while the other end reads. */
    assert_int_equal(ftruncate(memory, 0), -1);
    close(memory);
}

static void pair_free(struct pair *pair)
{
    channel_close(&pair->engine);
    channel_close(&pair->worker);
}

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* Byte i of the whole stream. */
static uint8_t byte_at(uint64_t i)
{
    return (uint8_t)(i * 31 + i / 251);
}

static size_t check_frame(const struct channel_frame *frame, uint64_t at)
{
    assert_int_equal(frame->type, at % 1000);
    for (size_t i = 0; i < frame->length; i++)
        if (frame->payload[i] != byte_at(at + i))
            fail_msg("byte %zu of the frame at %llu differs", i, (unsigned long long)at);
    return frame->length;
}

static int put_frame(struct channel *channel, size_t n, uint64_t at)
{
    uint8_t *p;
    size_t room;
    if (channel_lend(channel, n, n, &p, &room) != 1)
        return 0;
    assert_int_equal(room, n);
    for (size_t i = 0; i < n; i++)
        p[i] = byte_at(at + i);
    channel_commit(channel, (uint32_t)(at % 1000), n);
    return 1;
}

static void test_model(void **state)
{
    (void)state;
    struct pair pair;
    struct channel_frame frame;
    pair_make(&pair);
    uint32_t seed = 7;
    uint64_t written = 0, read = 0;
    while (read < 60u << 20) {
        if (next_random(&seed) % 2) {
            size_t most = (size_t)1 << next_random(&seed) % 20, n = next_random(&seed) % (most + 1);
            if (put_frame(&pair.worker, n, written))
                written += n;
        } else if (channel_next(&pair.engine, &frame) > 0) {
            read += check_frame(&frame, read);
            assert_true(read <= written);
        }
    }
    /* The other direction does not notice. */
    assert_int_equal(channel_next(&pair.worker, &frame), 0);
    assert_int_equal(put_frame(&pair.engine, 5, 5), 1);
    assert_int_equal(channel_next(&pair.worker, &frame), 1);
    check_frame(&frame, 5);
    pair_free(&pair);
}

static void test_full(void **state)
{
    (void)state;
    struct pair pair;
    struct channel_frame frame;
    uint8_t *p;
    size_t n;
    pair_make(&pair);
    assert_int_equal(channel_lend(&pair.worker, CHANNEL_RING, CHANNEL_RING, &p, &n), 0);
    assert_int_equal(channel_lend(&pair.worker, CHANNEL_RING - CHANNEL_HEADER, CHANNEL_RING, &p, &n), 1);
    channel_commit(&pair.worker, 1, CHANNEL_RING - CHANNEL_HEADER);
    assert_int_equal(channel_lend(&pair.worker, 0, 1, &p, &n), 0);
    assert_int_equal(channel_next(&pair.engine, &frame), 1);
    assert_int_equal(frame.length, CHANNEL_RING - CHANNEL_HEADER);
    /* Lent until the next look. */
    assert_int_equal(channel_lend(&pair.worker, 0, 1, &p, &n), 0);
    assert_int_equal(channel_next(&pair.engine, &frame), 0);
    assert_int_equal(channel_lend(&pair.worker, 0, 1, &p, &n), 1);
    pair_free(&pair);
}

/* What a plugin that writes over the shared memory can do to the engine: nothing. */
static void test_hostile(void **state)
{
    (void)state;
    struct pair pair;
    struct channel_frame frame;
    uint8_t *p;
    size_t n;
    static const uint64_t positions[] = {7, 1, CHANNEL_RING + 8, UINT64_MAX, UINT64_MAX - 8, (uint64_t)1 << 63};
    for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
        pair_make(&pair);
        atomic_store(&pair.engine.shared->to_engine.produced, positions[i]);
        assert_int_equal(channel_next(&pair.engine, &frame), -1);
        /* The engine looks at what was consumed when it needs the room. */
        assert_int_equal(channel_lend(&pair.engine, 0, CHANNEL_RING, &p, &n), 1);
        channel_commit(&pair.engine, 1, n);
        atomic_store(&pair.engine.shared->to_worker.consumed, CHANNEL_RING + 8 + positions[i] / 2);
        assert_int_equal(channel_lend(&pair.engine, 0, CHANNEL_RING, &p, &n), -1);
        pair_free(&pair);
    }
    static const uint32_t lengths[] = {9, CHANNEL_RING, CHANNEL_RING + 1, UINT32_MAX, UINT32_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        pair_make(&pair);
        memcpy(ring_here(&pair.worker.out), &lengths[i], 4);
        ring_publish(&pair.worker.out, 16);
        assert_int_equal(channel_next(&pair.engine, &frame), -1);
        pair_free(&pair);
    }
}

#define STREAM (200u << 20)

static void produce(struct channel *channel)
{
    uint32_t seed = 3;
    for (uint64_t at = 0; at < STREAM;) {
        size_t n = next_random(&seed) % 3 ? next_random(&seed) % 100 : next_random(&seed) % 300000;
        while (!put_frame(channel, n, at))
            channel_sleep(channel);
        at += n;
    }
    channel_wake(channel);
}

static void test_two_processes(void **state)
{
    (void)state;
    struct pair pair;
    struct channel_frame frame;
    pair_make(&pair);
    pid_t child = fork();
    if (child == 0) {
        produce(&pair.worker);
        _exit(0);
    }
    for (uint64_t at = 0; at < STREAM;) {
        int got = channel_next(&pair.engine, &frame);
        assert_true(got >= 0);
        if (got)
            at += check_frame(&frame, at);
        else
            channel_sleep(&pair.engine);
    }
    int status;
    waitpid(child, &status, 0);
    assert_int_equal(status, 0);
    pair_free(&pair);
}

static void test_messages(void **state)
{
    (void)state;
    struct pair pair;
    struct error e;
    struct channel_message message;
    pair_make(&pair);
    assert_int_equal(channel_receive(&pair.worker, &message), 0);
    assert_int_equal(channel_send(&pair.engine, 3, 4, STDIN_FILENO, &e), 0);
    assert_int_equal(channel_send(&pair.engine, 5, 6, -1, &e), 0);
    assert_int_equal(channel_receive(&pair.worker, &message), 1);
    assert_int_equal(message.type, 3);
    assert_true(message.fd >= 0);
    close(message.fd);
    assert_int_equal(channel_receive(&pair.worker, &message), 1);
    assert_int_equal(message.number, 6);
    assert_int_equal(message.fd, -1);
    assert_false(channel_gone(&pair.engine));
    channel_close(&pair.worker);
    assert_true(channel_gone(&pair.engine));
    assert_int_equal(channel_send(&pair.engine, 1, 1, -1, &e), -1);
    pair_free(&pair);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_model),         cmocka_unit_test(test_full),     cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_two_processes), cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests_name("worker/ring", all, NULL, NULL);
}
