/* Holds of all kinds: durable before the call, undone after it, by a later start when need be. */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "attempt/hook.h"
#include "attempt/undo.h"
#include "attempt/undo_text.h"
#include "host/host.h"
#include "repository/seal.h"
#include "worker/engine.h"
#include "worker/source.h"

struct fixture {
    char directory[64], place[96], holds[96];
    struct config *config;
    struct engine engine;
    struct worker *worker;
};

/* So many attempts to take a lock find that somebody has it. */
static int taken;

int __real_flock(int fd, int how);
int __wrap_flock(int fd, int how);
int __wrap_flock(int fd, int how)
{
    if (how == (LOCK_EX | LOCK_NB) && taken > 0) {
        taken--;
        errno = EWOULDBLOCK;
        return -1;
    }
    return __real_flock(fd, how);
}

static int count(const char *directory)
{
    int n = 0;
    DIR *d = opendir(directory);
    for (const struct dirent *row = d ? readdir(d) : NULL; row; row = readdir(d))
        n += row->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static bool there(const struct fixture *f, const char *what, const char *id)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s-%s", f->place, what, id);
    return access(path, F_OK) == 0;
}

static int set_up(void **state)
{
    struct error e;
    struct fixture *f = calloc(1, sizeof *f);
    char text[512];
    assert_non_null(f);
    strcpy(f->directory, "/tmp/cofre-hold.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->place, sizeof f->place, "%s/app", f->directory);
    snprintf(f->holds, sizeof f->holds, "%s/state/holds", f->directory);
    assert_int_equal(mkdir(f->place, 0700), 0);
    int n = snprintf(text, sizeof text,
                     "[engine]\nstate_dir = %s/state\ncache_dir = %s/cache\nplugin_dir = %s\n"
                     "[source app]\nplugin = holding-source\nplace = %s\n",
                     f->directory, f->directory, TEST_PLUGINS, f->place);
    if (seal_init(&e) < 0 || config_parse("test.conf", text, (size_t)n, true, &f->config, &e) < 0)
        fail_msg("%s", e.message);
    f->engine = (struct engine){.config = f->config, .in_process = harness_in_process ? host_run : NULL};
    if (engine_open(&f->engine, &f->config->sources[0], PLUGIN_SOURCE, NULL, 0, &f->worker, &e) < 0)
        fail_msg("%s", e.message);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[96];
    worker_stop(f->worker);
    config_free(f->config);
    snprintf(command, sizeof command, "rm -rf '%s'", f->directory);
    int status = system(command);
    free(f);
    return status;
}

static struct undo *make(struct fixture *f, enum undo_what what)
{
    struct error e;
    struct undo *hold = NULL;
    struct undo_spec spec = {.what = what, .source = &f->config->sources[0], .job = "job"};
    if (undo_make(&f->engine, &spec, f->worker, &hold, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(count(f->holds), 1);
    assert_true(strlen(undo_id(hold)) <= 40);
    assert_int_equal(strspn(undo_id(hold), "abcdefghijklmnopqrstuvwxyz0123456789-"), strlen(undo_id(hold)));
    return hold;
}

static void test_freeze(void **state)
{
    struct fixture *f = *state;
    struct error e;
    struct undo *hold = make(f, UNDO_FREEZE);
    char id[64];
    strcpy(id, undo_id(hold));
    assert_int_equal(source_freeze(f->worker, id, &e), 0);
    assert_true(there(f, "frozen", id));
    assert_int_equal(undo_recover(&f->engine), 0); /* it is in use */
    assert_true(there(f, "frozen", id));
    assert_int_equal(undo_run(hold, f->worker, &e), 0);
    assert_false(there(f, "frozen", id));
    assert_int_equal(count(f->holds), 0);
    assert_int_equal(undo_run(NULL, f->worker, &e), 0);
}

static void test_scratch(void **state)
{
    struct fixture *f = *state;
    struct error e;
    struct undo *hold = make(f, UNDO_SCRATCH);
    char id[64], *overrides = NULL;
    strcpy(id, undo_id(hold));
    assert_int_equal(source_scratch_make(f->worker, id, &overrides, &e), 0);
    assert_memory_equal(overrides, "place=", 6);
    free(overrides);
    assert_true(there(f, "scratch", id));
    /* No worker: a fresh one. */
    assert_int_equal(undo_run(hold, NULL, &e), 0);
    assert_false(there(f, "scratch", id));
    assert_int_equal(count(f->holds), 0);
}

/* What it covers stays. */
static void test_release(void **state)
{
    struct fixture *f = *state;
    struct error e;
    struct undo *hold = make(f, UNDO_SERVICES);
    char id[64];
    strcpy(id, undo_id(hold));
    assert_int_equal(source_freeze(f->worker, id, &e), 0);
    assert_int_equal(undo_release(hold, &e), 0);
    assert_int_equal(count(f->holds), 0);
    assert_int_equal(undo_recover(&f->engine), 0);
    assert_true(there(f, "frozen", id));
}

/* As a killed run leaves it. */
static void leave(const struct fixture *f, const char *name, const char *text)
{
    char path[256];
    assert_true(mkdir(f->holds, 0700) == 0 || access(f->holds, F_OK) == 0);
    snprintf(path, sizeof path, "%s/%s", f->holds, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_recover(void **state)
{
    struct fixture *f = *state;
    char path[256];
    assert_int_equal(undo_recover(&f->engine), 0); /* no state at all */
    snprintf(path, sizeof path, "%s/state", f->directory);
    mkdir(path, 0700);
    snprintf(path, sizeof path, "%s/scratch-left", f->place);
    assert_int_equal(mkdir(path, 0700), 0);
    leave(f, "left",
          "{\"what\": \"scratch\", \"source\": \"app\", \"plugin\": \"holding-source\", \"job\": \"\", "
          "\"overrides\": []}");
    leave(f, "cofre-half.tmp", "{\"wh");
    assert_int_equal(undo_recover(&f->engine), 0);
    assert_false(there(f, "scratch", "left"));
    assert_int_equal(count(f->holds), 0);
}

/* Its owner was killed, and a child of that one lets go of it at any moment: between two looks, too. */
static void test_recover_what_is_let_go(void **state)
{
    struct fixture *f = *state;
    char path[256];
    snprintf(path, sizeof path, "%s/state", f->directory);
    mkdir(path, 0700);
    for (int looks = 1; looks <= 3; looks++) {
        snprintf(path, sizeof path, "%s/scratch-left", f->place);
        assert_int_equal(mkdir(path, 0700), 0);
        leave(f, "left",
              "{\"what\": \"scratch\", \"source\": \"app\", \"plugin\": \"holding-source\", \"job\": \"\", "
              "\"overrides\": []}");
        taken = looks;
        assert_int_equal(undo_recover_patiently(&f->engine, 60000), 0);
        assert_int_equal(taken, 0);
        assert_false(there(f, "scratch", "left"));
        assert_int_equal(count(f->holds), 0);
    }
}

static void test_recover_fails(void **state)
{
    struct fixture *f = *state;
    char path[256];
    snprintf(path, sizeof path, "%s/state", f->directory);
    mkdir(path, 0700);
    leave(f, "a", "{\"what\": \"freeze\", \"source\": \"gone\", \"plugin\": \"p\", \"job\": \"\", \"overrides\": []}");
    leave(f, "b", "{\"what\": \"freeze\", \"source\": \"app\", \"plugin\": \"p\", \"job\": \"\", \"overrides\": []}");
    leave(f, "c", "{\"what\": \"melt\", \"source\": \"app\", \"plugin\": \"p\", \"job\": \"\", \"overrides\": []}");
    leave(f, "d",
          "{\"what\": \"freeze\", \"source\": \"app\", \"plugin\": \"holding-source\", \"job\": \"\", "
          "\"overrides\": [\"plice=x\"]}");
    leave(f, "e", "");
    leave(f, "f",
          "{\"what\": \"hook\", \"source\": \"\", \"plugin\": \"\", \"job\": \"j\", \"overrides\": [], \"hook\": {}}");
    harness_log();
    assert_int_equal(undo_recover(&f->engine), 6);
    assert_int_equal(count(f->holds), 6);
    const char *log = harness_log();
    assert_non_null(strstr(log, "gone"));
    assert_non_null(strstr(log, "plice"));
}

static struct hook make_hook(const char *job)
{
    struct error e;
    struct hook hook;
    char name[16], program[] = "/bin/x", argument[] = "y";
    char *words[] = {program, argument, NULL};
    struct config_job of = {.name = name, .hook_timeout = 1000};
    snprintf(name, sizeof name, "%s", job);
    of.hooks[CONFIG_AFTER] = (struct config_hook){.words = words, .word_count = 2};
    assert_int_equal(hook_make(&of, CONFIG_AFTER, json_pack("{s:s}", "status", "killed"), &hook, &e), 0);
    return hook;
}

/* Written down whole; one of a job at a time. */
static void test_hook(void **state)
{
    struct fixture *f = *state;
    struct error e;
    struct undo *hold, *other;
    struct undo_text text;
    char path[256], what[UNDO_TEXT_WHAT];
    struct hook hook = make_hook("job"), another = make_hook("another");
    assert_int_equal(undo_make_hook(&f->engine, &hook, &hold, &e), 0);
    snprintf(path, sizeof path, "%s/%s", f->holds, undo_id(hold));
    assert_int_equal(undo_text_read(path, &text, &e), 0);
    assert_int_equal(text.what, UNDO_HOOK);
    assert_string_equal(text.hook->words[1], "y");
    assert_true(json_equal(text.hook->record, hook.record));
    assert_string_equal(undo_text_name(&text, what), "hook 'after' of job 'job'");
    undo_text_free(&text);
    assert_int_equal(undo_make_hook(&f->engine, &hook, &other, &e), -1);
    assert_int_equal(e.class, ERROR_BUSY);
    assert_non_null(strstr(e.message, undo_id(hold)));
    assert_int_equal(undo_make_hook(&f->engine, &another, &other, &e), 0);
    assert_int_equal(undo_recover(&f->engine), 0); /* both are in use */
    assert_int_equal(count(f->holds), 2);
    assert_int_equal(undo_release(hold, &e), 0);
    assert_int_equal(undo_make_hook(&f->engine, &hook, &hold, &e), 0);
    assert_int_equal(undo_release(hold, &e), 0);
    assert_int_equal(undo_release(other, &e), 0);
    hook_free(&hook);
    hook_free(&another);
}

static int tests(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test_setup_teardown(test_freeze, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_scratch, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_release, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_recover, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_recover_what_is_let_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_recover_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hook, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("hold", all, NULL, NULL);
}

int main(int argc, char **argv)
{
    return harness_main(argc, argv, tests);
}
