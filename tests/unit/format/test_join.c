/* Removal records that are joined: what they explain is the same as before, whatever the order and however often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "format/join.h"
#include "format/vault.h"

#define MOST 400

static uint32_t random_state = 1;

static uint32_t below(uint32_t n)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 8) % n;
}

/* The snapshot of that place in the history; branch: of several that claim it. */
static struct verify_link row(uint64_t sequence, unsigned branch)
{
    struct verify_link r = {.host = "web",
                            .job = "nightly",
                            .sequence = sequence,
                            .readable = true,
                            .removed = true,
                            .own = true,
                            .previous_count = sequence > 1};
    snprintf(r.id, sizeof r.id, "20261120T%06uZ-%06x", (unsigned)sequence, branch);
    snprintf(r.object, sizeof r.object, "removed/web/nightly/%u", (unsigned)sequence);
    memcpy(r.hash, &sequence, sizeof sequence);
    r.hash[31] = (uint8_t)branch;
    uint64_t before = sequence - 1;
    memcpy(r.previous[0], &before, sizeof before);
    return r;
}

static void assert_row(const struct verify_link *r, uint64_t first, uint64_t last)
{
    const struct verify_link begin = row(first, 0), end = row(last, 0);
    assert_int_equal(join_first_sequence(r), first);
    assert_int_equal(r->sequence, last);
    assert_string_equal(join_first_id(r), begin.id);
    assert_string_equal(r->id, end.id);
    assert_memory_equal(r->hash, end.hash, sizeof end.hash);
    assert_int_equal(r->previous_count, begin.previous_count);
    assert_memory_equal(r->previous[0], begin.previous[0], sizeof begin.previous[0]);
    assert_true((r->first_sequence != 0) == (first != last));
}

static void test_what_follows_becomes_one(void **state)
{
    (void)state;
    struct verify_link rows[] = {row(5, 0), row(2, 0), row(1, 0), row(7, 0), row(3, 0), row(8, 0)};
    assert_int_equal(join_rows(rows, 6), 3);
    assert_row(&rows[0], 1, 3);
    assert_row(&rows[1], 5, 5);
    assert_row(&rows[2], 7, 8);
    struct verify_link more[] = {rows[2], row(6, 0), rows[0], row(4, 0), rows[1]};
    assert_int_equal(join_rows(more, 5), 1);
    assert_row(&more[0], 1, 8);
    assert_int_equal(join_rows(more, 1), 1);
    assert_int_equal(join_rows(more, 0), 0);
}

static void test_what_does_not_fit_stays(void **state)
{
    (void)state;
    struct verify_link rows[] = {row(1, 0), row(2, 0), row(3, 0), row(4, 0)};
    rows[1].hash[5] ^= 1;                            /* the third followed another */
    snprintf(rows[3].id, sizeof rows[3].id, "2025"); /* a clock was put back */
    assert_int_equal(join_rows(rows, 4), 3);
    assert_int_equal(join_first_sequence(&rows[0]), 1);
    assert_int_equal(rows[0].sequence, 2);
    struct verify_link apart[] = {row(1, 0), row(3, 0)};
    memcpy(apart[1].previous[0], apart[0].hash, sizeof apart[0].hash);
    assert_int_equal(join_rows(apart, 2), 2);
    struct verify_link others[] = {row(1, 0), row(2, 0), row(3, 0)};
    snprintf(others[1].host, sizeof others[1].host, "db");
    snprintf(others[2].job, sizeof others[2].job, "hourly");
    assert_int_equal(join_rows(others, 3), 3);
}

/* Two machines that were one: what follows one of both is not lost. */
static void test_one_place_that_two_claim(void **state)
{
    (void)state;
    struct verify_link rows[] = {row(1, 0), row(2, 0), row(3, 0), row(3, 1), row(4, 0), row(5, 0)};
    assert_int_equal(join_rows(rows, 6), 3);
    assert_row(&rows[0], 1, 3);
    assert_true(rows[1].sequence == 3 && rows[1].hash[31] == 1 && !rows[1].first_sequence);
    assert_row(&rows[2], 4, 5);
    assert_int_equal(join_rows(rows, 3), 3);
    struct verify_link other = row(3, 1), ends[] = {rows[0], rows[0]};
    memcpy(ends[1].hash, other.hash, sizeof other.hash);
    memcpy(ends[1].id, other.id, sizeof other.id);
    assert_int_equal(join_cover(ends, 2), 2);
    assert_row(&ends[0], 1, 3);
    assert_true(ends[1].hash[31] == 1 && !ends[1].first_sequence && join_first_sequence(&ends[1]) == 3);
    struct verify_link follows[] = {row(1, 0), row(2, 0), row(3, 0), row(3, 1), row(4, 0)};
    memcpy(follows[4].previous[0], other.hash, sizeof other.hash);
    assert_int_equal(join_rows(follows, 5), 2);
    assert_row(&follows[0], 1, 3);
    assert_true(follows[1].first_sequence == 3 && follows[1].sequence == 4 &&
                strcmp(follows[1].first_id, other.id) == 0);
    assert_int_equal(join_rows(follows, 2), 1);
    assert_row(&follows[0], 1, 4);
}

static void test_what_is_said_twice(void **state)
{
    (void)state;
    struct verify_link all[9], rows[] = {row(3, 0), row(2, 0), row(3, 0), row(2, 0)};
    assert_int_equal(join_cover(rows, 4), 2);
    assert_row(&rows[0], 2, 2);
    assert_row(&rows[1], 3, 3);
    for (uint64_t i = 0; i < 9; i++)
        all[i] = row(i + 1, 0);
    assert_int_equal(join_rows(all, 9), 1);
    struct verify_link left[] = {row(1, 0), row(2, 0), row(3, 0), row(4, 0), row(5, 0)};
    assert_int_equal(join_rows(left, 5), 1);
    struct verify_link right[] = {row(4, 0), row(5, 0), row(6, 0), row(7, 0)};
    assert_int_equal(join_rows(right, 4), 1);
    struct verify_link both[] = {right[0], row(5, 0), left[0], row(6, 1), left[0], row(12, 0)};
    assert_int_equal(join_cover(both, 6), 2);
    assert_row(&both[0], 1, 7);
    assert_row(&both[1], 12, 12);
    struct verify_link within[] = {right[0], all[0], left[0]};
    assert_int_equal(join_cover(within, 3), 1);
    assert_row(&within[0], 1, 9);
}

/* ---- in any order, in any parts ---- */

static void shuffle(struct verify_link *rows, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t k = below((uint32_t)i);
        struct verify_link other = rows[i - 1];
        rows[i - 1] = rows[k];
        rows[k] = other;
    }
}

/* Each run of neighbours is one row, and no other row is there. */
static void assert_joined(const bool *gone, size_t snapshots, const struct verify_link *rows, size_t count)
{
    size_t at = 0;
    for (size_t i = 1, end; i <= snapshots; i = end) {
        for (end = i + 1; gone[i] && end <= snapshots && gone[end]; end++)
            ;
        if (!gone[i])
            continue;
        assert_true(at < count);
        assert_row(&rows[at++], i, end - 1);
    }
    assert_int_equal(at, count);
}

static void test_at_random(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        static struct verify_link rows[2 * MOST];
        bool gone[MOST + 2] = {false};
        size_t snapshots = 1 + below(60), count = 0;
        for (int act = 0; act < 4; act++) {
            for (size_t i = 1; i <= snapshots; i++)
                if (below(3) == 0) { /* maybe once more */
                    gone[i] = true;
                    rows[count++] = row(i, 0);
                }
            shuffle(rows, count);
            if (below(2))
                count = join_rows(rows, count);
        }
        count = join_rows(rows, count);
        assert_joined(gone, snapshots, rows, count);
    }
}

/* ---- records ---- */

/* A place that holds them: rows by record. */
static struct place {
    struct verify_link rows[MOST];
    size_t count, forgotten, asked;
    int64_t clock;
    enum error_class fails, stays; /* storing; forgetting */
    bool locked;                   /* nothing can be forgotten yet */
} place;

/* Instead of those of the place. */
static const struct verify_link *many;
static size_t many_count, stored[4], stored_count;

static int list(struct vault *vault, const char *host, const char *job, struct bytes *keys, struct error *e)
{
    (void)vault;
    (void)host;
    (void)job;
    (void)e;
    const struct verify_link *rows = many_count > 0 ? many : place.rows;
    for (size_t i = 0; i < (many_count > 0 ? many_count : place.count); i++)
        if (i == 0 || strcmp(rows[i].object, rows[i - 1].object) != 0)
            bytes_put(keys, rows[i].object, strlen(rows[i].object) + 1);
    return 0;
}

static int tell(struct vault *vault, const char *host, const char *job, vault_removed *removed, void *context,
                struct error *e)
{
    (void)vault;
    (void)host;
    (void)job;
    place.asked++;
    for (size_t i = 0; i < (many_count > 0 ? many_count : place.count); i++)
        if (removed(context, many_count > 0 ? &many[i] : &place.rows[i], e) < 0)
            return -1;
    return 0;
}

static int store(struct vault *vault, const char *host, const char *job, const struct verify_link *rows, size_t count,
                 struct error *e)
{
    (void)vault;
    (void)host;
    (void)job;
    if (place.fails != ERROR_NONE)
        return error_set(e, place.fails, "there is no room");
    assert_in_range(count, 1, VAULT_REMOVALS_MAX);
    place.clock++;
    if (many_count > 0) {
        stored[stored_count++] = count;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        struct verify_link *r = &place.rows[place.count++];
        *r = rows[i];
        r->recorded = place.clock;
        r->joined = count > 1 || rows[i].first_sequence;
        snprintf(r->object, sizeof r->object, "removed/web/nightly/record%lld", (long long)place.clock);
    }
    return 0;
}

static int forget(struct vault *vault, const struct bytes *keys, struct error *e)
{
    (void)vault;
    if (place.stays != ERROR_NONE)
        return error_set(e, place.stays, "it may not go");
    if (place.locked)
        return 0;
    for (size_t at = 0; at < keys->length; at += strlen((const char *)keys->data + at) + 1, place.forgotten++) {
        size_t kept = 0;
        for (size_t i = 0; i < place.count; i++)
            if (strcmp(place.rows[i].object, (const char *)keys->data + at) != 0)
                place.rows[kept++] = place.rows[i];
        place.count = kept;
    }
    return 0;
}

static const struct vault_format format = {.records = list, .removals = tell, .record = store, .forget = forget};
static struct vault vault = {.format = &format};

static void act(uint64_t sequence)
{
    struct error e;
    const struct verify_link r = row(sequence, 0);
    assert_int_equal(store(&vault, "web", "nightly", &r, 1, &e), 0);
}

static void begin(uint64_t records)
{
    place = (struct place){.clock = 1};
    for (uint64_t i = 1; i <= records; i++)
        act(i);
}

static int join(size_t here, struct error *e)
{
    struct vault_standing standings[MOST] = {{.sequence = 0}};
    for (size_t i = 0; i < here; i++) { /* the greatest id first */
        const struct verify_link r = row(JOIN_RECORDS - i, 0);
        standings[i] = (struct vault_standing){.sequence = r.sequence};
        memcpy(standings[i].name.id, r.id, sizeof r.id);
    }
    return join_records(&vault, "web", "nightly", standings, here, e);
}

static void test_few_are_left_alone(void **state)
{
    (void)state;
    struct error e;
    begin(JOIN_RECORDS - 1);
    assert_int_equal(join(0, &e), 0);
    assert_true(place.count == JOIN_RECORDS - 1 && place.asked == 0);
}

static void test_many_become_one_record(void **state)
{
    (void)state;
    struct error e;
    begin(JOIN_RECORDS);
    assert_int_equal(join(0, &e), 0);
    assert_true(place.count == 1 && place.forgotten == JOIN_RECORDS);
    assert_row(&place.rows[0], 1, JOIN_RECORDS);
    for (uint64_t i = 1; i < JOIN_RECORDS; i++)
        act(JOIN_RECORDS + i);
    assert_int_equal(join(0, &e), 0);
    assert_int_equal(place.count, JOIN_RECORDS);
    act(2 * JOIN_RECORDS);
    assert_int_equal(join(0, &e), 0);
    assert_int_equal(place.count, 1);
    assert_row(&place.rows[0], 1, 2 * JOIN_RECORDS);
}

/* What was there before this prune stands by itself, and in the same record. */
static void test_what_was_here_stays_by_itself(void **state)
{
    (void)state;
    struct error e;
    begin(JOIN_RECORDS);
    assert_int_equal(join(2, &e), 0);
    assert_int_equal(place.count, 3);
    assert_row(&place.rows[0], 1, JOIN_RECORDS - 2);
    assert_row(&place.rows[1], JOIN_RECORDS - 1, JOIN_RECORDS - 1);
    assert_row(&place.rows[2], JOIN_RECORDS, JOIN_RECORDS);
    assert_string_equal(place.rows[0].object, place.rows[2].object);
}

/* Another's place, which no range may hide. */
static void test_what_is_there_is_not_hidden(void **state)
{
    (void)state;
    struct error e;
    const struct vault_standing there = {.sequence = 7, .name.id = "20261120T000007Z-ffffff"};
    begin(JOIN_RECORDS);
    assert_int_equal(join_records(&vault, "web", "nightly", &there, 1, &e), 0);
    assert_int_equal(place.count, 3);
    assert_row(&place.rows[0], 1, 6);
    assert_row(&place.rows[1], 8, JOIN_RECORDS);
    assert_row(&place.rows[2], 7, 7);
}

/* A clock that was ahead when they were joined holds up nothing. */
static void test_a_clock_that_was_ahead(void **state)
{
    (void)state;
    struct error e;
    begin(JOIN_RECORDS - 1);
    place.clock = clock_now() + 10 * CLOCK_APART;
    act(JOIN_RECORDS);
    assert_int_equal(join(0, &e), 0);
    assert_int_equal(place.count, 1);
    place.clock = 1;
    for (uint64_t i = 1; i <= JOIN_RECORDS; i++)
        act(JOIN_RECORDS + i);
    assert_int_equal(join(0, &e), 0);
    assert_int_equal(place.count, 1);
}

static void test_only_what_is_ours(void **state)
{
    (void)state;
    struct error e;
    begin(JOIN_RECORDS + 1);
    place.rows[7].own = false;
    assert_int_equal(join(0, &e), 0);
    assert_int_equal(place.count, 3);
    assert_true(place.forgotten == JOIN_RECORDS && !place.rows[0].own && place.rows[0].sequence == 8);
    assert_row(&place.rows[1], 1, 7);
    assert_row(&place.rows[2], 9, JOIN_RECORDS + 1);
}

/* Rows that make no range are joined into one record all the same, once. */
static void test_what_misses_every_second_and_is_locked(void **state)
{
    (void)state;
    struct error e;
    place = (struct place){.clock = 1, .locked = true};
    for (uint64_t i = 1; i <= JOIN_RECORDS; i++)
        act(2 * i);
    assert_int_equal(join(0, &e), 0);
    assert_int_equal(place.count, 2 * JOIN_RECORDS);
    act(2 * JOIN_RECORDS + 2);
    assert_int_equal(join(0, &e), 0);
    assert_int_equal(place.count, 2 * JOIN_RECORDS + 1);
}

/* More than one record holds. */
static void test_many_rows(void **state)
{
    (void)state;
    static struct verify_link rows[VAULT_REMOVALS_MAX + 100];
    struct error e;
    place = (struct place){.clock = 1};
    many = rows;
    many_count = VAULT_REMOVALS_MAX + 100;
    for (size_t i = 0; i < many_count; i++) {
        rows[i] = row(2 * i + 1, 0);
        rows[i].recorded = 1 + (int64_t)i % 70;
        snprintf(rows[i].object, sizeof rows[i].object, "removed/web/nightly/%u", (unsigned)i % 70);
    }
    assert_int_equal(join(0, &e), 0);
    many_count = 0;
    assert_true(stored_count == 2 && stored[0] == VAULT_REMOVALS_MAX && stored[1] == 100);
}

static void test_nothing_is_forgotten_before_it_is_stored(void **state)
{
    (void)state;
    struct error e;
    begin(JOIN_RECORDS);
    place.fails = ERROR_NO_SPACE;
    assert_int_equal(join(0, &e), -1);
    assert_int_equal(e.class, ERROR_NO_SPACE);
    assert_true(place.count == JOIN_RECORDS && place.forgotten == 0);
}

/* They are joined once all the same, and not at every prune until they may go. */
static void test_what_is_locked(void **state)
{
    (void)state;
    struct error e;
    begin(JOIN_RECORDS);
    place.locked = true;
    assert_int_equal(join(0, &e), 0);
    assert_int_equal(place.count, JOIN_RECORDS + 1);
    for (uint64_t i = 1; i < JOIN_RECORDS; i++) {
        act(JOIN_RECORDS + i);
        assert_int_equal(join(0, &e), 0);
        assert_int_equal(place.count, JOIN_RECORDS + 1 + i);
    }
    act(2 * JOIN_RECORDS);
    place.locked = false;
    assert_int_equal(join(0, &e), 0);
    assert_int_equal(place.count, 1);
    begin(JOIN_RECORDS);
    place.stays = ERROR_DENIED;
    assert_int_equal(join(0, &e), -1);
    assert_int_equal(place.count, JOIN_RECORDS + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_follows_becomes_one),
        cmocka_unit_test(test_what_does_not_fit_stays),
        cmocka_unit_test(test_one_place_that_two_claim),
        cmocka_unit_test(test_what_is_said_twice),
        cmocka_unit_test(test_at_random),
        cmocka_unit_test(test_few_are_left_alone),
        cmocka_unit_test(test_many_become_one_record),
        cmocka_unit_test(test_what_was_here_stays_by_itself),
        cmocka_unit_test(test_what_is_there_is_not_hidden),
        cmocka_unit_test(test_a_clock_that_was_ahead),
        cmocka_unit_test(test_only_what_is_ours),
        cmocka_unit_test(test_what_misses_every_second_and_is_locked),
        cmocka_unit_test(test_many_rows),
        cmocka_unit_test(test_nothing_is_forgotten_before_it_is_stored),
        cmocka_unit_test(test_what_is_locked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
