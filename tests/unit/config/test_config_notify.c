/* Who is told what: [notify NAME], and notify and escalate of [engine] and of jobs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "config/config.h"

#define REST "[source s]\nplugin = directory\n[sink d]\nplugin = local\nencryption = none\n"
#define JOB "[job j]\nsources = s\nsinks = d\n"
#define JOB2 "[job l]\nsources = s\nsinks = d\nescalate = 1h: ops\n"
#define OPS "[notify ops]\nplugin = mail\n"
#define BOSS "[notify boss]\nplugin = mail\n"

static int parse(const char *text, struct config **c, struct error *e)
{
    return config_parse("x.conf", text, strlen(text), true, c, e);
}

static void test_defaults(void **state)
{
    (void)state;
    struct config *c;
    struct error e;
    assert_int_equal(parse(REST JOB OPS "to = a\n", &c, &e), 0);
    const struct config_instance *ops = &c->notifiers[0];
    assert_int_equal(c->notifier_count, 1);
    assert_int_equal(ops->role, PLUGIN_NOTIFIER);
    assert_int_equal(ops->on, 1u << CONFIG_FAILURE | 1u << CONFIG_INCOMPLETE | 1u << CONFIG_SUSPECT |
                                  1u << CONFIG_STALE | 1u << CONFIG_RECOVERED | 1u << CONFIG_SPACE |
                                  1u << CONFIG_KEY_EXPIRY);
    assert_int_equal(ops->remind, 86400000);
    assert_int_equal(ops->timeout, 60000);
    assert_int_equal(ops->retry_for, 30000);
    assert_int_equal(ops->key_count, 1);
    assert_int_equal(c->jobs[0].notify.count, 0);
    assert_null(c->jobs[0].notify.later);
    config_free(c);
}

/* Wherever the sections stand; what a job says is instead of what [engine] says, each by itself. */
static void test_who(void **state)
{
    (void)state;
    struct config *c;
    struct error e;
    assert_int_equal(parse(REST JOB "[job k]\nsources = s\nsinks = d\nnotify = boss, ops\n" JOB2
                                    "[engine]\nnotify = ops\nescalate = 24h: boss\n" OPS
                                    "on = success, removed\nremind = 0\n" BOSS,
                           &c, &e),
                     0);
    const struct config_instance *ops = &c->notifiers[0], *boss = &c->notifiers[1];
    assert_int_equal(ops->on, 1u << CONFIG_SUCCESS | 1u << CONFIG_REMOVED);
    assert_int_equal(ops->remind, 0);
    const struct config_notify *j = &c->jobs[0].notify, *k = &c->jobs[1].notify, *l = &c->jobs[2].notify;
    assert_int_equal(j->count, 1);
    assert_ptr_equal(j->to[0], ops);
    assert_ptr_equal(j->later, boss);
    assert_int_equal(j->after, 86400000);
    assert_int_equal(k->count, 2);
    assert_ptr_equal(k->to[0], boss);
    assert_ptr_equal(k->later, boss);
    assert_int_equal(l->count, 1);
    assert_ptr_equal(l->later, ops);
    assert_int_equal(l->after, 3600000);
    config_free(c);
}

static void test_bad(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message, *hint;
    } cases[] = {
        {OPS "on = failures", "x.conf:3: 'on': there is no event 'failures'", "did you mean 'failure'?"},
        {OPS "remind = daily", "x.conf:3: 'remind': 'daily' is no duration", ""},
        {OPS "key = /k", "x.conf:3: unknown key 'key' in [notify ops]", "belongs into [sink NAME]"},
        {OPS "timeout = 0", "x.conf:3: 'timeout': '0' is not between 1", ""},
        {"[engine]\nnotify = ops", "x.conf:2: [engine]: 'notify': there is no [notify ops]", ""},
        {OPS "[engine]\nnotify = opps", "x.conf:4: [engine]: 'notify': there is no [notify opps]",
         "did you mean 'ops'?"},
        {REST OPS "[job j]\nsources = s\nsinks = d\nnotify = opps",
         "x.conf:11: [job j]: 'notify': there is no [notify opps]", "did you mean 'ops'?"},
        {OPS "[engine]\nescalate = ops", "x.conf:4: 'escalate': it must be a time and a notifier", ""},
        {OPS "[engine]\nescalate = soon: ops", "x.conf:4: 'escalate': it must be a time and a notifier", ""},
        {OPS "[engine]\nescalate = 1d: op", "x.conf:4: [engine]: 'escalate': there is no [notify op]", "'ops'"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct config *c;
        struct error e = {.class = ERROR_NONE};
        if (parse(cases[i].text, &c, &e) == 0)
            fail_msg("row %zu is taken", i);
        if (e.class != ERROR_CONFIG || !strstr(e.message, cases[i].message) || !strstr(e.hint, cases[i].hint))
            fail_msg("row %zu: '%s' (%s)", i, e.message, e.hint);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_who),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
