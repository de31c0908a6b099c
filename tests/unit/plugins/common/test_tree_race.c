/* A tree that changes, or is changed by somebody who means harm, while it is read. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

#define USE(f, state) struct fixture *f = *state

static void backup(struct fixture *f)
{
    if (fixture_backup(f, NULL) != COFRE_OK)
        fail_msg("%s", f->error.message);
    if (f->call.broken)
        fail_msg("%s", f->call.complaint);
}

static struct host_event *get(const struct fixture *f, const char *path)
{
    struct host_event *event = host_find(&f->call, path);
    if (!event)
        fail_msg("'%s' is not there", path);
    return event;
}

/* ---- changes in mid-work, made by the host's hook ---- */

struct change {
    const struct fixture *f;
    const char *command; /* run at each of the first `times` calls for the entry */
    const char *path;
    int times;
    bool at_entry; /* else at commit */
};

static void disturb(struct cofre_call *call)
{
    struct change *c = call->disturb_context;
    if (call->count == 0 || strcmp(call->events[call->count - 1].entry.path, c->path) != 0)
        return;
    if (call->is_open == c->at_entry || c->times <= 0)
        return;
    c->times--;
    fixture_shell(c->f, "%s", c->command);
}

static void change_during(struct fixture *f, struct change *c)
{
    c->f = f;
    f->call.disturb = disturb;
    f->call.disturb_context = c;
    backup(f);
}

static void test_grows_once(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir t; printf abc > t/f");
    fixture_set_path(f, "t");
    change_during(f, &(struct change){.command = "printf d >> t/f", .path = "f", .times = 1});
    assert_int_equal(get(f, "f")->result, COFRE_OK);
    assert_int_equal(get(f, "f")->restarts, 1);
    assert_int_equal(get(f, "f")->content_length, 4);
}

static void test_grows_for_ever(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir t; printf abc > t/f; touch t/g");
    fixture_set_path(f, "t");
    change_during(f, &(struct change){.command = "printf d >> t/f", .path = "f", .times = 100});
    assert_int_equal(get(f, "f")->result, COFRE_E_CHANGED);
    assert_int_equal(get(f, "f")->restarts, 2);
    assert_int_equal(get(f, "f")->content_length, 5);
    assert_int_equal(get(f, "g")->result, COFRE_OK);
}

static void test_shrinks(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir t; head -c 3000000 /dev/urandom > t/f");
    fixture_set_path(f, "t");
    change_during(f, &(struct change){.command = "truncate -s 100 t/f", .path = "f", .times = 1});
    assert_int_equal(get(f, "f")->result, COFRE_OK);
    assert_int_equal(get(f, "f")->restarts, 1);
    assert_int_equal(get(f, "f")->content_length, 100);
}

static void test_rewritten_in_place(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir t; printf abc > t/f; touch -d 2001-01-01 t/f");
    fixture_set_path(f, "t");
    /* Same size, same mtime: only the change time tells. */
    change_during(f, &(struct change){.command = "printf xyz > t/f; touch -d 2001-01-01 t/f", .path = "f", .times = 1});
    assert_int_equal(get(f, "f")->restarts, 1);
    assert_memory_equal(get(f, "f")->pieces[0].bytes, "xyz", 3);
}

static void test_vanishes(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir -p t/d/e; touch t/a t/b t/d/x; printf 1 > t/d/e/f");
    fixture_set_path(f, "t");
    change_during(f, &(struct change){.command = "rm -r t/b t/d", .path = "a", .times = 1, .at_entry = true});
    assert_int_equal(get(f, "a")->result, COFRE_OK);
    assert_int_equal(get(f, "b")->type, HOST_MISSING);
    assert_int_equal(get(f, "b")->result, COFRE_E_NOT_FOUND);
    assert_int_equal(get(f, "d")->result, COFRE_E_NOT_FOUND);
}

/* A directory that is moved to another place while its depths are read, so far down that it had been closed. */
static void test_moved_away(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir -p t/a; d=t/a; for i in $(seq 200); do d=$d/d; done; mkdir -p $d; touch $d/f t/a/z t/z;"
                     "d=t/a; for i in $(seq 10); do d=$d/d; touch $d/z; done");
    fixture_set_path(f, "t");
    char path[512] = "a";
    for (int i = 0; i < 200; i++)
        strcat(path, "/d");
    strcat(path, "/f");
    /* The fifth level leaves the tree: "..": the way up from the sixth leads elsewhere from the fourth on. */
    change_during(f, &(struct change){.command = "mv t/a/d/d/d/d moved", .path = path, .times = 1, .at_entry = true});
    assert_int_equal(get(f, "a/d/d/d/d/z")->result, COFRE_OK);
    assert_int_equal(get(f, "a/z")->result, COFRE_OK);
    assert_int_equal(get(f, "z")->result, COFRE_OK);
    assert_int_equal(get(f, "a/d/d/d/z")->result, COFRE_OK);
}

/* Two moves cut the way back altogether: what was not read yet is named, and the rest goes on. */
static void test_way_back_lost(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir -p t/a; d=t/a; for i in $(seq 200); do d=$d/d; done; mkdir -p $d; touch $d/f t/a/z t/z;"
                     "d=t/a; for i in $(seq 10); do d=$d/d; touch $d/z; done");
    fixture_set_path(f, "t");
    char path[512] = "a";
    for (int i = 0; i < 200; i++)
        strcat(path, "/d");
    strcat(path, "/f");
    change_during(f, &(struct change){
                         .command = "mv t/a/d/d/d/d one; mv t/a/d/d two", .path = path, .times = 1, .at_entry = true});
    assert_int_equal(get(f, "a/d/d/d/d/z")->result, COFRE_OK);
    assert_int_equal(get(f, "a/d/d/d/z")->type, HOST_MISSING);
    assert_int_equal(get(f, "a/d/d/d/z")->result, COFRE_E_CHANGED);
    assert_int_equal(get(f, "a/d/d/z")->result, COFRE_E_CHANGED);
    assert_int_equal(get(f, "a/d/z")->result, COFRE_OK);
    assert_int_equal(get(f, "z")->result, COFRE_OK);
}

/* ---- the race for a link ---- */

struct swapper {
    int dir;
    atomic_bool stop;
    const char *a, *b;
    unsigned long rounds;
};

static void *swap(void *p)
{
    struct swapper *s = p;
    while (!atomic_load(&s->stop)) {
        renameat2(s->dir, s->a, s->dir, s->b, RENAME_EXCHANGE);
        s->rounds++;
    }
    return NULL;
}

static bool holds_secret(const struct cofre_call *call)
{
    for (size_t i = 0; i < call->count; i++)
        for (size_t j = 0; j < call->events[i].piece_count; j++)
            if (memmem(call->events[i].pieces[j].bytes, call->events[i].pieces[j].length, "SECRET", 6))
                return true;
    return false;
}

/* Back up again and again while a and b change places; the secret outside must never come in, nothing may block. */
#define RACES 4000

static void race(struct fixture *f, const char *a, const char *b)
{
    pthread_t thread;
    struct swapper s = {.dir = open(fixture_path(f, "t"), O_RDONLY | O_DIRECTORY), .a = a, .b = b};
    fixture_set_path(f, "t");
    assert_int_equal(pthread_create(&thread, NULL, swap, &s), 0);
    bool leaked = false, broken = false;
    size_t told = 0;
    for (int i = 0; i < RACES && !leaked && !broken; i++) {
        int32_t status = fixture_backup(f, NULL);
        leaked = holds_secret(&f->call);
        broken = f->call.broken || status != COFRE_OK;
        told += f->call.count;
    }
    atomic_store(&s.stop, true);
    pthread_join(thread, NULL);
    close(s.dir);
    assert_false(leaked);
    assert_false(broken);
    assert_true(told > RACES);
    assert_true(s.rounds > 100);
}

static void test_race_for_a_file(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir t; echo SECRET > secret; echo fine > t/f; ln -s ../secret t/g");
    race(f, "f", "g");
}

static void test_race_for_a_directory(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir -p t/f outside; echo SECRET > outside/x; echo fine > t/f/x; ln -s ../outside t/g");
    race(f, "f", "g");
}

static void test_race_for_a_fifo(void **state)
{
    USE(f, state);
    fixture_shell(f, "mkdir t; echo fine > t/f; mkfifo t/g");
    race(f, "f", "g");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, fixture_begin, fixture_end)
    const struct CMUnitTest tests[] = {
        TEST(grows_once),         TEST(grows_for_ever),  TEST(shrinks),
        TEST(rewritten_in_place), TEST(vanishes),        TEST(moved_away),
        TEST(way_back_lost),      TEST(race_for_a_file), TEST(race_for_a_directory),
        TEST(race_for_a_fifo),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
