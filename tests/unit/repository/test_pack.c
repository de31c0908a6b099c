#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/chunker.h"
#include "repository/key.h"
#include "repository/pack.h"

#define CHUNKS 5

static struct key *full, *put;
static struct pack *pack;
static struct pack_compressor *compressor;
static struct pack_decompressor *decompressor;
static uint8_t *plain, *compressed;

static int set_up(void **state)
{
    (void)state;
    struct error e;
    plain = calloc(1, CHUNKER_MAXIMUM);
    compressed = malloc(pack_compress_bound(CHUNKER_MAXIMUM));
    if (!plain || !compressed || seal_init(&e) < 0 || key_create(&full, &e) < 0 ||
        key_create_put(full, "web1", &put, &e) < 0)
        return -1;
    if (pack_new(put, &pack, &e) < 0 || pack_compressor_new(&compressor, &e) < 0)
        return -1;
    return pack_decompressor_new(&decompressor, &e);
}

static int tear_down(void **state)
{
    (void)state;
    pack_free(pack);
    pack_free(NULL);
    pack_compressor_free(compressor);
    pack_compressor_free(NULL);
    pack_decompressor_free(decompressor);
    pack_decompressor_free(NULL);
    key_free(put);
    key_free(full);
    free(plain);
    free(compressed);
    return 0;
}

static void add(const void *p, uint32_t n)
{
    struct error e;
    uint8_t id[32];
    size_t length;
    seal_chunk_id(put, p, n, id);
    assert_int_equal(pack_compress(compressor, p, n, compressed, pack_compress_bound(CHUNKER_MAXIMUM), &length, &e), 0);
    assert_int_equal(pack_add(pack, id, n, compressed, length, &e), 0);
}

/* Chunks of very different sizes and content. */
static uint32_t size_of(uint32_t i)
{
    static const uint32_t sizes[CHUNKS] = {1, 11, 1001, 100001, CHUNKER_MAXIMUM};
    return sizes[i];
}

static void fill(uint32_t i)
{
    memset(plain, (int)('a' + i), size_of(i));
    for (uint32_t k = 0; i == 4 && k < CHUNKER_MAXIMUM / 2; k++) /* the half of the largest does not compress */
        plain[k] = (uint8_t)((k * 2654435761u) >> 24);
}

static void make_pack(void)
{
    struct error e;
    pack_begin(pack);
    for (uint32_t i = 0; i < CHUNKS; i++) {
        fill(i);
        add(plain, size_of(i));
    }
    assert_int_equal(pack_finish(pack, &e), 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct error e;
    struct seal_box box;
    struct pack_chunk *chunks;
    uint32_t count;
    size_t need;
    uint8_t name[32];
    make_pack();
    seal_hash(pack->data, pack->length, name);
    assert_memory_equal(name, pack->name, 32);
    assert_int_equal(pack_open_header(full, pack->data, "p", &box, &e), 0);
    assert_int_equal(pack_read_directory(&box, pack->data, pack->length, pack->length, "p", &chunks, &count, &need, &e),
                     0);
    assert_int_equal(count, CHUNKS);
    assert_int_equal(need, 0);
    uint8_t *out = malloc(CHUNKER_MAXIMUM);
    assert_non_null(out);
    for (uint32_t i = 0; i < count; i++) {
        assert_memory_equal(&chunks[i], &pack->chunks[i], sizeof chunks[i]);
        assert_int_equal(chunks[i].plain, size_of(i));
        assert_int_equal(
            pack_open_chunk(decompressor, full, &box, &chunks[i], pack->data + chunks[i].offset, out, "p", &e), 0);
        fill(i);
        assert_memory_equal(out, plain, size_of(i));
    }
    free(out);
    free(chunks);
}

static void test_keys(void **state)
{
    (void)state;
    struct error e;
    struct seal_box box;
    struct key *other;
    make_pack();
    assert_int_equal(pack_open_header(put, pack->data, "p", &box, &e), -1);
    assert_int_equal(e.class, ERROR_AUTH);
    assert_int_equal(key_create(&other, &e), 0);
    assert_int_equal(pack_open_header(other, pack->data, "p", &box, &e), -1);
    assert_int_equal(e.class, ERROR_AUTH);
    pack->data[0] ^= 1;
    assert_int_equal(pack_open_header(full, pack->data, "p", &box, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    key_free(other);
}

static void test_directory_in_steps(void **state)
{
    (void)state;
    struct error e;
    struct pack_chunk *chunks;
    uint32_t count;
    size_t need;
    make_pack();
    const uint8_t *end = pack->data + pack->length;
    assert_int_equal(pack_read_directory(&pack->box, end, 0, pack->length, "p", &chunks, &count, &need, &e), 0);
    assert_int_equal(need, PACK_TRAILER_SIZE);
    assert_int_equal(pack_read_directory(&pack->box, end - need, need, pack->length, "p", &chunks, &count, &need, &e),
                     0);
    assert_int_equal(need, CHUNKS * PACK_ENTRY_SIZE + SEAL_OVERHEAD + PACK_TRAILER_SIZE);
    assert_int_equal(count, 0);
    assert_null(chunks);
    assert_int_equal(pack_read_directory(&pack->box, end - need, need, pack->length, "p", &chunks, &count, &need, &e),
                     0);
    assert_int_equal(count, CHUNKS);
    free(chunks);
}

/* Every bit of header, directory and trailer counts, and so do the lengths. */
static void test_directory_damage(void **state)
{
    (void)state;
    struct error e;
    struct pack_chunk *chunks;
    uint32_t count;
    size_t need;
    make_pack();
    size_t n = pack->length;
    size_t tail = CHUNKS * PACK_ENTRY_SIZE + SEAL_OVERHEAD + PACK_TRAILER_SIZE;
    for (size_t i = n - tail; i < n; i++) {
        pack->data[i] ^= 4;
        assert_int_equal(pack_read_directory(&pack->box, pack->data, n, n, "p", &chunks, &count, &need, &e), -1);
        assert_int_equal(e.class, ERROR_INTEGRITY);
        pack->data[i] ^= 4;
    }
    /* A byte missing in the middle. */
    assert_int_equal(pack_read_directory(&pack->box, pack->data + 1, n - 1, n - 1, "p", &chunks, &count, &need, &e),
                     -1);
    assert_int_equal(pack_read_directory(&pack->box, pack->data, 100, 100, "p", &chunks, &count, &need, &e), -1);
}

static int parse_entries(const struct pack_chunk *list, size_t n, uint64_t end)
{
    struct error e = {0};
    struct bytes body = {.maximum = 4096};
    struct pack_chunk *chunks;
    uint32_t count;
    for (size_t i = 0; i < n; i++) {
        bytes_put(&body, list[i].id, 32);
        bytes_put_u32(&body, list[i].offset);
        bytes_put_u32(&body, list[i].stored);
        bytes_put_u32(&body, list[i].plain);
    }
    int result = pack_parse_directory(body.data, body.length, end, "p", &chunks, &count, &e);
    assert_int_equal(e.class, result < 0 ? ERROR_INTEGRITY : ERROR_NONE);
    free(chunks);
    bytes_free(&body);
    return result;
}

static void test_false_directories(void **state)
{
    (void)state;
    struct pack_chunk list[2] = {{.id = {1}, .offset = 104, .stored = 50, .plain = 1},
                                 {.id = {2}, .offset = 154, .stored = 46, .plain = 9}};
    assert_int_equal(parse_entries(list, 2, 200), 0);
    list[1].id[0] = 0; /* the id of a hole */
    assert_int_equal(parse_entries(list, 2, 200), -1);
    list[1].id[0] = 2;
    assert_int_equal(parse_entries(list, 0, 104), -1);
    assert_int_equal(parse_entries(list, 2, 201), -1);
    assert_int_equal(parse_entries(list, 2, 199), -1);
    list[1].offset = 153; /* overlaps */
    assert_int_equal(parse_entries(list, 2, 199), -1);
    list[1].offset = 155; /* a gap */
    assert_int_equal(parse_entries(list, 2, 201), -1);
    list[1].offset = 154;
    list[1].plain = 0;
    assert_int_equal(parse_entries(list, 2, 200), -1);
    list[1].plain = CHUNKER_MAXIMUM + 1;
    assert_int_equal(parse_entries(list, 2, 200), -1);
    list[1].plain = 9;
    list[1].stored = UINT32_MAX; /* would wrap */
    assert_int_equal(parse_entries(list, 2, 200), -1);
    list[0].stored = SEAL_OVERHEAD;
    assert_int_equal(parse_entries(list, 1, 120), -1);
}

static int open_first(struct pack_chunk chunk, size_t flip)
{
    struct error e = {0};
    uint8_t *sealed = malloc(chunk.stored), *out = malloc(CHUNKER_MAXIMUM);
    assert_true(sealed && out);
    memcpy(sealed, pack->data + pack->chunks[2].offset, pack->chunks[2].stored);
    if (flip < chunk.stored)
        sealed[flip] ^= 1;
    int result = pack_open_chunk(decompressor, full, &pack->box, &chunk, sealed, out, "p", &e);
    assert_int_equal(e.class, result < 0 ? ERROR_INTEGRITY : ERROR_NONE);
    free(sealed);
    free(out);
    return result;
}

static void test_chunk_damage(void **state)
{
    (void)state;
    make_pack();
    struct pack_chunk right = pack->chunks[2], wrong = right;
    assert_int_equal(open_first(right, SIZE_MAX), 0);
    for (size_t i = 0; i < right.stored; i++)
        assert_int_equal(open_first(right, i), -1);
    wrong.offset++;
    assert_int_equal(open_first(wrong, SIZE_MAX), -1);
    wrong = right;
    wrong.id[0] ^= 1;
    assert_int_equal(open_first(wrong, SIZE_MAX), -1);
    wrong = right;
    wrong.plain--;
    assert_int_equal(open_first(wrong, SIZE_MAX), -1);
    wrong.plain += 2;
    assert_int_equal(open_first(wrong, SIZE_MAX), -1);
    wrong.plain = CHUNKER_MAXIMUM + 1;
    assert_int_equal(open_first(wrong, SIZE_MAX), -1);
}

/* Well sealed, but not what it is said to be: garbage, another chunk's id, trailing bytes, two frames. */
static void test_poison(void **state)
{
    (void)state;
    struct error e;
    uint8_t id[32], frames[512];
    size_t n;
    pack_begin(pack);
    seal_chunk_id(put, "right", 5, id);
    assert_int_equal(pack_add(pack, id, 5, "garbage", 7, &e), 0);
    assert_int_equal(pack_compress(compressor, "wrong", 5, frames, sizeof frames, &n, &e), 0);
    assert_int_equal(pack_add(pack, id, 5, frames, n, &e), 0);
    assert_int_equal(pack_compress(compressor, "right", 5, frames, sizeof frames, &n, &e), 0);
    memcpy(frames + n, frames, n);
    assert_int_equal(pack_add(pack, id, 5, frames, 2 * n, &e), 0);
    assert_int_equal(pack_add(pack, id, 5, frames, n + 1, &e), 0);
    assert_int_equal(pack_add(pack, id, 5, frames, n - 1, &e), 0);
    assert_int_equal(pack_add(pack, id, 5, frames, n, &e), 0);
    uint8_t out[5];
    for (uint32_t i = 0; i < pack->count; i++) {
        struct pack_chunk *chunk = &pack->chunks[i];
        int result = pack_open_chunk(decompressor, full, &pack->box, chunk, pack->data + chunk->offset, out, "p", &e);
        assert_int_equal(result, i == 5 ? 0 : -1);
        if (result < 0)
            assert_int_equal(e.class, ERROR_INTEGRITY);
    }
    assert_memory_equal(out, "right", 5);
}

static void test_full(void **state)
{
    (void)state;
    struct error e;
    uint8_t id[32] = {1};
    uint8_t *noise = malloc(CHUNKER_MAXIMUM);
    assert_non_null(noise);
    seal_random(noise, CHUNKER_MAXIMUM);
    pack_begin(pack);
    assert_int_equal(pack_finish(pack, &e), -1); /* nothing in it */
    while (!pack_full(pack))
        add(noise, CHUNKER_MAXIMUM);
    assert_int_equal(pack->count, 8);
    assert_int_equal(pack_finish(pack, &e), 0);
    pack_begin(pack);
    while (!pack_full(pack))
        assert_int_equal(pack_add(pack, id, 1, "x", 1, &e), 0);
    assert_int_equal(pack->count, PACK_CHUNKS_MAX);
    assert_int_equal(pack_finish(pack, &e), 0);
    struct pack_chunk *chunks;
    uint32_t count;
    size_t need;
    assert_int_equal(
        pack_read_directory(&pack->box, pack->data, pack->length, pack->length, "p", &chunks, &count, &need, &e), 0);
    assert_int_equal(count, PACK_CHUNKS_MAX);
    free(chunks);
    free(noise);
}

static void test_frame(void **state)
{
    (void)state;
    struct error e;
    uint8_t out[256];
    size_t n;
    assert_int_equal(pack_compress(compressor, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 38, out, sizeof out, &n, &e),
                     0);
    assert_in_range(n, 1, 37);
    assert_false(out[4] & 4); /* no checksum: the seal's tag and the id do that */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_directory_in_steps),
        cmocka_unit_test(test_directory_damage),
        cmocka_unit_test(test_false_directories),
        cmocka_unit_test(test_chunk_damage),
        cmocka_unit_test(test_poison),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_frame),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
