#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "repository/segment.h"

#define PACKS 40u
#define EACH 50u /* chunks in a pack */

static char directory[] = "/tmp/cofre-segment-XXXXXX";
static const uint8_t me[SEAL_HASH_SIZE] = {1};

static void number_hash(uint64_t number, uint8_t hash[SEAL_HASH_SIZE])
{
    seal_hash(&number, sizeof number, hash);
}

/* Two objects of so many packs each; chunk i is in pack i / EACH. Numbers count on from first. */
static void make_batch(struct segment_batch *b, uint32_t first)
{
    *b = (struct segment_batch){.object_count = 2, .pack_count = PACKS, .chunk_count = PACKS * EACH};
    b->objects = calloc(2, sizeof *b->objects);
    b->packs = calloc(PACKS, sizeof *b->packs);
    b->chunks = calloc((size_t)PACKS * EACH, sizeof *b->chunks);
    assert_true(b->objects && b->packs && b->chunks);
    for (uint32_t i = 0; i < 2; i++) {
        number_hash(2000000 + first + i, b->objects[i].name);
        b->objects[i].signer[0] = 7;
    }
    for (uint32_t i = 0; i < PACKS; i++) {
        number_hash(1000000 + first + i, b->packs[i].name);
        b->packs[i].size = 5000 + first + i;
        b->packs[i].object = i % 2;
    }
    for (uint32_t i = 0; i < PACKS * EACH; i++) {
        number_hash(first * EACH + i, b->chunks[i].id);
        b->chunks[i].pack = i / EACH;
        b->chunks[i].offset = first * EACH + i;
    }
}

static void free_batch(struct segment_batch *b)
{
    free(b->objects);
    free(b->packs);
    free(b->chunks);
}

static int make_file(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

static struct segment *merge(const struct segment_source *sources, size_t count)
{
    struct error e;
    struct segment *segment;
    int fd = make_file("segment");
    assert_int_equal(segment_write(fd, "segment", me, "web1", sources, count, 4, &e), 0);
    assert_int_equal(segment_open(fd, "segment", me, &segment, &e), 0);
    assert_int_equal(segment_check(segment, "segment", &e), 0);
    assert_string_equal(segment->header.host, "web1");
    return segment;
}

static struct segment *write_batch(uint32_t first)
{
    struct segment_batch batch;
    make_batch(&batch, first);
    struct segment *segment = merge(&(struct segment_source){.batch = &batch}, 1);
    free_batch(&batch);
    return segment;
}

/* How many rows of the chunk there are; what they say is right. Damaged ones do not count. */
static size_t find(const struct segment *segment, uint32_t number)
{
    struct segment_window window;
    const struct segment_chunk *row;
    uint8_t id[SEAL_HASH_SIZE], name[SEAL_HASH_SIZE];
    size_t found = 0;
    number_hash(number, id);
    number_hash(1000000 + number / EACH, name);
    for (size_t i = segment_first(segment, id, &window); (row = segment_row(segment, i, &window)); i++) {
        struct segment_pack pack;
        if (memcmp(row->id, id, sizeof id) != 0)
            break;
        if (!segment_chunk_is_whole(row) || !segment_pack_at(segment, row->pack, &pack))
            continue;
        assert_int_equal(row->offset, number);
        assert_memory_equal(pack.name, name, sizeof name);
        assert_int_equal(pack.size, 5000 + number / EACH);
        found++;
    }
    assert_true(found == 0 || segment_may_have(segment, id));
    return found;
}

static void test_written_is_read(void **state)
{
    (void)state;
    struct segment *segment = write_batch(0);
    assert_int_equal(segment->header.objects, 2);
    assert_int_equal(segment->header.packs, PACKS);
    for (uint32_t i = 0; i < PACKS * EACH + 100; i++)
        assert_int_equal(find(segment, i), i < PACKS * EACH);
    struct segment_packs packs;
    uint8_t last[SEAL_HASH_SIZE] = {0};
    size_t count = 0;
    segment_packs_begin(segment, 0, &packs);
    for (const struct segment_pack *pack; (pack = segment_packs_next(&packs)); count++) {
        assert_true(memcmp(last, pack->name, sizeof last) < 0);
        memcpy(last, pack->name, sizeof last);
    }
    assert_int_equal(count, PACKS);
    segment_close(segment);
}

/* Of what is not there, the filter knows most; and the largest segments have none. */
static void test_filter(void **state)
{
    (void)state;
    struct segment *segment = write_batch(0);
    size_t maybe = 0, all = 10000;
    assert_true(segment->header.blocks > 0);
    for (uint64_t i = 0; i < all; i++) {
        uint8_t id[SEAL_HASH_SIZE];
        number_hash(5000000 + i, id);
        maybe += segment_may_have(segment, id);
    }
    assert_in_range(maybe, 0, all / 10);
    uint64_t blocks = segment->header.blocks;
    segment->header.blocks = 0;
    assert_true(segment_may_have(segment, me));
    segment->header.blocks = blocks;
    segment_close(segment);
}

/* What one object of each said is left out. */
static void test_merge(void **state)
{
    (void)state;
    struct segment *parts[3];
    uint8_t dropped[3][2] = {{0}};
    struct segment_source sources[3] = {0};
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t name[SEAL_HASH_SIZE];
        parts[i] = write_batch(i * PACKS);
        number_hash(2000000 + i * PACKS, name); /* the one of even packs */
        dropped[i][segment_find_object(parts[i], name)] = 1;
        sources[i] = (struct segment_source){.segment = parts[i], .dropped = i > 0 ? dropped[i] : NULL};
    }
    struct segment *all = merge(sources, 3);
    assert_int_equal(all->header.objects, 4);
    assert_int_equal(all->header.packs, 2 * PACKS);
    for (uint32_t i = 0; i < 3 * PACKS * EACH; i++)
        assert_int_equal(find(all, i), i < PACKS * EACH || i / EACH % 2 == 1);
    segment_close(all);
    for (size_t i = 0; i < 3; i++)
        segment_close(parts[i]);
}

/* However often it is named: the first few of each signer are kept, and that others were not is known. */
static void test_places(void **state)
{
    (void)state;
    struct segment_batch batch;
    make_batch(&batch, 0);
    batch.objects[1].signer[0] = 8;
    for (uint32_t i = 0; i < PACKS; i++)
        number_hash(99, batch.chunks[(size_t)i * EACH].id);
    uint8_t id[SEAL_HASH_SIZE];
    for (int own = 0; own < 2; own++) {
        struct segment_window window;
        const struct segment_chunk *row;
        const uint8_t unbounded[2] = {0, own == 1};
        struct segment *segment = merge(&(struct segment_source){.batch = &batch, .unbounded = unbounded}, 1);
        size_t rows = 0;
        number_hash(99, id);
        for (size_t i = segment_first(segment, id, &window); (row = segment_row(segment, i, &window)); i++)
            rows += memcmp(row->id, id, sizeof id) == 0;
        /* Number 99 itself is in the second pack, of the other object. */
        assert_int_equal(rows, own ? 4 + PACKS / 2 + 1 : 4 + 4);
        assert_int_equal(segment->objects[0].crowded + segment->objects[1].crowded, own ? 1 : 2);
        segment_close(segment);
    }
    free_batch(&batch);
}

static void write_byte(int fd, off_t at, uint8_t byte)
{
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

/* Whatever byte is wrong: it does not open, or what is found is right, and the full check knows. */
static void test_damage(void **state)
{
    (void)state;
    struct error e;
    struct segment *segment = write_batch(0), *other;
    int fd = segment->fd;
    off_t size = lseek(fd, 0, SEEK_END);
    size_t lost = 0;
    for (off_t at = 0; at < size; at += 97) {
        uint8_t byte;
        assert_int_equal(pread(fd, &byte, 1, at), 1);
        write_byte(fd, at, byte ^ 0x10);
        if (segment_open(dup(fd), "segment", me, &other, &e) == 0) {
            assert_int_equal(segment_check(other, "segment", &e), -1);
            for (uint32_t i = 0; i < PACKS * EACH; i += 7)
                lost += find(other, i) == 0;
            segment_close(other);
        }
        assert_int_equal(e.class, ERROR_INTEGRITY);
        write_byte(fd, at, byte);
    }
    assert_true(lost > 0);
    /* Cut while it is open, and before. */
    for (off_t left = size - 1; left > 0; left -= 997) {
        assert_int_equal(ftruncate(fd, left), 0);
        assert_int_equal(segment_open(dup(fd), "segment", me, &other, &e), -1);
        assert_int_equal(e.class, ERROR_INTEGRITY);
        for (uint32_t i = 0; i < PACKS * EACH; i += 101)
            find(segment, i);
        const struct segment_source source = {.segment = segment};
        int to = make_file("merged");
        assert_int_equal(segment_write(to, "merged", me, "web1", &source, 1, 4, &e), -1);
        assert_int_equal(e.class, ERROR_INTEGRITY);
        close(to);
    }
    segment_close(segment);
}

static void test_for_somebody_else(void **state)
{
    (void)state;
    static const uint8_t other[SEAL_HASH_SIZE] = {2};
    struct error e;
    struct segment *segment = write_batch(0), *opened;
    assert_int_equal(segment_open(dup(segment->fd), "segment", other, &opened, &e), -1);
    assert_int_equal(e.class, ERROR_INTEGRITY);
    segment_close(segment);
}

static int setup(void **state)
{
    (void)state;
    struct error e;
    return mkdtemp(directory) ? seal_init(&e) : -1;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_written_is_read),
        cmocka_unit_test(test_filter),
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_for_somebody_else),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
