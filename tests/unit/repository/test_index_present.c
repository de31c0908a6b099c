/* An index that is told of packs as they are listed knows the same as one that is told of them all at once. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/index.h"
#include "repository/index_body.h"
#include "repository/seal.h"

#define PACKS 64u /* each with CHUNKS of its own */
#define CHUNKS 20u
#define OBJECTS 40u
#define EACH 5u /* packs that an object describes */
#define ROUNDS 16u

static char directory[] = "/tmp/cofre-index-XXXXXX";
static char path[64];
static const uint8_t me[SEAL_HASH_SIZE] = {1};
static uint64_t state = 88172645463325252u;

static uint32_t draw(uint32_t n)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state % n);
}

static void number_hash(uint64_t number, uint8_t hash[SEAL_HASH_SIZE])
{
    seal_hash(&number, sizeof number, hash);
}

static struct pack_name pack_of(uint32_t pack)
{
    uint8_t hash[SEAL_HASH_SIZE];
    number_hash(1000000 + pack, hash);
    return pack_name_of("web1", hash);
}

static uint32_t size_of(void)
{
    return PACK_HEADER_SIZE + 100 * CHUNKS + (uint32_t)PACK_END(CHUNKS);
}

static void add_pack(struct bytes *body, uint32_t pack)
{
    const struct pack_name name = pack_of(pack);
    struct pack_chunk chunks[CHUNKS];
    for (uint32_t i = 0; i < CHUNKS; i++) {
        chunks[i] = (struct pack_chunk){.offset = PACK_HEADER_SIZE + 100 * i, .stored = 100, .plain = 200};
        number_hash(pack * CHUNKS + i, chunks[i].id);
    }
    index_body_add_pack(body, name.hash, size_of(), chunks, CHUNKS);
}

/* Packs that other objects describe as well. */
static void absorb(struct index *index, uint32_t object)
{
    struct error e;
    struct bytes body = {.maximum = 1 << 20};
    uint8_t name[SEAL_HASH_SIZE];
    const uint8_t signer[SEAL_HASH_SIZE] = {7};
    const struct index_origin origin = {.object = name, .signer = signer};
    number_hash(2000000 + object, name);
    index_body_begin(&body, "web1", 5);
    for (uint32_t i = 0; i < EACH; i++)
        add_pack(&body, (object * 3 + i * 7) % PACKS);
    index_body_end(&body, EACH);
    assert_int_equal(index_absorb(index, &origin, body.data, body.length, &e), 0);
    bytes_free(&body);
}

static void absorb_some(struct index *index, uint32_t from, uint32_t to)
{
    struct error e;
    for (uint32_t i = from; i < to; i++) {
        absorb(index, i);
        if (draw(4) == 0)
            assert_int_equal(index_settle(index, &e), 0);
    }
    assert_int_equal(index_settle(index, &e), 0);
}

static struct index *open_index(void)
{
    struct index *index;
    struct error e;
    assert_int_equal(index_open(path, me, "web1", &index, &e), 0);
    return index;
}

static int compare_names(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_HASH_SIZE);
}

/* All objects but that one. */
static void retain(struct index *index, uint32_t gone)
{
    uint8_t names[OBJECTS][SEAL_HASH_SIZE];
    size_t n = 0;
    for (uint32_t i = 0; i < OBJECTS; i++)
        if (i != gone)
            number_hash(2000000 + i, names[n++]);
    qsort(names, n, sizeof names[0], compare_names);
    index_retain(index, names, n, sizeof names[0]);
}

/* Some of the packs, some with another size, and some that nobody describes. */
static size_t make_listing(struct index_pack *packs)
{
    size_t n = 0;
    for (uint32_t i = 0; i < PACKS + 10; i++)
        if (draw(5) > 0)
            packs[n++] = (struct index_pack){.name = pack_of(i), .size = size_of() + (draw(10) == 0)};
    qsort(packs, n, sizeof *packs, pack_name_compare);
    return n;
}

static void tell(struct index *index, const struct index_pack *listed, size_t n, uint32_t absorbed)
{
    struct error e;
    struct index_pack batch[PACKS + 10];
    assert_int_equal(index_present_begin(index, &e), 0);
    for (size_t at = 0, count; at < n; at += count) {
        count = 1 + draw(20);
        count = count < n - at ? count : n - at;
        memcpy(batch, listed + at, count * sizeof *batch);
        assert_int_equal(index_present_take(index, batch, count, &e), 0);
    }
    absorb_some(index, absorbed, OBJECTS);
    assert_int_equal(index_present_end(index, &e), 0);
}

/* Of each pack as many places. */
static void compare(const struct index *one, const struct index *other)
{
    for (uint32_t pack = 0; pack < PACKS; pack++)
        for (unsigned nth = 0; nth < 8; nth++) {
            uint8_t id[SEAL_HASH_SIZE];
            struct index_location a, b;
            number_hash(pack * CHUNKS, id);
            assert_int_equal(index_find(one, id, INDEX_READ, nth, &a), index_find(other, id, INDEX_READ, nth, &b));
        }
}

static void check_unplaced(const struct index *index, const struct index_pack *listed, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct index_pack other = listed[i];
        other.size++;
        assert_int_equal(index_is_unplaced(index, &listed[i]), !listed[i].known);
        assert_false(index_is_unplaced(index, &other));
    }
}

/* By what it said was absent, another is told without a listing. */
static void check_absent(const struct index *index, uint32_t gone)
{
    struct error e;
    struct bytes absent = {.maximum = 1 << 20};
    struct index *later = open_index();
    retain(later, gone);
    assert_int_equal(index_absent(index, &absent, &e), 0);
    assert_int_equal(index_set_absent(later, absent.data, absent.length / SEAL_HASH_SIZE, &e), 0);
    compare(index, later);
    bytes_free(&absent);
    index_free(later);
}

static void empty(void)
{
    DIR *d = opendir(path);
    for (const struct dirent *entry; d && (entry = readdir(d));)
        unlinkat(dirfd(d), entry->d_name, 0);
    if (d)
        closedir(d);
}

static void round_of(bool again)
{
    struct error e;
    struct index_pack listed[PACKS + 10];
    const uint32_t before = draw(OBJECTS), gone = draw(OBJECTS);
    struct index *index = open_index();
    absorb_some(index, 0, before);
    index_free(index);
    index = open_index();
    retain(index, gone);
    size_t n = make_listing(listed);
    tell(index, listed, n, before);
    if (again) { /* what was absorbed is in parts that this process has made */
        n = make_listing(listed);
        tell(index, listed, n, OBJECTS);
    }
    struct index *other = open_index();
    retain(other, gone);
    retain(index, gone);
    tell(index, listed, n, OBJECTS);
    assert_int_equal(index_set_present(other, listed, n, &e), 0);
    compare(index, other);
    check_unplaced(index, listed, n);
    check_absent(index, gone);
    index_free(other);
    index_free(index);
    empty();
}

static void test_as_it_is_listed(void **unused)
{
    (void)unused;
    for (unsigned i = 0; i < ROUNDS; i++)
        round_of(i % 2);
}

/* Until all was told, nothing is there. */
static void test_not_to_the_end(void **unused)
{
    (void)unused;
    struct error e;
    struct index_location at;
    uint8_t id[SEAL_HASH_SIZE];
    struct index *index = open_index();
    absorb_some(index, 0, OBJECTS);
    number_hash(0, id);
    assert_int_equal(index_set_absent(index, NULL, 0, &e), 0);
    assert_true(index_find(index, id, INDEX_READ, 0, &at));
    assert_int_equal(index_present_begin(index, &e), 0);
    assert_false(index_find(index, id, INDEX_READ, 0, &at));
    assert_int_equal(index_present_end(index, &e), 0);
    assert_false(index_find(index, id, INDEX_READ, 0, &at));
    index_free(index);
    empty();
}

int main(void)
{
    struct error e;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_it_is_listed),
        cmocka_unit_test(test_not_to_the_end),
    };
    if (!mkdtemp(directory) || seal_init(&e) < 0)
        return 1;
    snprintf(path, sizeof path, "%s/segments", directory);
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    empty();
    rmdir(path);
    rmdir(directory);
    return result;
}
