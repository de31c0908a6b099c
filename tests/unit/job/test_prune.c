/* prune over a vault that is a list in memory: what is asked of it, in what order, and what is made of its failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "job/history.h"
#include "job/prune.h"
#include "worker/engine.h"

#define NOW (INT64_C(1780000000) * 1000000000) /* May 2026 */
#define HOUR (INT64_C(3600) * 1000000000)
#define MOST 12000

/* What stands in it, and how it behaves. */
static struct memory {
    struct vault_standing items[MOST];
    bool unreadable[MOST];
    size_t count;
    size_t listed;                 /* then the listing fails; 0 = it is whole */
    bool may;                      /* the key may remove */
    size_t stubborn;               /* of that many, from the first on, the removal fails */
    size_t batches;                /* calls of remove that work; the next one fails */
    size_t calls, gone;            /* of remove; snapshots removed */
    char pinned[MANIFEST_ID_SIZE]; /* has a pin that is not listed */
    bool silent;                   /* nobody can say whether there are such */
} memory;

/* What was told. */
static struct said {
    size_t kept, removed, held, groups;
    char reason[RETENTION_REASON_SIZE]; /* the last one of the last that is held */
    struct error why;                   /* of the last group that has one */
} said;

static int standings(struct vault *vault, const char *host, const char *job, vault_stands *stands, void *context,
                     struct error *e)
{
    (void)vault;
    for (size_t i = 0; i < memory.count; i++) {
        const struct vault_name *name = &memory.items[i].name;
        struct error why = {.class = ERROR_NONE};
        if (memory.listed > 0 && i == memory.listed)
            return error_set(e, ERROR_RETRY, "the second page does not come");
        if ((host && name->host[0] && strcmp(host, name->host) != 0) || (job && strcmp(job, name->job) != 0))
            continue;
        if (memory.unreadable[i])
            error_set(&why, ERROR_INTEGRITY, "it is rubbish");
        if (stands(context, &memory.items[i], &why, e) < 0)
            return -1;
    }
    return 0;
}

static int take(struct vault *vault, const struct vault_removal *removals, size_t count, vault_gone *gone,
                void *context, struct error *e)
{
    (void)vault;
    assert_in_range(count, 1, VAULT_REMOVALS_MAX);
    if (memory.calls++ == memory.batches)
        return error_set(e, ERROR_NO_SPACE, "there is no room for the record");
    for (size_t i = 0; i < count; i++) {
        struct error why = {.class = ERROR_NONE};
        assert_true(removals[i].reason_count == 1);
        assert_string_equal(removals[i].standing->name.job, removals[0].standing->name.job);
        assert_string_equal(removals[i].standing->name.host, removals[0].standing->name.host);
        if (memory.stubborn > 0) {
            memory.stubborn--;
            error_set(&why, ERROR_DENIED, "it is locked");
        } else {
            memory.gone++;
        }
        gone(context, &removals[i].standing->name, &why);
    }
    return 0;
}

static int pinned(struct vault *vault, const struct vault_name *names, size_t count, bool *are, struct error *e)
{
    (void)vault;
    for (size_t i = 0; i < count; i++)
        are[i] = strcmp(names[i].id, memory.pinned) == 0;
    return memory.silent ? error_set(e, ERROR_RETRY, "the place is away") : 0;
}

static bool may(struct vault *vault, const char *host)
{
    (void)vault;
    (void)host;
    return memory.may;
}

/* Nobody has recorded anything. */
static int removals(struct vault *vault, const char *host, const char *job, vault_removed *removed, void *context,
                    struct error *e)
{
    (void)vault;
    (void)host;
    (void)job;
    (void)removed;
    (void)context;
    (void)e;
    return 0;
}

static int records(struct vault *vault, const char *host, const char *job, struct bytes *keys, struct error *e)
{
    (void)vault;
    (void)host;
    (void)job;
    (void)keys;
    (void)e;
    return 0;
}

static const struct vault_format format = {.standings = standings,
                                           .remove = take,
                                           .removals = removals,
                                           .may_remove = may,
                                           .records = records,
                                           .pinned = pinned};

/* ---- what is there ---- */

static struct config config = {.host = (char *)(uintptr_t) "here"};
static const struct engine engine = {.config = &config};
static struct config_instance sink;
static struct config_job job;
static struct vault vault = {.format = &format, .engine = &engine, .config = &sink, .id = "one"};

static void add(const char *host, const char *its_job, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct vault_standing *s = &memory.items[memory.count++];
        char compact[CLOCK_TEXT_MAX];
        *s = (struct vault_standing){.sequence = i + 1, .complete = true};
        s->started = s->ended = NOW - (int64_t)(count - i) * HOUR;
        snprintf(s->name.host, sizeof s->name.host, "%s", host);
        snprintf(s->name.job, sizeof s->name.job, "%s", its_job);
        snprintf(s->name.id, sizeof s->name.id, "%s-%06zx", clock_format_compact(s->started, compact), i);
    }
}

static const struct config_retention unset = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1};

static int set_up(void **state)
{
    (void)state;
    memory = (struct memory){.may = true, .batches = SIZE_MAX};
    said = (struct said){.kept = 0};
    job = (struct config_job){.name = (char *)(uintptr_t) "nightly", .retention = unset};
    job.retention.keep_last = 4;
    sink = (struct config_instance){.retention = unset};
    clock_set(NOW);
    return 0;
}

static void on_decided(void *context, const struct prune_result *of, const struct vault_standing *standing,
                       const struct retention_decision *decision, enum prune_action action)
{
    (void)context;
    assert_string_equal(of->host, standing->name.host);
    assert_true(decision->reason_count >= 1);
    assert_int_equal(decision->keep, action == PRUNE_KEEP);
    said.kept += action == PRUNE_KEEP;
    said.removed += action == PRUNE_REMOVE;
    said.held += action == PRUNE_HOLD;
    if (action == PRUNE_HOLD)
        memcpy(said.reason, decision->reasons[decision->reason_count - 1], sizeof said.reason);
}

static void on_done(void *context, const struct prune_result *result)
{
    (void)context;
    said.groups++;
    if (result->why.class != ERROR_NONE)
        said.why = result->why;
}

static const struct prune_audience audience = {.decided = on_decided, .done = on_done};

static void prune(struct prune_request request)
{
    const struct history nothing = {.count = 0};
    struct error e;
    if (prune_job(&vault, &job, &nothing, &request, &audience, &e) < 0)
        fail_msg("%s", e.message);
}

static void expect(size_t kept, size_t removed, size_t held)
{
    assert_int_equal(said.kept, kept);
    assert_int_equal(said.removed, removed);
    assert_int_equal(said.held, held);
}

/* ---- tests ---- */

static void test_removes_what_no_rule_keeps(void **state)
{
    (void)state;
    add("here", "nightly", 6);
    add("here", "weekly", 6);
    add("away", "nightly", 6);
    prune((struct prune_request){.dry_run = true});
    expect(4, 2, 0);
    assert_int_equal(memory.calls, 0);
    said = (struct said){.kept = 0};
    prune((struct prune_request){.dry_run = false});
    expect(4, 2, 0);
    assert_int_equal(memory.gone, 2);
    assert_int_equal(said.why.class, ERROR_NONE);
}

static void test_much_needs_a_person(void **state)
{
    (void)state;
    add("here", "nightly", 9);
    prune((struct prune_request){.dry_run = false});
    expect(4, 0, 5);
    assert_int_equal(memory.calls, 0);
    assert_non_null(strstr(said.why.message, "5 of 9"));
    assert_non_null(strstr(said.reason, "--yes"));
    said = (struct said){.kept = 0};
    prune((struct prune_request){.yes = true});
    expect(4, 5, 0);
}

/* It would have been kept, had it been listed: then the listing may lack more. A dry run says the same. */
static void test_a_pin_that_is_not_listed(void **state)
{
    (void)state;
    add("here", "nightly", 6);
    memcpy(memory.pinned, memory.items[1].name.id, sizeof memory.pinned);
    for (int dry = 0; dry < 2; dry++) {
        said = (struct said){.kept = 0};
        prune((struct prune_request){.dry_run = dry});
        expect(4, 0, 2);
        assert_int_equal(memory.calls, 0);
        assert_non_null(strstr(said.why.message, memory.pinned));
    }
    memory.pinned[0] = '\0';
    memory.silent = true;
    said = (struct said){.kept = 0};
    prune((struct prune_request){.dry_run = false});
    expect(4, 0, 2);
    assert_non_null(strstr(said.why.message, "away"));
    memory.silent = false;
    memcpy(memory.pinned, memory.items[4].name.id, sizeof memory.pinned); /* it stays in any case */
    said = (struct said){.kept = 0};
    prune((struct prune_request){.dry_run = false});
    expect(4, 2, 0);
}

static void test_many_go_in_several_records(void **state)
{
    (void)state;
    add("here", "nightly", MOST);
    prune((struct prune_request){.yes = true});
    expect(4, MOST - 4, 0);
    assert_int_equal(memory.calls, 3);
    assert_int_equal(memory.gone, MOST - 4);
}

/* Nothing goes without its record: of the second one none. */
static void test_a_record_that_cannot_be_stored(void **state)
{
    (void)state;
    add("here", "nightly", 8000);
    memory.batches = 1;
    prune((struct prune_request){.yes = true});
    expect(4, VAULT_REMOVALS_MAX, 8000 - 4 - VAULT_REMOVALS_MAX);
    assert_int_equal(said.why.class, ERROR_NO_SPACE);
    assert_non_null(strstr(said.reason, "no room"));
}

static void test_one_that_cannot_be_removed(void **state)
{
    (void)state;
    add("here", "nightly", 7);
    memory.stubborn = 1;
    prune((struct prune_request){.yes = true});
    expect(4, 2, 1);
    assert_int_equal(said.why.class, ERROR_DENIED);
    assert_non_null(strstr(said.why.message, "could not be removed: it is locked"));
}

static void test_a_key_that_may_not(void **state)
{
    (void)state;
    add("here", "nightly", 5);
    memory.may = false;
    prune((struct prune_request){.yes = true});
    expect(4, 0, 1);
    assert_int_equal(said.why.class, ERROR_DENIED);
    assert_non_null(strstr(said.why.hint, "prune = elsewhere"));
    job.retention.prune = CONFIG_ELSEWHERE;
    said = (struct said){.kept = 0};
    prune((struct prune_request){.yes = true});
    expect(4, 0, 1);
    assert_int_equal(said.why.class, ERROR_NONE);
    assert_int_equal(memory.calls, 0);
}

/* Of this one, or it may be; or so many that not all are remembered. */
static void test_one_that_cannot_be_read(void **state)
{
    static const struct {
        const char *host, *job;
        size_t count;
    } cases[] = {{"here", "nightly", 1}, {"", "nightly", 1}, {"", "nightly", 100}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_up(state);
        add("here", "nightly", 6);
        add(cases[i].host, cases[i].job, cases[i].count);
        for (size_t k = 6; k < memory.count; k++)
            memory.unreadable[k] = true;
        prune((struct prune_request){.yes = true});
        expect(4, 0, 2);
        assert_non_null(strstr(said.why.message, "there is a doubt"));
        assert_non_null(strstr(said.why.message, "it is rubbish"));
        assert_int_equal(memory.calls, 0);
    }
}

static void test_a_listing_that_is_cut(void **state)
{
    (void)state;
    const struct history nothing = {.count = 0};
    struct error e;
    add("here", "nightly", 9);
    memory.listed = 7;
    assert_int_equal(prune_job(&vault, &job, &nothing, &(struct prune_request){.yes = true}, &audience, &e), -1);
    assert_int_equal(said.groups, 0);
    assert_int_equal(memory.calls, 0);
}

static void test_clocks(void **state)
{
    static const struct {
        int64_t now;
        size_t kept, held;
        const char *words;
    } cases[] = {
        {NOW, 4, 0, ""},
        {NOW - 2 * HOUR, 5, 1, "in the future"}, /* one is */
        {0, 6, 0, "in the future"},
        {NOW + 24 * 365 * HOUR, 4, 0, ""},
        {NOW + 73 * 24 * 365 * HOUR, 4, 2, "years between"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        set_up(state);
        add("here", "nightly", 6);
        clock_set(cases[i].now);
        prune((struct prune_request){.yes = false});
        expect(cases[i].kept, cases[i].words[0] ? 0 : 2, cases[i].held);
        assert_true(!cases[i].words[0] || strstr(said.why.message, cases[i].words));
    }
}

/* What this machine remembers: that it never stored there, or what is not listed any more. */
static void test_memory_of_this_machine(void **state)
{
    char repositories[1][33] = {"one"};
    struct history_link link = {.sequence = 6, .repositories = repositories, .repository_count = 1};
    const struct history history = {.links = &link, .count = 1};
    struct error e;
    for (int i = 0; i < 3; i++) {
        set_up(state);
        add("here", "nightly", 6);
        memcpy(link.id, memory.items[i == 1 ? 0 : 5].name.id, sizeof link.id);
        link.id[23 - (i == 1)] = i == 1 ? 'f' : link.id[23];
        memcpy(repositories[0], i == 2 ? "two" : "one", 4);
        assert_int_equal(prune_job(&vault, &job, &history, &(struct prune_request){.yes = true}, &audience, &e), 0);
        expect(4, i ? 0 : 2, i ? 2 : 0);
    }
}

/* By the rules of the sink, each host and job by itself; and never this host's own. */
static void test_others(void **state)
{
    (void)state;
    struct error e;
    sink.retention.keep_last = 3;
    add("here", "nightly", 6);
    add("away", "weekly", 4);
    add("near", "nightly", 5);
    add("away", "nightly", 5);
    memory.unreadable[10] = true; /* of near */
    assert_int_equal(prune_others(&vault, NULL, &(struct prune_request){.yes = true}, &audience, &e), 0);
    assert_int_equal(said.groups, 3);
    expect(3 + 3 + 3, 1 + 2, 1);
    said = (struct said){.kept = 0};
    assert_int_equal(prune_others(&vault, "weekly", &(struct prune_request){.dry_run = true}, &audience, &e), 0);
    expect(3, 1, 0);
}

/* However many of one host cannot be read, a key that was revoked, say: that is in the way of its own job alone. */
static void test_many_of_another_host_that_cannot_be_read(void **state)
{
    (void)state;
    struct error e;
    sink.retention.keep_last = 3;
    add("away", "nightly", 100);
    for (size_t i = 0; i < 98; i++)
        memory.unreadable[i] = true;
    add("near", "weekly", 5);
    assert_int_equal(prune_others(&vault, NULL, &(struct prune_request){.yes = true}, &audience, &e), 0);
    assert_int_equal(said.groups, 2);
    expect(2 + 3, 2, 0);
    assert_non_null(strstr(said.why.message, memory.items[0].name.id));
}

/* More names than anybody has hosts and jobs: where one more belongs is not remembered, and it may be anywhere. */
static void test_endless_names_of_what_cannot_be_read(void **state)
{
    (void)state;
    struct error e;
    sink.retention.keep_last = 3;
    add("near", "weekly", 5);
    for (size_t i = 5; i < 5000; i++) {
        char host[16];
        snprintf(host, sizeof host, "h%zu", i);
        add(host, "nightly", 1);
        memory.unreadable[i] = true;
    }
    assert_int_equal(prune_others(&vault, NULL, &(struct prune_request){.yes = true}, &audience, &e), 0);
    expect(3, 0, 2);
}

/* There is nothing to decide of such a host, and that is said. */
static void test_a_host_of_which_none_can_be_read(void **state)
{
    (void)state;
    struct error e;
    sink.retention.keep_last = 3;
    add("near", "weekly", 5);
    add("away", "nightly", 4);
    add("here", "nightly", 1); /* this one, which prune_job looks at */
    for (size_t i = 5; i < 10; i++)
        memory.unreadable[i] = true;
    assert_int_equal(prune_others(&vault, NULL, &(struct prune_request){.yes = true}, &audience, &e), 0);
    assert_int_equal(said.groups, 2);
    expect(3, 2, 0);
    assert_non_null(strstr(said.why.message, memory.items[5].name.id));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_removes_what_no_rule_keeps, set_up),
        cmocka_unit_test_setup(test_much_needs_a_person, set_up),
        cmocka_unit_test_setup(test_a_pin_that_is_not_listed, set_up),
        cmocka_unit_test_setup(test_many_go_in_several_records, set_up),
        cmocka_unit_test_setup(test_a_record_that_cannot_be_stored, set_up),
        cmocka_unit_test_setup(test_one_that_cannot_be_removed, set_up),
        cmocka_unit_test_setup(test_a_key_that_may_not, set_up),
        cmocka_unit_test_setup(test_one_that_cannot_be_read, set_up),
        cmocka_unit_test_setup(test_a_listing_that_is_cut, set_up),
        cmocka_unit_test_setup(test_clocks, set_up),
        cmocka_unit_test_setup(test_memory_of_this_machine, set_up),
        cmocka_unit_test_setup(test_others, set_up),
        cmocka_unit_test_setup(test_many_of_another_host_that_cannot_be_read, set_up),
        cmocka_unit_test_setup(test_endless_names_of_what_cannot_be_read, set_up),
        cmocka_unit_test_setup(test_a_host_of_which_none_can_be_read, set_up),
    };
    setenv("TZ", "UTC", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
