/* What is remembered of what restores left: merged with what several processes name at the same time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "attempt/records.h"
#include "base/clock.h"
#include "base/error.h"
#include "config/config.h"
#include "job/leftover.h"
#include "worker/call.h"

#define SECOND INT64_C(1000000000) /* ns */

static char place[] = "/tmp/cofre-leftover-XXXXXX";
static struct config config = {.state_dir = place};

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(place) ? 0 : -1;
}

static int tear_down(void **state)
{
    char command[100];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", place);
    snprintf(place, sizeof place, "/tmp/cofre-leftover-XXXXXX");
    return system(command);
}

/* A worker that named these, ended by NULL. */
static struct worker *naming(const char *const *names)
{
    static struct worker w;
    static struct worker_leftover named[4];
    memset(&w, 0, sizeof w);
    w.leftovers = named;
    for (; *names; names++)
        named[w.leftover_count++] =
            (struct worker_leftover){.what = (char *)(uintptr_t)*names, .removal = (char *)(uintptr_t) "rm"};
    return &w;
}

#define NAMING(...) naming((const char *const[]){__VA_ARGS__, NULL})

/* All that is remembered, in one text; "?" = not known. */
static const char *remembered(void)
{
    static char text[8192];
    struct error e;
    json_t *list;
    text[0] = '\0';
    if (leftover_read(&config, "db", &list, &e) < 0)
        return "?";
    for (size_t i = 0; i < json_array_size(list); i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", records_text(json_array_get(list, i), "what"));
    json_decref(list);
    return text;
}

static void test_added_and_replaced(void **state)
{
    (void)state;
    assert_string_equal(remembered(), "");
    leftover_add(&config, "db", NAMING("a", "b"));
    leftover_add(&config, "db", NAMING("c", "b"));
    leftover_add(&config, "db", NAMING(NULL));
    leftover_add(&config, "other", NAMING("d"));
    assert_string_equal(remembered(), "a b c ");
    leftover_replace(&config, "db", NAMING("e", "b"), clock_now());
    assert_string_equal(remembered(), "b e ");
    leftover_replace(&config, "db", NAMING(NULL), clock_now());
    assert_string_equal(remembered(), "");
}

/* It was left while they looked; but not when the clock was wrong then. */
static void test_what_came_since_stays(void **state)
{
    (void)state;
    int64_t begun = clock_now();
    leftover_add(&config, "db", NAMING("a"));
    leftover_replace(&config, "db", NAMING("b"), begun);
    assert_string_equal(remembered(), "a b ");
    char path[200], when[CLOCK_TEXT_MAX];
    snprintf(path, sizeof path, "%s/leftovers/db", place);
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "[{\"what\": \"a\", \"removal\": \"rm\", \"since\": \"%s\"}]",
            clock_format_exact(clock_now() + 3600 * SECOND, when));
    assert_int_equal(fclose(file), 0);
    assert_string_equal(remembered(), "a ");
    leftover_replace(&config, "db", NAMING("b"), begun);
    assert_string_equal(remembered(), "b ");
}

static void name_some(int who)
{
    char name[32];
    for (int i = 0; i < 12; i++) {
        snprintf(name, sizeof name, "%d-%d", who, i);
        leftover_add(&config, "db", NAMING(name));
    }
    _exit(0);
}

static void test_at_the_same_time(void **state)
{
    (void)state;
    struct error e;
    json_t *list;
    for (int who = 0; who < 8; who++)
        if (fork() == 0)
            name_some(who);
    for (int status; wait(&status) > 0;)
        assert_int_equal(status, 0);
    assert_int_equal(leftover_read(&config, "db", &list, &e), 0);
    assert_int_equal(json_array_size(list), 8 * 12);
    json_decref(list);
}

/* As many as there is room for, whoever names them. */
static void test_full(void **state)
{
    (void)state;
    struct error e;
    char name[32];
    json_t *list;
    for (int i = 0; i < LEFTOVER_MAX + 3; i++) {
        snprintf(name, sizeof name, "%d", i);
        leftover_add(&config, "db", NAMING(name));
    }
    assert_int_equal(leftover_read(&config, "db", &list, &e), 0);
    assert_int_equal(json_array_size(list), LEFTOVER_MAX);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_added_and_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_came_since_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_at_the_same_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
