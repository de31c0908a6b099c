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
#include "repository/idset.h"
#include "repository/index.h"
#include "repository/index_body.h"
#include "repository/journal.h"
#include "repository/ledger.h"
#include "repository/seal.h"

static char directory[] = "/tmp/cofre-index-XXXXXX";
static char path[64];

static void number_hash(uint64_t number, uint8_t hash[SEAL_HASH_SIZE])
{
    seal_hash(&number, sizeof number, hash);
}

static uint64_t pack_size(uint32_t count)
{
    return PACK_HEADER_SIZE + 100u * count + PACK_END(count);
}

/* A pack whose chunks are numbered on from `first`. */
static void add_pack(struct bytes *body, uint64_t pack, uint64_t first, uint32_t count)
{
    uint8_t name[SEAL_HASH_SIZE];
    struct pack_chunk chunks[64];
    number_hash(1000000 + pack, name);
    for (uint32_t i = 0; i < count; i++) {
        number_hash(first + i, chunks[i].id);
        chunks[i].offset = PACK_HEADER_SIZE + 100 * i;
        chunks[i].stored = 100;
        chunks[i].plain = 200 + i;
    }
    index_body_add_pack(body, name, pack_size(count), chunks, count);
}

static void make_body(struct bytes *body, uint64_t pack, uint64_t first, uint32_t count)
{
    bytes_reset(body);
    index_body_begin(body, "web1", 5);
    add_pack(body, pack, first, count);
    index_body_end(body, 1);
    assert_false(body->failed);
}

/* The sink lists packs [0, count) of so many chunks, but the one called absent. */
static void present(struct index *index, uint64_t count, uint64_t absent, uint32_t chunks, struct index_pack *packs)
{
    struct error e;
    size_t n = 0;
    for (uint64_t i = 0; i < count; i++) {
        if (i == absent)
            continue;
        packs[n] = (struct index_pack){.size = (uint32_t)pack_size(chunks), .name.host = pack_name_number("web1")};
        number_hash(1000000 + i, packs[n++].name.hash);
    }
    qsort(packs, n, sizeof *packs, pack_name_compare);
    assert_int_equal(index_set_present(index, packs, n, &e), 0);
}

static struct index *open_index(const uint8_t identity[SEAL_HASH_SIZE])
{
    struct index *index;
    struct error e;
    assert_int_equal(index_open(path, identity, NULL, &index, &e), 0);
    return index;
}

static void absorb(struct index *index, uint64_t object, uint8_t signer, const struct bytes *body)
{
    struct error e;
    uint8_t name[SEAL_HASH_SIZE], who[SEAL_HASH_SIZE] = {signer};
    const struct index_origin origin = {.object = name, .signer = who};
    number_hash(2000000 + object, name);
    assert_int_equal(index_absorb(index, &origin, body->data, body->length, &e), 0);
}

static int compare_names(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_HASH_SIZE);
}

/* Every stepth of the objects below count is our own. */
static void set_own(struct index *index, uint64_t count, uint64_t step)
{
    struct error e;
    uint8_t names[64][SEAL_HASH_SIZE];
    size_t n = 0;
    for (uint64_t i = 0; i < count; i += step)
        number_hash(2000000 + i, names[n++]);
    qsort(names, n, sizeof names[0], compare_names);
    assert_int_equal(index_set_own(index, names[0], n, &e), 0);
}

static const uint8_t me[SEAL_HASH_SIZE] = {1}, other[SEAL_HASH_SIZE] = {2};

/* 40 packs of 50 chunks in 40 objects, absorbed in three goes: against the plain rule which chunk is where. */
static void test_model(void **state)
{
    (void)state;
    struct error e;
    struct bytes body = {.maximum = 1 << 20};
    struct index_pack packs[40];
    struct index *index = open_index(me);
    for (uint64_t i = 0; i < 40; i++) {
        make_body(&body, i, 50 * i, 50);
        absorb(index, i, 7, &body);
        if (i % 15 == 14)
            assert_int_equal(index_settle(index, &e), 0);
    }
    assert_int_equal(index_settle(index, &e), 0);
    index_free(index);

    index = open_index(me); /* from the file */
    set_own(index, 40, 2);
    assert_int_equal(index_object_count(index), 40);
    assert_int_equal(index_pack_count(index), 40);
    assert_int_equal(index_chunk_count(index), 2000);
    present(index, 40, 7, 50, packs);
    for (uint64_t i = 0; i < 2010; i++) {
        uint8_t id[SEAL_HASH_SIZE], pack[SEAL_HASH_SIZE];
        struct index_location at;
        number_hash(i, id);
        number_hash(1000000 + i / 50, pack);
        bool there = i < 2000 && i / 50 != 7;
        assert_int_equal(index_find(index, id, INDEX_READ, 0, &at), there);
        assert_false(index_find(index, id, INDEX_READ, 1, &at));
        assert_int_equal(index_find(index, id, INDEX_RELY_OWN, 0, &at), there && i / 50 % 2 == 0);
        if (there && i / 50 % 2 == 0) {
            assert_memory_equal(at.pack.hash, pack, sizeof pack);
            assert_int_equal(at.chunk.offset, PACK_HEADER_SIZE + 100 * (i % 50));
            assert_int_equal(at.chunk.plain, 200 + i % 50);
        }
    }
    index_free(index);
    bytes_free(&body);
}

static void test_for_somebody_else(void **state)
{
    (void)state;
    struct index *index = open_index(other);
    assert_int_equal(index_object_count(index), 0);
    index_free(index);
}

/* How many of test_model's chunks are found; where they are is right. */
static size_t count_found(struct index *index)
{
    struct index_pack packs[40];
    struct index_location at;
    size_t found = 0;
    present(index, 40, 99, 50, packs);
    for (uint64_t i = 0; i < 2000; i++) {
        uint8_t id[SEAL_HASH_SIZE], pack[SEAL_HASH_SIZE];
        number_hash(i, id);
        number_hash(1000000 + i / 50, pack);
        if (!index_find(index, id, INDEX_READ, 0, &at))
            continue;
        found++;
        assert_memory_equal(at.pack.hash, pack, sizeof pack);
        assert_int_equal(at.chunk.offset, PACK_HEADER_SIZE + 100 * (i % 50));
        assert_int_equal(at.chunk.plain, 200 + i % 50);
    }
    return found;
}

static void try_damaged(void)
{
    struct error e;
    bool damaged;
    struct index *index = open_index(me);
    size_t objects = index_object_count(index);
    count_found(index);
    assert_int_equal(index_check(index, &damaged, &e), 0);
    assert_true(damaged || objects < 40);
    assert_true(index_object_count(index) < 40);
    index_free(index);
}

/* A path in the directory; the nth name in the order of bytes. */
static bool file_at(size_t nth, char out[400])
{
    struct dirent **names;
    int count = scandir(path, &names, NULL, alphasort);
    assert_true(count >= 2);
    bool there = nth + 2 < (size_t)count;
    if (there)
        snprintf(out, 400, "%s/%s", path, names[nth + 2]->d_name);
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return there;
}

/* Any flipped byte of the cache, and any end of a file that is cut off: what is found is right all the same, and what
 * is wrong is known to who looks at all of it. */
static void test_damaged_file(void **state)
{
    (void)state;
    char name[400];
    for (size_t i = 0; file_at(i, name); i++) {
        FILE *file = fopen(name, "r+");
        assert_non_null(file);
        assert_int_equal(fseek(file, 0, SEEK_END), 0);
        long size = ftell(file);
        static uint8_t whole[1 << 20];
        assert_true(size <= (long)sizeof whole);
        rewind(file);
        assert_int_equal(fread(whole, 1, (size_t)size, file), size);
        for (long at = 0; at < size; at += 997) {
            fseek(file, at, SEEK_SET);
            fputc(whole[at] ^ 1, file);
            fflush(file);
            try_damaged();
            fseek(file, at, SEEK_SET);
            fputc(whole[at], file);
            fflush(file);
        }
        for (long left = size - 1; left >= 0; left -= 4999) {
            assert_int_equal(truncate(name, left), 0);
            try_damaged();
        }
        rewind(file);
        assert_int_equal(fwrite(whole, 1, (size_t)size, file), size);
        fclose(file);
    }
    struct index *index = open_index(me);
    assert_int_equal(index_object_count(index), 40);
    assert_int_equal(count_found(index), 2000);
    index_free(index);
}

/* The sink lists objects [from, 40) alone. */
static void retain(struct index *index, uint64_t from)
{
    uint8_t names[40][SEAL_HASH_SIZE];
    size_t count = 0;
    for (uint64_t i = from; i < 40; i++)
        number_hash(2000000 + i, names[count++]);
    qsort(names, count, sizeof names[0], compare_names);
    index_retain(index, names, count, sizeof names[0]);
}

/* An object that is gone costs its own rows, which are dropped when there are many of them. */
static void test_gone(void **state)
{
    (void)state;
    struct error e;
    for (uint64_t from = 3; from <= 30; from += 9) {
        struct index *index = open_index(me);
        retain(index, from);
        for (uint64_t i = 0; i < 40; i++) {
            uint8_t name[SEAL_HASH_SIZE];
            number_hash(2000000 + i, name);
            assert_int_equal(index_covers(index, name), i >= from);
        }
        assert_int_equal(count_found(index), 50 * (40 - from));
        for (int i = 0; i < 4; i++)
            assert_int_equal(index_merge(index, &e), 0);
        index_free(index);
    }
    struct index *index = open_index(me);
    assert_true(index_object_count(index) < 25);
    retain(index, 30);
    assert_int_equal(count_found(index), 500);
    index_free(index);
}

/* However many runs there were, there are few segments; and two that go on at a time lose nothing of each other. */
static void test_many_runs(void **state)
{
    (void)state;
    static const uint8_t asker[SEAL_HASH_SIZE] = {11};
    struct error e;
    struct bytes body = {.maximum = 1 << 20};
    uint8_t name[SEAL_HASH_SIZE];
    char file[400];
    size_t most = 0;
    for (uint64_t i = 0; i < 200; i += 2) {
        struct index *one = open_index(asker), *two = open_index(asker);
        assert_int_equal(index_object_count(one), i);
        make_body(&body, i, 100 * i, 10);
        absorb(one, i, 7, &body);
        make_body(&body, i + 1, 100 * (i + 1), 10);
        absorb(two, i + 1, 7, &body);
        assert_int_equal(index_settle(one, &e), 0);
        assert_int_equal(index_settle(two, &e), 0);
        assert_int_equal(index_merge(one, &e), 0);
        assert_int_equal(index_merge(two, &e), 0);
        index_free(one);
        index_free(two);
        size_t files = 0;
        while (file_at(files, file))
            files++;
        most = files > most ? files : most;
    }
    assert_true(most < 20);
    /* What both have absorbed counts once. */
    struct index *one = open_index(asker), *two = open_index(asker);
    make_body(&body, 200, 20000, 10);
    absorb(one, 200, 7, &body);
    absorb(two, 200, 7, &body);
    assert_int_equal(index_settle(one, &e), 0);
    assert_int_equal(index_settle(two, &e), 0);
    index_free(one);
    index_free(two);
    struct index *index = open_index(asker);
    for (uint64_t i = 0; i < 201; i++) {
        struct index_pack packs[201];
        struct index_location at;
        uint8_t id[SEAL_HASH_SIZE];
        if (i == 0)
            present(index, 201, 999, 10, packs);
        number_hash(2000000 + i, name);
        assert_true(index_covers(index, name));
        number_hash(100 * i + 9, id);
        assert_true(index_find(index, id, INDEX_READ, 0, &at));
        assert_false(index_find(index, id, INDEX_READ, 1, &at));
    }
    index_free(index);
    bytes_free(&body);
}

/* Of one host only its own is opened; the others' stays. */
static void test_by_host(void **state)
{
    (void)state;
    static const uint8_t asker[SEAL_HASH_SIZE] = {12};
    static const char *const hosts[] = {"web1", "web2", "web3"};
    struct error e;
    struct bytes body = {.maximum = 1 << 20};
    struct index *index = open_index(asker);
    for (uint64_t i = 0; i < 3; i++) {
        bytes_reset(&body);
        index_body_begin(&body, hosts[i], 5);
        add_pack(&body, i, 100 * i, 2);
        index_body_end(&body, 1);
        absorb(index, i, 7, &body);
    }
    assert_int_equal(index_settle(index, &e), 0);
    index_free(index);
    for (size_t i = 0; i < 3; i++) {
        struct index_object object;
        assert_int_equal(index_open(path, asker, hosts[i], &index, &e), 0);
        assert_int_equal(index_object_count(index), 1);
        assert_true(index_object_at(index, 0, &object));
        assert_string_equal(object.host, hosts[i]);
        index_retain(index, NULL, 0, SEAL_HASH_SIZE);
        assert_false(index_object_at(index, 0, &object));
        index_free(index);
    }
    index = open_index(asker);
    assert_int_equal(index_object_count(index), 3);
    index_free(index);
    bytes_free(&body);
}

/* What no object describes is known to who has absorbed it, and to nobody after. */
static void test_unnamed(void **state)
{
    (void)state;
    static const uint8_t asker[SEAL_HASH_SIZE] = {13};
    struct error e;
    struct bytes body = {.maximum = 1 << 20};
    struct index_pack packs[60];
    struct index_location at;
    uint8_t id[SEAL_HASH_SIZE];
    struct index *index = open_index(asker);
    const struct index_origin nobody = {.own = false};
    make_body(&body, 0, 0, 10);
    absorb(index, 0, 7, &body);
    for (uint64_t i = 1; i < 60; i++) {
        make_body(&body, i, 100 * i, 10);
        assert_int_equal(index_absorb(index, &nobody, body.data, body.length, &e), 0);
        assert_int_equal(index_settle(index, &e), 0);
    }
    present(index, 60, 99, 10, packs);
    for (uint64_t i = 0; i < 60; i++) {
        number_hash(100 * i, id);
        assert_true(index_find(index, id, INDEX_READ, 0, &at));
        assert_int_equal(!index_pack_object(index, at.pack_row), i > 0);
    }
    index_free(index);
    index = open_index(asker);
    assert_int_equal(index_object_count(index), 1);
    assert_int_equal(index_pack_count(index), 1);
    index_free(index);
    bytes_free(&body);
}

/* A body that is cut or has bytes to spare changes nothing. */
static void test_bad_bodies(void **state)
{
    (void)state;
    struct error e;
    struct bytes body = {.maximum = 1 << 20};
    static const uint8_t nobody[SEAL_HASH_SIZE] = {14};
    struct index *index = open_index(nobody);
    const struct index_origin origin = {.own = true};
    make_body(&body, 1, 0, 3);
    for (size_t n = 0; n < body.length; n++) {
        assert_int_equal(index_absorb(index, &origin, body.data, n, &e), -1);
        assert_int_equal(e.class, ERROR_INTEGRITY);
    }
    bytes_put_u8(&body, 0);
    assert_int_equal(index_absorb(index, &origin, body.data, body.length, &e), -1);
    assert_int_equal(index_settle(index, &e), 0);
    assert_int_equal(index_pack_count(index), 0);
    index_free(index);
    bytes_free(&body);
}

static void test_idset(void **state)
{
    (void)state;
    struct idset *set;
    struct error e;
    uint8_t id[SEAL_HASH_SIZE];
    assert_int_equal(idset_new(5000, &set, &e), 0);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < 5000; i++) {
            number_hash(i, id);
            assert_false(idset_has(set, id));
            assert_int_equal(idset_add(set, id, &e), 0);
            assert_int_equal(idset_add(set, id, &e), 0); /* twice is once */
            assert_true(idset_has(set, id));
        }
        for (uint64_t i = 0; i < 10000; i++) {
            number_hash(i, id);
            assert_int_equal(idset_has(set, id), i < 5000);
        }
        idset_clear(set);
    }
    for (uint64_t i = 0; !idset_full(set); i++) {
        number_hash(i, id);
        assert_int_equal(idset_add(set, id, &e), 0);
        assert_true(i < 8192);
    }
    idset_free(set);
    idset_free(NULL);
}

static int count_pack(void *context, const uint8_t name[SEAL_HASH_SIZE], uint64_t size, const struct pack_chunk *chunks,
                      uint32_t count, struct error *e)
{
    (void)e;
    uint8_t expected[SEAL_HASH_SIZE];
    int *seen = context;
    number_hash((uint64_t)*seen, expected);
    assert_memory_equal(name, expected, sizeof expected);
    assert_int_equal(size, PACK_HEADER_SIZE + 20 + PACK_END(1));
    assert_int_equal(count, 1);
    assert_int_equal(chunks[0].plain, *seen + 1);
    ++*seen;
    return 0;
}

static int count_journal(struct journal *journal)
{
    struct error e;
    int seen = 0;
    bool empty;
    assert_int_equal(journal_each(journal, count_pack, &seen, &e), 0);
    assert_int_equal(journal_is_empty(journal, &empty, &e), 0);
    assert_int_equal(empty, seen == 0);
    return seen;
}

/* Whatever is cut off at the end, what stands before it is found. */
static void test_journal(void **state)
{
    (void)state;
    struct journal *journal;
    struct error e;
    char file[80];
    snprintf(file, sizeof file, "%s/journal", directory);
    assert_int_equal(journal_open(file, &journal, &e), 0);
    assert_int_equal(count_journal(journal), 0);
    for (uint32_t i = 0; i < 5; i++) {
        struct pack_chunk chunk = {.offset = PACK_HEADER_SIZE, .stored = 20, .plain = i + 1};
        uint8_t name[SEAL_HASH_SIZE];
        number_hash(i, name);
        number_hash(i, chunk.id);
        assert_int_equal(journal_add(journal, name, PACK_HEADER_SIZE + 20 + PACK_END(1), &chunk, 1, &e), 0);
    }
    journal_close(journal);
    assert_int_equal(journal_open(file, &journal, &e), 0);
    assert_int_equal(count_journal(journal), 5);
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    fclose(f);
    for (long cut = size - 1; cut >= 0; cut -= 7) {
        assert_int_equal(truncate(file, cut), 0);
        assert_int_equal(count_journal(journal), cut * 5 / size);
    }
    assert_int_equal(journal_clear(journal, &e), 0);
    assert_int_equal(count_journal(journal), 0);
    journal_close(journal);
    unlink(file);
}

static int setup(void **state)
{
    (void)state;
    struct error e;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/index", directory);
    return seal_init(&e);
}

static int teardown(void **state)
{
    (void)state;
    char file[400];
    while (file_at(0, file))
        unlink(file);
    rmdir(path);
    return rmdir(directory);
}

/* A chunk in two packs: the one that is doubted is read last, and not relied on. */
static void test_doubted(void **state)
{
    (void)state;
    struct error e;
    struct bytes body = {.maximum = 1 << 20};
    struct index_pack packs[2];
    struct index_location at;
    uint8_t id[SEAL_HASH_SIZE], doubted[SEAL_HASH_SIZE];
    const uint8_t nobody[SEAL_HASH_SIZE] = {9};
    struct index *index = open_index(nobody);
    for (uint64_t i = 0; i < 2; i++) {
        make_body(&body, i, 7000, 3);
        absorb(index, i, 7, &body);
    }
    set_own(index, 2, 1);
    assert_int_equal(index_settle(index, &e), 0);
    present(index, 2, 9, 3, packs);
    number_hash(7001, id);
    for (uint64_t i = 0; i < 2; i++) {
        number_hash(1000000 + i, doubted);
        assert_int_equal(index_set_doubted(index, doubted, 1, &e), 0);
        assert_true(index_find(index, id, INDEX_RELY_OWN, 0, &at));
        assert_memory_not_equal(at.pack.hash, doubted, sizeof doubted);
        assert_false(index_find(index, id, INDEX_RELY, 1, &at));
        assert_true(index_find(index, id, INDEX_READ, 0, &at));
        assert_memory_not_equal(at.pack.hash, doubted, sizeof doubted);
        assert_true(index_find(index, id, INDEX_READ, 1, &at));
        assert_memory_equal(at.pack.hash, doubted, sizeof doubted);
        assert_false(index_find(index, id, INDEX_READ, 2, &at));
    }
    size_t relied_on = 0;
    for (size_t i = 0; i < index_chunk_count(index); i++)
        relied_on += index_chunk_at(index, i, INDEX_RELY, &at);
    assert_int_equal(relied_on, 3);
    index_free(index);
    bytes_free(&body);
}

/* Of the places of a chunk our own comes first, then the signer's and the host's whose snapshot it is, then others; of
 * one signer only a few are kept. */
static void test_whose_word(void **state)
{
    (void)state;
    static const uint8_t asker[SEAL_HASH_SIZE] = {8}, signer[SEAL_HASH_SIZE] = {3};
    static const uint8_t expected[] = {0, 3, 2, 2, 2, 2, 1, 1, 1, 1};
    struct error e;
    struct bytes body = {.maximum = 1 << 20};
    struct index_pack packs[24];
    struct index_location at;
    uint8_t id[SEAL_HASH_SIZE];
    struct index *index = open_index(asker);
    for (uint64_t i = 0; i < 24; i++) {
        /* Ten of one foreigner, ten of another who says that he is web1, one of that signer, three of ours. */
        uint8_t who = i < 10 ? 1 : i < 20 ? 2 : i < 21 ? 3 : 4;
        const char *host = who == 2 ? "web1" : "other";
        packs[i] = (struct index_pack){.size = (uint32_t)pack_size(2), .name.host = pack_name_number(host)};
        number_hash(1000000 + i, packs[i].name.hash);
        bytes_reset(&body);
        index_body_begin(&body, host, 5);
        add_pack(&body, i, 100, 2);
        index_body_end(&body, 1);
        absorb(index, i, who, &body);
    }
    assert_false(index_is_crowded(index));
    set_own(index, 24, 23); /* the first and the last */
    assert_int_equal(index_settle(index, &e), 0);
    assert_true(index_is_crowded(index));
    index_prefer(index, signer, "web1");
    qsort(packs, 24, sizeof *packs, pack_name_compare);
    assert_int_equal(index_set_present(index, packs, 24, &e), 0);
    number_hash(101, id);
    unsigned count = 0;
    for (; index_find(index, id, INDEX_READ, count, &at); count++) {
        uint8_t who = index_pack_signer(index, at.pack_row)[0];
        bool own = index_pack_is_own(index, at.pack_row);
        assert_int_equal(own, count < 2);
        assert_int_equal(at.foreign, !own && (who == 1 || who == 4));
        if (count >= 2 && count < 7)
            assert_int_equal(who, expected[count - 1]);
    }
    /* The first of our own is one of that signer's four. */
    assert_int_equal(count, 4 + 4 + 1 + 3);
    assert_true(index_find(index, id, INDEX_RELY_OWN, 1, &at));
    assert_false(index_find(index, id, INDEX_RELY_OWN, 2, &at));
    index_free(index);
    bytes_free(&body);
}

/* However much a signer says, it takes no more than its share, and that of others is not touched. */
static void test_share(void **state)
{
    (void)state;
    static const uint8_t asker[SEAL_HASH_SIZE] = {10};
    struct error e;
    struct bytes body = {.maximum = 1 << 20};
    struct index *index = open_index(asker);
    for (uint64_t i = 0; i < 6000; i++) {
        make_body(&body, i, 64 * i, 64);
        absorb(index, i, 5, &body);
    }
    make_body(&body, 7000, 0, 64);
    absorb(index, 7000, 6, &body);
    assert_int_equal(index_settle(index, &e), 0);
    assert_true(index_is_crowded(index));
    assert_int_equal(index_object_count(index), 6001); /* none is read again */
    assert_int_equal(index_pack_count(index), (256 << 10) / 66 + 1);
    index_free(index);
    index = open_index(asker); /* what the file has counts */
    absorb(index, 7001, 5, &body);
    assert_int_equal(index_settle(index, &e), 0);
    assert_int_equal(index_pack_count(index), (256 << 10) / 66 + 1);
    index_set_listed(index, 66 * 65536);
    absorb(index, 7002, 5, &body);
    assert_int_equal(index_settle(index, &e), 0);
    assert_int_equal(index_pack_count(index), (256 << 10) / 66 + 2);
    index_free(index);
    bytes_free(&body);
}

static size_t count_packs(const struct index *index)
{
    size_t count = 0;
    for (size_t row = 0; row < index_pack_count(index); row++)
        count += !index_pack_is_gone(index, row);
    return count;
}

/* What was left out for want of room is absorbed when there is some, and then it is what counts. */
static void test_room_again(void **state)
{
    (void)state;
    static const uint8_t asker[SEAL_HASH_SIZE] = {15};
    static uint8_t names[6000][SEAL_HASH_SIZE];
    struct error e;
    struct bytes body = {.maximum = 1 << 20};
    struct index *index = open_index(asker);
    for (uint64_t i = 0; i < 6000; i++) {
        make_body(&body, i, 64 * i, 64);
        absorb(index, i, 5, &body);
    }
    assert_int_equal(index_settle(index, &e), 0);
    assert_true(index_is_crowded(index));
    size_t most = count_packs(index);
    index_free(index);

    index = open_index(asker);
    for (uint64_t i = 0; i < 3000; i++) /* the first half goes */
        number_hash(2000000 + 3000 + i, names[i]);
    qsort(names, 3000, sizeof names[0], compare_names);
    index_retain(index, names, 3000, sizeof names[0]);
    assert_false(index_is_crowded(index));
    for (uint64_t i = 3000; i < 6000; i++) {
        uint8_t name[SEAL_HASH_SIZE];
        number_hash(2000000 + i, name);
        assert_int_equal(index_covers(index, name), i < most);
        if (i < most)
            continue;
        make_body(&body, i, 64 * i, 64);
        absorb(index, i, 5, &body);
    }
    assert_int_equal(index_settle(index, &e), 0);
    for (int round = 0; round < 2; round++) {
        assert_false(index_is_crowded(index));
        assert_int_equal(count_packs(index), 3000);
        index_free(index);
        index = open_index(asker);
        index_retain(index, names, 3000, sizeof names[0]);
    }
    index_free(index);
    bytes_free(&body);
}

/* Packs that are not there stay so, however the segments that this process has made are merged. */
static void test_merged_while_told(void **state)
{
    (void)state;
    static const uint8_t asker[SEAL_HASH_SIZE] = {16};
    struct error e;
    struct bytes body = {.maximum = 1 << 20};
    struct index_pack packs[40];
    struct index_location at;
    uint8_t id[SEAL_HASH_SIZE];
    struct index *index = open_index(asker);
    for (uint64_t i = 0; i < 40; i++) {
        make_body(&body, i, 100 * i, 10);
        absorb(index, i, 7, &body);
        assert_int_equal(index_settle(index, &e), 0);
        if (i % 5 == 2)
            present(index, i + 1, 1, 10, packs);
        for (uint64_t k = 0; k <= i && i >= 2; k++) {
            number_hash(100 * k, id);
            assert_int_equal(index_find(index, id, INDEX_READ, 0, &at), k != 1);
        }
    }
    index_free(index);
    bytes_free(&body);
}

/* What no pack of its size can hold is refused, wherever it stands. */
static void test_impossible(void **state)
{
    (void)state;
    static const struct {
        uint64_t size;
        uint32_t count;
        struct pack_chunk chunks[2];
    } rows[] = {
        {.size = 104 + 60 + 2 * 44 + 24, .count = 2, .chunks = {{{1}, 104, 30, 5}, {{2}, 134, 29, 5}}}, /* ends early */
        {.size = 104 + 60 + 2 * 44 + 24, .count = 2, .chunks = {{{1}, 104, 30, 5}, {{2}, 133, 31, 5}}}, /* overlap */
        {.size = 104 + 60 + 2 * 44 + 24, .count = 2, .chunks = {{{1}, 104, 30, 5}, {{0}, 134, 30, 5}}}, /* a hole */
        {.size = 104 + 60 + 2 * 44 + 24, .count = 2, .chunks = {{{1}, 104, 44, 5}, {{2}, 148, 16, 5}}}, /* no frame */
        {.size = 104 + 60 + 2 * 44 + 24, .count = 2, .chunks = {{{1}, 104, 30, 0}, {{2}, 134, 30, 5}}},
        {.size = 104 + 60 + 2 * 44 + 24, .count = 2, .chunks = {{{1}, 104, 30, 5}, {{2}, 134, 30, (2 << 20) + 1}}},
        {.size = 104 + 60 + 2 * 44 + 23, .count = 2, .chunks = {{{1}, 104, 30, 5}, {{2}, 134, 30, 5}}},
        {.size = 104 + 24, .count = 0},
        {.size = 5, .count = 1, .chunks = {{{1}, 104, 30, 5}}},
        {.size = (25u << 20), .count = 1, .chunks = {{{1}, 104, 30, 5}}},
    };
    struct error e;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const uint8_t name[SEAL_HASH_SIZE] = {1};
        struct bytes body = {.maximum = 1 << 20};
        index_body_begin(&body, "web1", 5);
        index_body_add_pack(&body, name, rows[i].size, rows[i].chunks, rows[i].count);
        index_body_end(&body, 1);
        assert_int_equal(index_body_each(body.data, body.length, NULL, NULL, &e), -1);
        assert_int_equal(e.class, ERROR_INTEGRITY);
        bytes_free(&body);
    }
}

static void test_ledger(void **state)
{
    (void)state;
    struct error e;
    struct bytes names = {.maximum = 1 << 20};
    char file[80], within[64];
    uint8_t name[SEAL_HASH_SIZE];
    bool there;
    snprintf(within, sizeof within, "%s/state", directory);
    snprintf(file, sizeof file, "%s/stored", within);
    assert_int_equal(ledger_read(file, &names, &there, &e), 0);
    assert_false(there);
    for (uint64_t i = 0; i < 3; i++) {
        number_hash(i, name);
        assert_int_equal(ledger_add(file, name, &e), 0);
        /* A line that a power cut left behind. */
        FILE *f = fopen(file, "a");
        assert_non_null(f);
        fputs("0123", f);
        fclose(f);
    }
    assert_int_equal(ledger_read(file, &names, &there, &e), 0);
    assert_true(there);
    assert_int_equal(names.length, 3 * SEAL_HASH_SIZE);
    for (uint64_t i = 0; i < 3; i++) {
        number_hash(i, name);
        assert_non_null(bsearch(name, names.data, 3, SEAL_HASH_SIZE, compare_names));
    }
    bytes_free(&names);
    unlink(file);
    rmdir(within);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_for_somebody_else),
        cmocka_unit_test(test_damaged_file),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_many_runs),
        cmocka_unit_test(test_by_host),
        cmocka_unit_test(test_unnamed),
        cmocka_unit_test(test_bad_bodies),
        cmocka_unit_test(test_idset),
        cmocka_unit_test(test_journal),
        cmocka_unit_test(test_doubted),
        cmocka_unit_test(test_whose_word),
        cmocka_unit_test(test_share),
        cmocka_unit_test(test_room_again),
        cmocka_unit_test(test_merged_while_told),
        cmocka_unit_test(test_impossible),
        cmocka_unit_test(test_ledger),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
