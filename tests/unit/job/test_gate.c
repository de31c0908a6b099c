/* The publish gate: what it compares with, taken from records and from manifests. What it makes of sizes is compared
 * with an oracle by tests/system. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "job/gate.h"
#include "job/gate_past.h"
#include "snapshot/manifest.h"

#define NOW INT64_C(1795000000000000000)

struct place {
    char directory[64], path[96];
    struct config_instance sources[2];
    const struct config_instance *list[2];
    struct config_job job;
    unsigned runs;
    struct gate *gate;
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    static char names[2][8] = {"tree", "db"}, plugin[] = "directory";
    assert_non_null(p);
    snprintf(p->directory, sizeof p->directory, "/tmp/cofre-gate-XXXXXX");
    assert_non_null(mkdtemp(p->directory));
    snprintf(p->path, sizeof p->path, "%s/records", p->directory);
    for (size_t i = 0; i < 2; i++) {
        p->sources[i] = (struct config_instance){.name = names[i], .plugin = plugin, .shrink = CONFIG_SHRINK_UNSET};
        p->list[i] = &p->sources[i];
    }
    p->job = (struct config_job){.sources = p->list, .source_count = 2, .shrink = CONFIG_SHRINK_UNSET};
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    gate_free(p->gate);
    unlink(p->path);
    rmdir(p->directory);
    free(p);
    return 0;
}

static json_t *row(const char *name, const char *status, int entries, const char *suspect)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:n, s:s?}", "name", name, "plugin", "directory", "plugin_version",
                     "1", "status", status, "entries", entries, "bytes", 10 * entries, "error", "suspect", suspect);
}

/* sources: taken; NULL = none. */
static void append(struct place *p, const char *command, const char *status, const char *id, json_t *sources)
{
    struct error e;
    char name[32], when[CLOCK_TEXT_MAX];
    snprintf(name, sizeof name, "record-%u", p->runs);
    clock_format_exact(NOW + p->runs++, when);
    json_t *record = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s?, s:o*}", "id", name, "command", command, "status",
                               status, "started", when, "ended", when, "snapshot", id, "sources", sources);
    assert_int_equal(records_append(p->directory, record, &e), 0);
    json_decref(record);
}

/* A run of both sources: so many entries of each; 0 = that one is missing. */
static void run(struct place *p, const char *id, int tree, int db, const char *suspect)
{
    append(p, "run", suspect ? "suspect" : "complete", id,
           json_pack("[o, o]", row("tree", tree ? "complete" : "missing", tree, suspect),
                     row("db", db ? "complete" : "missing", db, NULL)));
}

/* As "5 4 3": entries, the newest first. */
static void expect(struct place *p, const char *source, const char *wanted)
{
    struct error e;
    char got[128] = "";
    gate_free(p->gate);
    p->gate = NULL;
    assert_int_equal(gate_load(p->directory, &p->job, &p->gate, &e), 0);
    const struct gate_past *past = gate_past_of(p->gate, source);
    for (size_t i = 0; i < past->count; i++) {
        assert_int_equal(past->sizes[i].bytes, 10 * past->sizes[i].entries);
        snprintf(got + strlen(got), sizeof got - strlen(got), "%s%d", i ? " " : "", (int)past->sizes[i].entries);
    }
    assert_string_equal(got, wanted);
}

static void test_no_records(void **state)
{
    struct place *p = *state;
    expect(p, "tree", "");
    assert_false(gate_knows(p->gate));
    assert_true(gate_asks(p->gate));
}

/* A run goes on without them. */
static void test_records_that_cannot_be_read(void **state)
{
    struct place *p = *state;
    assert_int_equal(mkdir(p->path, 0700), 0);
    expect(p, "tree", "");
    assert_int_equal(rmdir(p->path), 0);
}

static void test_the_last_five(void **state)
{
    struct place *p = *state;
    for (int i = 1; i <= 7; i++)
        run(p, "id", i, i == 6 ? 0 : 10 * i, NULL);
    expect(p, "tree", "7 6 5 4 3");
    expect(p, "db", "70 50 40 30 20");
    assert_false(gate_asks(p->gate));
}

static void test_what_does_not_count(void **state)
{
    struct place *p = *state;
    run(p, "a", 1, 10, NULL);
    append(p, "run", "incomplete", "b", json_pack("[o]", row("tree", "incomplete", 2, NULL)));
    append(p, "run", "failed", NULL, NULL);
    append(p, "verify", "verified", "a", json_pack("[o]", row("tree", "complete", 3, NULL)));
    run(p, "c", 4, 40, "it shrank");
    json_t *other = row("tree", "complete", 5, NULL);
    json_object_set_new(other, "plugin", json_string("postgres"));
    append(p, "run", "complete", "d", json_pack("[o]", other));
    append(p, "run", "complete", "e", json_pack("[o]", row("renamed", "complete", 6, NULL)));
    append(p, "run", "partial", "f", json_pack("[o]", row("tree", "complete", 7, NULL)));
    expect(p, "tree", "7 1");
    expect(p, "db", "40 10");
}

/* What is older than it does not count any more. */
static void test_accepted_is_a_new_beginning(void **state)
{
    struct place *p = *state;
    run(p, "a", 100, 10, NULL);
    run(p, "b", 3, 10, "it shrank");
    run(p, "c", 2, 10, "it shrank");
    expect(p, "tree", "100");
    append(p, "accept", "failed", "c", NULL);
    expect(p, "tree", "100");
    append(p, "accept", "incomplete", "b", NULL);
    expect(p, "tree", "3");
    expect(p, "db", "10 10 10");
    run(p, "d", 4, 10, NULL);
    expect(p, "tree", "4 3");
    append(p, "accept", "complete", "c", NULL);
    expect(p, "tree", "4 2");
    /* Of which nothing was suspect: nothing begins with it. */
    append(p, "accept", "complete", "d", NULL);
    expect(p, "tree", "4 2");
}

static void learn(struct gate *gate, uint64_t entries, enum manifest_status status, const char *suspect, bool accepted)
{
    char name[] = "tree", plugin[] = "directory", why[64];
    snprintf(why, sizeof why, "%s", suspect ? suspect : "");
    struct manifest_source source = {.name = name,
                                     .plugin = plugin,
                                     .status = status,
                                     .suspect = suspect ? why : NULL,
                                     .entries = entries,
                                     .bytes = 10 * entries};
    const struct manifest m = {.sources = &source, .source_count = 1};
    struct error e;
    assert_int_equal(gate_learn(gate, &m, accepted, &e), 0);
}

static void test_manifests(void **state)
{
    struct place *p = *state;
    expect(p, "tree", "");
    learn(p->gate, 9, MANIFEST_COMPLETE, NULL, false);
    learn(p->gate, 8, MANIFEST_INCOMPLETE, NULL, false);
    learn(p->gate, 0, MANIFEST_MISSING, NULL, false);
    learn(p->gate, 7, MANIFEST_COMPLETE, "it shrank", false);
    learn(p->gate, 6, MANIFEST_INCOMPLETE, "it shrank", true);
    learn(p->gate, 5, MANIFEST_COMPLETE, NULL, false);
    const struct gate_past *past = gate_past_of(p->gate, "tree");
    assert_true(past->full && past->count == 2);
    assert_int_equal(past->sizes[0].entries, 9);
    assert_int_equal(past->sizes[1].entries, 6);
    assert_true(gate_knows(p->gate));
}

/* ---- parts ---- */

static void run_with_parts(struct place *p, const char *id, json_t *parts)
{
    json_t *one = row("tree", "complete", 100, NULL);
    char section[GATE_SECTION_MAX];
    const struct manifest_source none = {.options = NULL};
    assert_int_equal(json_object_set_new(one, "section", json_string(gate_section(&none, section))), 0);
    assert_int_equal(json_object_set_new(one, "parts", parts), 0);
    append(p, "run", "complete", id, json_pack("[o]", one));
}

static json_t *part(const char *name, int entries, int bytes)
{
    return json_pack("{s:s, s:i, s:i}", "name", name, "entries", entries, "bytes", bytes);
}

/* What the gate says of a source that has these. */
static void judge(struct place *p, struct manifest_part *parts, size_t count, const char *problem, const char *wanted)
{
    struct error e;
    char path[32], why[] = "it cannot be read";
    snprintf(path, sizeof path, "%s", problem ? problem : "");
    struct manifest_problem one = {.path = path, .error = why};
    struct manifest_source now = {.name = p->sources[0].name,
                                  .entries = 100,
                                  .bytes = 1000,
                                  .parts = parts,
                                  .part_count = count,
                                  .problems = &one,
                                  .problems_listed = problem ? 1 : 0};
    expect(p, "tree", "100 100 100");
    assert_int_equal(gate_look(p->gate, &p->sources[0], &now, 99, &e), 0);
    if (wanted)
        assert_non_null(now.suspect ? strstr(now.suspect, wanted) : NULL);
    else
        assert_null(now.suspect);
    free(now.suspect);
}

static void test_parts_from_records(void **state)
{
    struct place *p = *state;
    char shop[] = "shop", odd[] = "\xff\n", young[] = "new";
    for (int i = 0; i < 3; i++)
        run_with_parts(p, "id", json_pack("[o, o]", part("shop", 40, 400000), part("\\xff\\n", 1, 9)));
    struct manifest_part parts[] = {{shop, 40, 400000}, {odd, 1, 9}, {young, 1, 0}};
    judge(p, parts, 3, NULL, NULL);
    judge(p, parts, 1, NULL, "is not in it, and was before");
    judge(p, parts, 1, "\xff\n", NULL);
    judge(p, parts + 1, 1, NULL, "'shop' is not in it");
    judge(p, parts + 1, 1, "shop", NULL);
    judge(p, parts + 1, 1, "shop/cart", "'shop' is not in it");
    parts[0].bytes = 100000;
    judge(p, parts, 2, NULL, "'shop' shrank by 75 %");
    parts[0] = (struct manifest_part){shop, 1, 0};
    judge(p, parts, 2, NULL, "'shop' is empty");
    json_t *before[GATE_BEFORE];
    assert_int_equal(gate_parts_before(p->gate, "tree", "another", before), 0);
}

static void test_parts_from_manifests(void **state)
{
    struct place *p = *state;
    struct error e;
    char name[] = "tree", plugin[] = "directory", shop[] = "shop";
    struct manifest_part part = {shop, 4, 40};
    struct manifest_source source = {
        .name = name, .plugin = plugin, .entries = 5, .bytes = 50, .parts = &part, .part_count = 1};
    const struct manifest m = {.sources = &source, .source_count = 1};
    expect(p, "tree", "");
    assert_int_equal(gate_learn(p->gate, &m, false, &e), 0);
    char section[GATE_SECTION_MAX], other[GATE_SECTION_MAX], key[] = "path", value[] = "/x";
    json_t *before[GATE_BEFORE];
    assert_int_equal(gate_parts_before(p->gate, "tree", gate_section(&source, section), before), 1);
    const json_t *got = json_array_get(before[0], 0);
    struct manifest_pair pair = {key, value};
    source.options = &pair;
    source.option_count = 1;
    assert_string_not_equal(gate_section(&source, other), section);
    assert_string_equal(json_string_value(json_object_get(got, "name")), "shop");
    assert_int_equal(json_integer_value(json_object_get(got, "bytes")), 40);
}

/* What its section says wins over what the job's does. */
static void test_rules_of_a_source(void **state)
{
    struct place *p = *state;
    struct error e;
    run(p, "a", 100, 100, NULL);
    expect(p, "tree", "100");
    const struct {
        int64_t job, source, min_size, min_entries;
        bool suspect;
    } cases[] = {
        {CONFIG_SHRINK_UNSET, CONFIG_SHRINK_UNSET, 0, 0, true},
        {90, CONFIG_SHRINK_UNSET, 0, 0, false},
        {90, 20, 0, 0, true},
        {20, 0, 0, 0, false},
        {0, CONFIG_SHRINK_UNSET, 0, 0, false},
        {0, CONFIG_SHRINK_UNSET, 401, 0, true},
        {0, CONFIG_SHRINK_UNSET, 400, 39, false},
        {0, CONFIG_SHRINK_UNSET, 0, 40, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct manifest_source now = {.name = p->sources[0].name, .entries = 40, .bytes = 400};
        p->job.shrink = cases[i].job;
        p->sources[0].shrink = cases[i].source;
        p->sources[0].min_size = cases[i].min_size;
        p->sources[0].min_entries = cases[i].min_entries;
        assert_int_equal(gate_look(p->gate, &p->sources[0], &now, 39, &e), 0);
        if ((now.suspect != NULL) != cases[i].suspect)
            fail_msg("case %zu: %s", i, now.suspect ? now.suspect : "not suspect");
        free(now.suspect);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_records_that_cannot_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_last_five, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_does_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_accepted_is_a_new_beginning, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_manifests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parts_from_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_parts_from_manifests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rules_of_a_source, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
