/* A private server for a trial restore: made, used, dropped, and dropped again; also by another worker. */
#include "harness.h"

#include <dirent.h>
#include <unistd.h>

#include "attempt/undo.h"
#include "repository/seal.h"
#include "worker/engine.h"
#include "worker/source.h"

static char directory[64];
static struct config *config;
static struct engine engine;

static int set_up(void **state)
{
    char text[512];
    struct error e;
    (void)state;
    strcpy(directory, "/tmp/cofre-redis.XXXXXX");
    assert_non_null(mkdtemp(directory));
    int n = snprintf(text, sizeof text,
                     "[engine]\nstate_dir = %s/s\ncache_dir = %s/c\nplugin_dir = %s\n"
                     "[source app]\nplugin = redis\nport = 1\nuser = someone\npassword = %s\n",
                     directory, directory, TEST_PLUGINS, SECRET);
    if (seal_init(&e) < 0 || config_parse("test.conf", text, (size_t)n, true, &config, &e) < 0)
        fail_msg("%s", e.message);
    engine = (struct engine){.config = config};
    return 0;
}

static int tear_down(void **state)
{
    char command[96];
    (void)state;
    config_free(config);
    snprintf(command, sizeof command, "rm -rf '%s'", directory);
    return system(command);
}

static struct worker *open_worker(char *override)
{
    struct error e;
    struct worker *w = NULL;
    if (engine_open(&engine, &config->sources[0], PLUGIN_SOURCE, &override, override ? 1 : 0, &w, &e) < 0)
        fail_msg("%s", e.message);
    return w;
}

static void on_fact(void *context, const char *key, const char *value)
{
    if (strcmp(key, "redis.version") == 0 && value[0] != '\0')
        *(bool *)context = true;
}

static bool answers(char *override)
{
    struct error e;
    bool said = false;
    struct worker *w = open_worker(override);
    bool worked = source_facts(w, on_fact, &said, &e) == 0;
    worker_stop(w);
    return worked && said;
}

static int left(void)
{
    char path[128];
    int n = 0;
    snprintf(path, sizeof path, "%s/s/sources/app", directory);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (const struct dirent *row = readdir(d); row; row = readdir(d))
        n += row->d_name[0] != '.';
    closedir(d);
    return n;
}

static void test_scratch(void **state)
{
    (void)state;
    struct error e;
    struct undo *hold = NULL;
    char id[64], *overrides = NULL;
    struct undo_spec spec = {.what = UNDO_SCRATCH, .source = &config->sources[0]};
    struct worker *w = open_worker(NULL);
    assert_int_equal(undo_make(&engine, &spec, w, &hold, &e), 0);
    strcpy(id, undo_id(hold));
    if (source_scratch_make(w, id, &overrides, &e) < 0)
        fail_msg("%s", e.message);
    worker_stop(w);
    /* It outlives the worker that made it, and takes the same user and password. */
    assert_memory_equal(overrides, "socket=", 7);
    overrides[strcspn(overrides, "\n")] = '\0';
    assert_true(answers(overrides));
    assert_int_equal(undo_run(hold, NULL, &e), 0);
    assert_false(answers(overrides));
    assert_int_equal(left(), 0);
    free(overrides);
    w = open_worker(NULL);
    assert_int_equal(source_scratch_drop(w, id, &e), 0);
    worker_stop(w);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {cmocka_unit_test_setup_teardown(test_scratch, set_up, tear_down)};
    return cmocka_run_group_tests_name("redis_scratch", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
