/* A gc that takes long. */
#include "snapshots.h"

#include "base/clock.h"
#include "format/vault.h"
#include "repository/gc.h"
#include "worker/sink.h"

#define HOUR_MS 3600000
#define READINGS 40 /* a gc reads less often */

/* How often many objects were read, and how long that takes each time. */
static int readings;
static int64_t takes;

int __real_sink_get_each(struct sink *sink, const char *keys, size_t n, size_t maximum, sink_got *got, void *context,
                         struct error *e);
int __wrap_sink_get_each(struct sink *sink, const char *keys, size_t n, size_t maximum, sink_got *got, void *context,
                         struct error *e);
int __wrap_sink_get_each(struct sink *sink, const char *keys, size_t n, size_t maximum, sink_got *got, void *context,
                         struct error *e)
{
    int result = __real_sink_get_each(sink, keys, n, maximum, got, context, e);
    if (++readings < READINGS)
        clock_advance(takes);
    return result;
}

static void on_told(void *context, const struct vault_garbage *garbage)
{
    *(struct vault_garbage *)context = *garbage;
}

/* What is needed takes longer to read than it may be relied on: it goes on all the same. */
static void test_reading_takes_hours(void **state)
{
    struct snapshots *s = *state;
    struct error e;
    const struct trial_file gone = {.path = "gone", .seed = 1, .length = 3000000},
                            stays = {.path = "stays", .seed = 2, .length = 3000000};
    char id[MANIFEST_ID_SIZE], key[201];
    struct vault_garbage told = {.host = NULL};
    struct vault_gc_result result;
    const struct vault_gc request = {.now = true};
    struct repository *r = trial_open(s->trial, "one", 1, "");
    snapshots_save(s, r, &stays, 1, id);
    snapshots_save(s, r, &gone, 1, id);
    snapshots_key(id, key);
    trial_remove(r, key);
    snprintf(key, sizeof key, "needs/%s/%s/%s", TRIAL_HOST, SNAPSHOTS_JOB, id);
    trial_remove(r, key);
    clock_set(clock_now());
    takes = 2 * HOUR_MS;
    int done = gc_run(r, &request, on_told, &told, &result, &e);
    clock_release();
    if (done < 0 || result.doubt.class != ERROR_NONE)
        fail_msg("gc: %s", done < 0 ? e.message : result.doubt.message);
    assert_int_equal(told.removed.objects, 1);
    assert_in_range(readings, 1, READINGS - 1);
    repository_close(r);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_setup_teardown(test_reading_takes_hours, snapshots_set_up, snapshots_tear_down),
    };
    return cmocka_run_group_tests_name("job/gc", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
