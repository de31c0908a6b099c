/* Due: what is decided of one thing, what is read from records and marks, and what of them is left when they are lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "operation/due.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])
#define MINUTE (60 * DUE_SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define NONE INT64_MIN

static int64_t at(const char *text)
{
    int64_t ns;
    if (!text)
        return NONE;
    if (!clock_parse_shown(text, &ns))
        fail_msg("%s", text);
    return ns;
}

static struct due_rule rule_of(const char *schedule, int64_t every)
{
    struct due_rule rule = {.every = every};
    struct error e;
    if (schedule && schedule_parse(schedule, &rule.schedule, &e) < 0)
        fail_msg("%s", e.message);
    return rule;
}

/* ---- one decision ---- */

/* The attempts take a minute each. */
static void test_decide(void **state)
{
    (void)state;
    static const struct {
        const char *schedule;
        int64_t every;
        const char *since, *last, *before, *now;
        bool passing, due;
        enum due_why why;
        const char *when;
    } cases[] = {
        /* what was never done waits for its first time */
        {"0 2 * * *", 0, "2026-03-02T12:00", NULL, NULL, "2026-03-02T12:00", false, false, DUE_IN_TIME,
         "2026-03-03T02:00"},
        {"0 2 * * *", 0, "2026-03-02T12:00", NULL, NULL, "2026-03-03T01:59", false, false, DUE_IN_TIME,
         "2026-03-03T02:00"},
        {"0 2 * * *", 0, "2026-03-02T12:00", NULL, NULL, "2026-03-03T02:00", false, true, DUE_IN_TIME,
         "2026-03-03T02:00"},
        {"0 2 * * *", 0, "2026-03-02T12:00", NULL, NULL, "2026-03-09T09:00", false, true, DUE_MISSED,
         "2026-03-03T02:00"},
        {NULL, 7 * DAY, "2026-03-02T12:00", NULL, NULL, "2026-03-09T11:59", false, false, DUE_IN_TIME,
         "2026-03-09T12:00"},
        {NULL, 7 * DAY, "2026-03-02T12:00", NULL, NULL, "2026-03-09T12:00", false, true, DUE_IN_TIME,
         "2026-03-09T12:00"},
        /* what was done at its time is done */
        {"0 2 * * *", 0, "2026-03-01T12:00", "2026-03-03T02:00", NULL, "2026-03-03T02:00", false, false, DUE_IN_TIME,
         "2026-03-04T02:00"},
        {"0 2 * * *", 0, "2026-03-01T12:00", "2026-03-03T02:01", NULL, "2026-03-03T05:00", false, false, DUE_IN_TIME,
         "2026-03-04T02:00"},
        /* missed ones once: after the one that caught up, it is the next time's turn */
        {"0 2 * * *", 0, "2026-03-01T12:00", "2026-03-03T02:00", NULL, "2026-03-10T09:00", false, true, DUE_MISSED,
         "2026-03-04T02:00"},
        {"0 2 * * *", 0, "2026-03-01T12:00", "2026-03-10T09:00", "2026-03-03T02:00", "2026-03-10T09:01", false, false,
         DUE_IN_TIME, "2026-03-11T02:00"},
        /* begun, and no record of it: not over and over */
        {"0 2 * * *", 0, "2026-03-04T02:00", "2026-03-03T02:00", NULL, "2026-03-04T02:05", false, false, DUE_IN_TIME,
         "2026-03-05T02:00"},
        /* failed in passing: once more, and then not before its time */
        {"0 2 * * *", 0, "2026-03-03T02:00", "2026-03-03T02:00", "2026-03-02T02:00", "2026-03-03T02:05", true, false,
         DUE_AGAIN, "2026-03-03T02:16"},
        {"0 2 * * *", 0, "2026-03-03T02:00", "2026-03-03T02:00", "2026-03-02T02:00", "2026-03-03T02:16", true, true,
         DUE_AGAIN, "2026-03-03T02:16"},
        {"0 2 * * *", 0, "2026-03-03T02:16", "2026-03-03T02:16", "2026-03-03T02:00", "2026-03-03T12:00", true, false,
         DUE_IN_TIME, "2026-03-04T02:00"},
        {"0 2 * * *", 0, "2026-03-03T02:16", "2026-03-03T02:00", "2026-03-02T02:00", "2026-03-03T12:00", true, false,
         DUE_IN_TIME, "2026-03-04T02:00"},
        {"0 2 * * *", 0, "2026-03-01T02:00", "2026-03-03T02:00", NULL, "2026-03-03T03:00", true, true, DUE_AGAIN,
         "2026-03-03T02:16"},
        /* one that was begun by hand, at no time of the schedule, is not tried again by itself */
        {"0 2 * * *", 0, "2026-03-01T02:00", "2026-03-03T14:00", "2026-03-03T02:00", "2026-03-03T15:00", true, false,
         DUE_IN_TIME, "2026-03-04T02:00"},
        /* its time comes before the second try */
        {"*/5 * * * *", 0, "2026-03-01T02:00", "2026-03-03T02:00", "2026-03-03T01:55", "2026-03-03T02:04", true, false,
         DUE_IN_TIME, "2026-03-03T02:05"},
        {NULL, 7 * DAY, "2026-02-01T12:00", "2026-03-03T02:00", "2026-02-24T02:00", "2026-03-03T02:20", true, true,
         DUE_AGAIN, "2026-03-03T02:16"},
        /* a clock that was put back a little: not again; by a lot: what it said counts for nothing, and it goes on */
        {"0 2 * * *", 0, "2026-03-03T02:00", "2026-03-03T02:00", "2026-03-02T02:00", "2026-03-03T01:59", false, false,
         DUE_IN_TIME, "2026-03-04T02:00"},
        {"0 2 * * *", 0, "2030-01-01T02:00", "2030-01-01T02:00", NULL, "2026-03-03T01:00", false, false, DUE_IN_TIME,
         "2026-03-03T02:00"},
        {"0 2 * * *", 0, "2026-03-02T02:00", "2030-01-01T02:00", NULL, "2026-03-03T02:00", false, true, DUE_IN_TIME,
         "2026-03-03T02:00"},
        {"0 2 * * *", 0, "2026-03-02T02:00", "2026-03-03T02:50", NULL, "2026-03-03T02:00", false, false, DUE_IN_TIME,
         "2026-03-04T02:00"},
        {"0 2 * * *", 0, "2026-03-02T02:00", "2026-03-03T03:10", NULL, "2026-03-03T02:00", false, true, DUE_IN_TIME,
         "2026-03-03T02:00"},
        /* by a lot, ahead: once */
        {"0 2 * * *", 0, "2026-03-02T02:00", "2026-03-02T02:00", NULL, "2036-03-03T02:00", false, true, DUE_MISSED,
         "2026-03-03T02:00"},
    };
    setenv("TZ", "Europe/Madrid", 1);
    tzset();
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct due_rule rule = rule_of(cases[i].schedule, cases[i].every);
        struct due_known known = {.since = at(cases[i].since)};
        known.last = (struct due_attempt){at(cases[i].last), cases[i].last ? at(cases[i].last) + MINUTE : NONE,
                                          cases[i].passing};
        known.before = (struct due_attempt){at(cases[i].before), NONE, false};
        struct due_decision d = due_decide(&rule, &known, at(cases[i].now));
        if (d.now != cases[i].due || d.why != cases[i].why || d.when != at(cases[i].when)) {
            char text[CLOCK_TEXT_MAX];
            fail_msg("case %zu: now %d, why %d, when %s", i, d.now, d.why, clock_format_shown(d.when, text));
        }
    }
}

/* A day of 23 hours, and one of 25. */
static void test_daylight_saving(void **state)
{
    (void)state;
    struct due_rule rule = rule_of("30 2 * * *", 0);
    struct due_known known = {
        .since = at("2026-03-28T02:30+01:00"), .last = {.began = NONE}, .before = {.began = NONE}};
    setenv("TZ", "Europe/Madrid", 1);
    tzset();
    struct due_decision d = due_decide(&rule, &known, at("2026-03-28T12:00"));
    assert_int_equal(d.when, at("2026-03-29T03:00+02:00"));
    known.since = d.when;
    d = due_decide(&rule, &known, at("2026-03-29T03:00+02:00"));
    assert_int_equal(d.when, at("2026-03-30T02:30+02:00"));
    known.since = at("2026-10-25T02:30+02:00");
    d = due_decide(&rule, &known, at("2026-10-25T02:30+01:00"));
    assert_int_equal(d.when, at("2026-10-26T02:30+01:00"));
    assert_false(d.now);
}

static void test_no_time_any_more(void **state)
{
    (void)state;
    struct due_rule rule = rule_of(NULL, INT64_MAX);
    struct due_known known = {.since = at("2026-03-01T00:00Z"), .last = {.began = NONE}, .before = {.began = NONE}};
    struct due_decision d = due_decide(&rule, &known, at("2026-03-01T00:00Z"));
    assert_int_equal(d.why, DUE_NEVER);
    assert_false(d.now);
}

/* ---- jitter ---- */

static struct config *parse(const char *text)
{
    struct config *config;
    struct error e;
    if (config_parse("x.conf", text, strlen(text), true, &config, &e) < 0)
        fail_msg("%s", e.message);
    return config;
}

static void test_jitter(void **state)
{
    (void)state;
    char text[512];
    unsigned quarters[4] = {0};
    setenv("TZ", "UTC", 1);
    tzset();
    for (unsigned i = 0; i < 400; i++) {
        int64_t next, again;
        struct due_rule rule;
        snprintf(text, sizeof text,
                 "[engine]\nhost = web%u\njitter = 1h\nstate_dir = /s\ncache_dir = /c\n[source s]\nplugin = directory\n"
                 "[sink d]\nplugin = local\nencryption = none\n[job j]\nsources = s\nsinks = d\nschedule = 0 2 * * *\n",
                 i);
        struct config *config = parse(text);
        assert_true(due_rule_of(config, &config->jobs[0], &rule));
        assert_true(rule.delay >= 0 && rule.delay < HOUR && rule.delay % DUE_SECOND == 0);
        assert_true(due_next(&rule, at("2026-03-01T12:00Z"), &next));
        assert_int_equal(next, at("2026-03-02T02:00Z") + rule.delay);
        assert_true(due_next(&rule, next - 1, &again) && again == next);
        assert_true(due_next(&rule, next, &again) && again == next + DAY);
        quarters[rule.delay / (15 * MINUTE)]++;
        config_free(config);
    }
    for (unsigned i = 0; i < 4; i++)
        assert_in_range(quarters[i], 60, 140);
}

/* ---- records and marks ---- */

#define NOW "2026-03-10T12:00Z"

struct place {
    char directory[64];
    struct config *config;
    struct due_marks marks;
    struct due_list list;
};

static const char configuration[] =
    "[engine]\nhost = h\nstate_dir = %s/state\ncache_dir = /c\n[source s]\nplugin = directory\n[source t]\nplugin = "
    "directory\n"
    "[sink d]\nplugin = local\nencryption = none\n[sink e]\nplugin = local\nencryption = none\ngc_every = 0\n"
    "[sink f]\nplugin = local\nencryption = none\n[sink u]\nplugin = local\nencryption = none\n"
    "[sink k]\nplugin = local\nkey = /nonexistent/key\n"
    "[job a]\nsources = s, t\nsinks = d, e\nschedule = 0 2 * * *\nverify_every = 7d\n"
    "[job b]\nsources = s\nsinks = f, k\nprune = manual\n[job b on f]\nprune = elsewhere\n";

static void look_again(struct place *p, int64_t now)
{
    struct error e;
    due_list_free(&p->list);
    due_marks_free(&p->marks);
    if (due_marks_load(p->config, &p->marks, &e) < 0 || due_look(p->config, &p->marks, now, &p->list, &e) < 0 ||
        due_marks_save(&p->marks, &e) < 0)
        fail_msg("%s", e.message);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    char text[2048], path[128];
    assert_non_null(p);
    setenv("TZ", "UTC", 1);
    tzset();
    snprintf(p->directory, sizeof p->directory, "/tmp/cofre-due-XXXXXX");
    assert_non_null(mkdtemp(p->directory));
    snprintf(path, sizeof path, "%s/state", p->directory);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(text, sizeof text, configuration, p->directory);
    p->config = parse(text);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    char command[128];
    snprintf(command, sizeof command, "rm -rf '%s'", p->directory);
    assert_int_equal(system(command), 0);
    due_list_free(&p->list);
    due_marks_free(&p->marks);
    config_free(p->config);
    free(p);
    return 0;
}

static const struct due_thing *find(const struct place *p, const char *name)
{
    char text[DUE_NAME_MAX];
    for (size_t i = 0; i < p->list.count; i++)
        if (strcmp(due_name(&p->list.items[i], text), name) == 0)
            return &p->list.items[i];
    fail_msg("'%s' is not there", name);
    return NULL;
}

/* members: JSON of what else the record says. */
static void record(const struct place *p, const char *job, const char *sink, const char *began, const char *members)
{
    static unsigned count;
    char id[32], from[CLOCK_TEXT_MAX], to[CLOCK_TEXT_MAX], directory[PATH_MAX];
    struct error e;
    json_t *all = json_object(), *more = json_loads(members, 0, NULL);
    assert_non_null(more);
    snprintf(id, sizeof id, "id-%u", ++count);
    json_t *common = json_pack("{s:s, s:s, s:s, s:s}", "id", id, "started", clock_format_exact(at(began), from),
                               "ended", clock_format_exact(at(began) + MINUTE, to), "status", "complete");
    assert_int_equal(json_object_update(all, common), 0);
    assert_int_equal(json_object_update(all, more), 0);
    if (records_directory(p->config, job, sink, directory, &e) < 0)
        fail_msg("%s", e.message);
    clock_set(at(began) + MINUTE);
    char command[PATH_MAX + 32];
    snprintf(command, sizeof command, "mkdir -p '%.4000s' && chmod -R go= '%s'", directory, p->directory);
    assert_int_equal(system(command), 0);
    if (records_append(directory, all, &e) < 0)
        fail_msg("%s", e.message);
    clock_release();
    json_decref(common);
    json_decref(more);
    json_decref(all);
}

/* Neither a job without a schedule, nor a sink that another machine collects, that no job stores to, whose gc is
 * switched off, or whose key is not there. */
static void test_which_things(void **state)
{
    struct place *p = *state;
    look_again(p, at(NOW));
    assert_int_equal(p->list.count, 3);
    assert_int_equal(find(p, "run a")->decision.when, at("2026-03-11T02:00Z"));
    assert_int_equal(find(p, "verify a")->decision.when, at("2026-03-17T12:00Z"));
    assert_int_equal(find(p, "gc d")->decision.when, at("2026-03-11T12:00Z"));
    /* the mark stays, and what is due comes first */
    look_again(p, at("2026-03-20T12:00Z"));
    assert_int_equal(find(p, "run a")->decision.when, at("2026-03-11T02:00Z"));
    assert_int_equal(find(p, "run a")->decision.why, DUE_MISSED);
    assert_ptr_equal(&p->list.items[0], find(p, "run a"));
    assert_ptr_equal(&p->list.items[1], find(p, "verify a"));
    assert_ptr_equal(&p->list.items[2], find(p, "gc d"));
}

/* What counts as an attempt at the whole. */
static void test_which_records(void **state)
{
    struct place *p = *state;
    look_again(p, at("2026-03-01T12:00Z"));
    record(p, "a", NULL, "2026-03-09T02:00Z", "{\"command\": \"run\", \"asked\": []}");
    record(p, "a", NULL, "2026-03-10T10:00Z", "{\"command\": \"run\", \"asked\": [\"s\"]}");
    record(p, "a", NULL, "2026-03-05T09:00Z",
           "{\"command\": \"verify\", \"quick\": false, \"sinks\": [{\"name\": \"d\"}, {\"name\": \"e\"}]}");
    record(p, "a", NULL, "2026-03-10T09:00Z",
           "{\"command\": \"verify\", \"quick\": false, \"sinks\": [{\"name\": \"d\"}]}");
    record(p, "a", NULL, "2026-03-10T09:10Z",
           "{\"command\": \"verify\", \"quick\": true, \"sinks\": [{\"name\": \"d\"}, {\"name\": \"e\"}]}");
    record(p, "a", NULL, "2026-03-10T09:20Z",
           "{\"command\": \"verify\", \"snapshot\": \"x\", \"sinks\": [{\"name\": \"d\"}, {\"name\": \"e\"}]}");
    record(p, NULL, "d", "2026-03-10T08:00Z", "{\"command\": \"gc\"}");
    look_again(p, at(NOW));
    assert_int_equal(find(p, "run a")->decision.when, at("2026-03-10T02:00Z"));
    assert_true(find(p, "run a")->decision.now);
    assert_int_equal(find(p, "verify a")->decision.when, at("2026-03-12T09:00Z"));
    assert_int_equal(find(p, "gc d")->decision.when, at("2026-03-11T08:00Z"));
}

/* What it recorded then hides nothing that was recorded before. */
static void test_a_clock_that_was_wrong(void **state)
{
    struct place *p = *state;
    look_again(p, at("2026-03-01T12:00Z"));
    record(p, "a", NULL, "2026-03-10T02:00Z", "{\"command\": \"run\"}");
    record(p, "a", NULL, "2030-01-01T02:00Z", "{\"command\": \"run\"}");
    look_again(p, at(NOW));
    assert_int_equal(find(p, "run a")->decision.when, at("2026-03-11T02:00Z"));
    /* nor does a mark */
    look_again(p, at("2030-01-01T12:00Z"));
    struct error e;
    assert_int_equal(due_mark(&p->marks, "run a", at("2030-01-01T12:00Z"), &e), 0);
    look_again(p, at("2026-03-12T12:00Z"));
    assert_int_equal(find(p, "run a")->decision.when, at("2026-03-13T02:00Z"));
}

static void test_which_failures_pass(void **state)
{
    struct place *p = *state;
    static const struct {
        const char *members;
        bool passing;
    } cases[] = {
        {"{\"command\": \"run\", \"status\": \"failed\", \"class\": \"retry\"}", true},
        {"{\"command\": \"run\", \"status\": \"failed\", \"class\": \"timeout\"}", true},
        {"{\"command\": \"run\", \"status\": \"failed\", \"class\": \"busy\"}", true},
        {"{\"command\": \"run\", \"status\": \"failed\", \"class\": \"cancelled\"}", true},
        {"{\"command\": \"run\", \"status\": \"killed\", \"class\": null}", true},
        {"{\"command\": \"run\", \"status\": \"failed\", \"class\": \"no space\"}", false},
        {"{\"command\": \"run\", \"status\": \"failed\", \"class\": \"config\"}", false},
        {"{\"command\": \"run\", \"status\": \"incomplete\", \"class\": null}", false},
        {"{\"command\": \"run\", \"status\": \"complete\", \"class\": null}", false},
    };
    look_again(p, at("2026-03-01T12:00Z"));
    for (size_t i = 0; i < COUNT(cases); i++) {
        char began[32];
        snprintf(began, sizeof began, "2026-03-%02zuT02:00Z", i + 2);
        record(p, "a", NULL, began, cases[i].members);
        look_again(p, at(began) + HOUR);
        if (find(p, "run a")->decision.now != cases[i].passing)
            fail_msg("%s", cases[i].members);
    }
}

static void test_marks(void **state)
{
    struct place *p = *state;
    struct error e;
    char path[128];
    look_again(p, at("2026-03-09T12:00Z"));
    look_again(p, at(NOW));
    assert_true(find(p, "run a")->decision.now);
    /* begun, with no record: not again; taken back: again */
    assert_int_equal(due_mark(&p->marks, "run a", at(NOW), &e), 0);
    struct due_thing begun = *find(p, "run a");
    look_again(p, at(NOW) + HOUR);
    assert_false(find(p, "run a")->decision.now);
    assert_int_equal(due_mark(&p->marks, "run a", begun.known.since, &e), 0);
    assert_int_equal(due_mark(&p->marks, "run gone", begun.known.since, &e), 0);
    look_again(p, at(NOW) + HOUR);
    assert_true(find(p, "run a")->decision.now);
    /* a schedule that was written later has missed nothing */
    free(p->config->jobs[0].schedule);
    p->config->jobs[0].schedule = strdup("0 11 * * *");
    look_again(p, at(NOW) + HOUR);
    assert_int_equal(find(p, "run a")->decision.when, at("2026-03-11T11:00Z"));
    /* damaged marks are made anew */
    snprintf(path, sizeof path, "%s/state/due", p->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("{\"things\": 7}", file);
    fclose(file);
    look_again(p, at("2026-03-20T12:00Z"));
    assert_int_equal(find(p, "run a")->decision.when, at("2026-03-21T11:00Z"));
    assert_int_equal(p->marks.looked, at("2026-03-20T12:00Z"));
    /* nothing is begun that cannot be noted */
    unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(due_mark(&p->marks, "run a", at(NOW), &e), -1);
    assert_non_null(strstr(e.message, "what is due cannot be begun"));
    assert_int_equal(rmdir(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide),
        cmocka_unit_test(test_daylight_saving),
        cmocka_unit_test(test_no_time_any_more),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test_setup_teardown(test_which_things, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_which_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_clock_that_was_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_which_failures_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_marks, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("job_due", tests, NULL, NULL);
}
