/* The history that verify looks at, before and after removal records are joined: what was whole stays whole, also where
 * two machines that were one have each gone on, and what is missing is found as before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "config/config.h"
#include "format/join.h"
#include "job/verify_history.h"
#include "worker/engine.h"

#define MOST 200

static uint32_t random_state = 7;

static uint32_t below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

/* One history: all that ever was in it, and what became of it. */
static struct verify_link all[MOST];
static bool stolen[MOST];
static size_t count;

static void add(uint64_t sequence, unsigned branch, const struct verify_link *before, bool removed)
{
    struct verify_link *link = &all[count++];
    *link = (struct verify_link){.host = "web",
                                 .job = "nightly",
                                 .sequence = sequence,
                                 .readable = true,
                                 .removed = removed,
                                 .own = removed,
                                 .recorded = 1,
                                 .previous_count = before != NULL};
    /* The later of two may have the smaller id. */
    snprintf(link->id, sizeof link->id, "20261120T%06u-%06x", (unsigned)sequence, branch * 7919 % 13);
    snprintf(link->object, sizeof link->object, "%s/%zu", removed ? "removed" : "snapshots", count);
    link->hash[0] = (uint8_t)sequence;
    link->hash[1] = (uint8_t)branch;
    link->hash[2] = 1;
    if (before)
        memcpy(link->previous[0], before->hash, sizeof before->hash);
}

/* forks: one in so many places is claimed twice; 0 = none. stay: one in so many is there. */
static void make(uint64_t length, uint32_t forks, uint32_t stay)
{
    size_t first = 0, places = 0;
    count = 0;
    memset(stolen, 0, sizeof stolen);
    for (uint64_t sequence = 1; sequence <= length; sequence++) {
        size_t start = count, claims = forks > 0 && below(forks) == 0 ? 2 : 1;
        for (unsigned branch = 0; branch < claims; branch++) {
            const struct verify_link *before = places > 0 ? &all[first + below((uint32_t)places)] : NULL;
            add(sequence, branch, before, sequence < length && below(stay) > 0);
        }
        first = start;
        places = claims;
    }
}

/* ---- joining them ---- */

static struct verify_link joined[MOST];
static size_t joined_count;

static int list(struct vault *vault, const char *host, const char *job, struct bytes *keys, struct error *e)
{
    (void)vault;
    (void)host;
    (void)job;
    (void)e;
    for (unsigned i = 0; i < JOIN_RECORDS; i++)
        bytes_put(keys, "x", 2);
    return 0;
}

/* Each again and again, until they are as many as are joined. */
static int tell(struct vault *vault, const char *host, const char *job, vault_removed *removed, void *context,
                struct error *e)
{
    (void)vault;
    (void)host;
    (void)job;
    for (size_t at = below((uint32_t)count), i = 0; i < count * JOIN_RECORDS; i++) {
        struct verify_link link = all[(at + i) % count];
        snprintf(link.object, sizeof link.object, "removed/%zu", i);
        if (link.removed && removed(context, &link, e) < 0)
            return -1;
    }
    return 0;
}

static int store(struct vault *vault, const char *host, const char *job, const struct verify_link *rows, size_t n,
                 struct error *e)
{
    (void)vault;
    (void)host;
    (void)job;
    (void)e;
    assert_true(joined_count + n <= MOST);
    memcpy(joined + joined_count, rows, n * sizeof *rows);
    joined_count += n;
    return 0;
}

static int forget(struct vault *vault, const struct bytes *keys, struct error *e)
{
    (void)vault;
    (void)keys;
    (void)e;
    return 0;
}

static const struct vault_format format = {.records = list, .removals = tell, .record = store, .forget = forget};

static int compare_standings(const void *a, const void *b)
{
    return strcmp(((const struct vault_standing *)b)->name.id, ((const struct vault_standing *)a)->name.id);
}

static void join(void)
{
    struct vault vault = {.format = &format};
    struct vault_standing standings[MOST] = {{.sequence = 0}};
    struct error e;
    size_t there = 0;
    joined_count = 0;
    for (size_t i = 0; i < count; i++)
        if (!all[i].removed) {
            standings[there].sequence = all[i].sequence;
            memcpy(standings[there++].name.id, all[i].id, sizeof all[i].id);
        }
    qsort(standings, there, sizeof *standings, compare_standings);
    assert_int_equal(join_records(&vault, "web", "nightly", standings, there, &e), 0);
}

/* ---- looking ---- */

static void on_damage(void *context, const struct verify_damage *damage)
{
    (void)damage;
    ++*(size_t *)context;
}

/* How many damages there are. rows: of records; those that are in `all` are passed over. */
static size_t look(const struct verify_link *rows, size_t n)
{
    static struct config config = {.host = (char *)(uintptr_t) "here"};
    static const struct engine engine = {.config = &config};
    const struct verify_request request = {.job = NULL};
    size_t damages = 0;
    struct error e;
    struct verify_history history = {.engine = &engine, .id = "one", .damage = on_damage, .context = &damages};
    for (size_t i = 0; i < count; i++)
        if (!stolen[i] && !all[i].removed)
            assert_int_equal(verify_history_add(&history, &all[i], &e), 0);
    for (size_t i = 0; i < n; i++)
        if (rows[i].removed)
            assert_int_equal(verify_history_add(&history, &rows[i], &e), 0);
    assert_int_equal(verify_history_run(&history, &request, &e), 0);
    verify_history_free(&history);
    return damages;
}

static bool any_removed(void)
{
    for (size_t i = 0; i < count; i++)
        if (all[i].removed)
            return true;
    return false;
}

static void test_what_was_whole_stays_whole(void **state)
{
    (void)state;
    size_t whole = 0, forked = 0;
    for (int round = 0; round < 2000; round++) {
        make(2 + below(60), round % 2 ? 6 : 0, 8);
        if (!any_removed())
            continue;
        join();
        if (look(all, count) > 0) /* two that are there claim one place */
            continue;
        whole++;
        forked += round % 2 != 0;
        assert_int_equal(look(joined, joined_count), 0);
        /* Those that were joined may still be there. */
        struct verify_link both[2 * MOST];
        memcpy(both, joined, joined_count * sizeof *both);
        memcpy(both + joined_count, all, count * sizeof *both);
        assert_int_equal(look(both, joined_count + count), 0);
    }
    assert_true(whole > 1200 && forked > 250);
}

static void test_what_is_missing_is_found(void **state)
{
    (void)state;
    size_t found = 0;
    for (int round = 0; round < 2000; round++) {
        make(2 + below(60), 0, 2);
        size_t i = below((uint32_t)count);
        if (!any_removed() || all[i].removed)
            continue;
        join();
        stolen[i] = true;
        size_t damages = look(all, count);
        found += damages > 0;
        assert_int_equal(look(joined, joined_count), damages);
    }
    assert_true(found > 100);
}

/* What a record says of the place where a range ends is held against what follows. */
static void test_a_range_that_lies(void **state)
{
    (void)state;
    for (int lie = 0; lie < 4; lie++) {
        count = 0;
        memset(stolen, 0, sizeof stolen);
        for (uint64_t i = 1; i <= 6; i++)
            add(i, 0, i > 1 ? &all[count - 1] : NULL, i >= 2 && i <= 4);
        join();
        assert_int_equal(joined_count, 1);
        assert_int_equal(look(joined, 1), 0);
        joined[0].hash[0] ^= lie == 0;
        joined[0].previous[0][0] ^= lie == 1;
        joined[0].sequence -= lie == 2;
        joined[0].first_sequence -= lie == 3;
        assert_true((look(joined, 1) > 0) == (lie < 3));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_whole_stays_whole),
        cmocka_unit_test(test_what_is_missing_is_found),
        cmocka_unit_test(test_a_range_that_lies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
