/* What a plugin may say of itself: options whose flags mean something, capabilities, and structs of other levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "host/describe.h"
#include "host/levels.h"

struct conf {
    const char *text;
    int64_t number, other;
    int32_t yes;
    struct cofre_list list;
    uint64_t more; /* as if the list were longer: of a later level */
    struct cofre_secret secret;
};

/* Never called: describe_plugin looks at the addresses alone. */
static int32_t do_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call, (void)conf, (void)instance, (void)error;
    return COFRE_OK;
}

static void do_close(void *instance)
{
    (void)instance;
}

static int32_t do_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    (void)instance, (void)call, (void)depth, (void)error;
    return COFRE_OK;
}

static int32_t do_run(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    (void)instance, (void)call, (void)error;
    return COFRE_OK;
}

static int32_t do_put(void *instance, struct cofre_call *call, const char *key, const struct cofre_put *put,
                      struct cofre_error *error)
{
    (void)instance, (void)call, (void)key, (void)put, (void)error;
    return COFRE_OK;
}

static int32_t do_get(void *instance, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                      struct cofre_error *error)
{
    (void)instance, (void)call, (void)key, (void)offset, (void)length, (void)error;
    return COFRE_OK;
}

static int32_t do_stat(void *instance, struct cofre_call *call, const char *key, struct cofre_object *object,
                       struct cofre_error *error)
{
    (void)instance, (void)call, (void)key, (void)object, (void)error;
    return COFRE_OK;
}

static int32_t do_list(void *instance, struct cofre_call *call, const char *prefix, const void *cursor, size_t length,
                       struct cofre_error *error)
{
    (void)instance, (void)call, (void)prefix, (void)cursor, (void)length, (void)error;
    return COFRE_OK;
}

static int32_t do_remove(void *instance, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    (void)instance, (void)call, (void)key, (void)error;
    return COFRE_OK;
}

static int32_t do_retain(void *instance, struct cofre_call *call, const char *key, int64_t until,
                         struct cofre_error *error)
{
    (void)instance, (void)call, (void)key, (void)until, (void)error;
    return COFRE_OK;
}

static int32_t do_notify(void *instance, struct cofre_call *call, const struct cofre_event *event,
                         struct cofre_error *error)
{
    (void)instance, (void)call, (void)event, (void)error;
    return COFRE_OK;
}

/* A plugin of a later level: its tables have more at the end than this host knows. */
struct later {
    struct cofre_source source;
    uint64_t source_more;
    struct cofre_sink sink;
    uint64_t sink_more;
    struct cofre_notifier notifier;
    uint64_t notifier_more;
    struct cofre_plugin plugin;
    uint64_t plugin_more;
};

static struct later make(int role, const struct cofre_option *rows, uint32_t count)
{
    struct later l = {
        .source_more = UINT64_MAX, .sink_more = UINT64_MAX, .notifier_more = UINT64_MAX, .plugin_more = UINT64_MAX};
    l.source = (struct cofre_source){.struct_size = sizeof l.source,
                                     .open = do_open,
                                     .close = do_close,
                                     .check = do_check,
                                     .backup = do_run,
                                     .restore = do_run};
    l.sink = (struct cofre_sink){.struct_size = sizeof l.sink,
                                 .open = do_open,
                                 .close = do_close,
                                 .check = do_check,
                                 .put = do_put,
                                 .get = do_get,
                                 .stat = do_stat,
                                 .list = do_list,
                                 .remove = do_remove,
                                 .retain = role == PLUGIN_SINK ? do_retain : NULL};
    l.notifier = (struct cofre_notifier){
        .struct_size = sizeof l.notifier, .open = do_open, .close = do_close, .check = do_check, .notify = do_notify};
    l.plugin = (struct cofre_plugin){.struct_size = sizeof l.plugin,
                                     .api_level = COFRE_API_LEVEL,
                                     .name = "test",
                                     .options = {rows, count, sizeof *rows, sizeof(struct conf), 0}};
    return l;
}

static int describe(struct later *l, int role, struct describe *d, struct error *e)
{
    l->plugin.source = role == PLUGIN_SOURCE ? &l->source : NULL;
    l->plugin.sink = role == PLUGIN_SINK ? &l->sink : NULL;
    l->plugin.notifier = role == PLUGIN_NOTIFIER ? &l->notifier : NULL;
    *e = (struct error){.class = ERROR_NONE};
    return describe_plugin(&l->plugin, "/test.so", "test", d, e);
}

#define TEXT(flags) COFRE_OPTION(struct conf, text, STRING, flags, NULL, "a text")
#define PATH(flags) COFRE_OPTION(struct conf, text, PATH, flags, NULL, "a path")
#define NUMBER(flags) COFRE_OPTION(struct conf, number, INTEGER, flags, "3", "a number")
#define SPAN(flags) COFRE_OPTION(struct conf, number, DURATION, flags, "3s", "a duration")
#define OTHER(flags) COFRE_OPTION(struct conf, other, INTEGER, flags, NULL, "another number")
#define PLACE(member, kind)                                                                                            \
    .type = (kind), .offset = (uint32_t)offsetof(struct conf, member),                                                 \
    .size = (uint32_t)sizeof(((struct conf *)0)->member)
#define ROW(member, kind) .help = "of the table below", PLACE(member, kind)
#define YES(flags) COFRE_OPTION(struct conf, yes, BOOLEAN, flags, "no", "yes or no")

static const struct {
    int role;
    struct cofre_option rows[2];
    uint32_t count;
    const char *fault; /* NULL = it is fine */
} options[] = {
    {PLUGIN_SINK, {NUMBER(COFRE_O_PARALLEL)}, 1, NULL},
    {PLUGIN_SINK, {SPAN(COFRE_O_PROTECT)}, 1, NULL},
    {PLUGIN_SOURCE, {YES(COFRE_O_REPLACE | COFRE_O_RESTORE)}, 1, NULL},
    {PLUGIN_SINK, {TEXT(COFRE_O_PARALLEL)}, 1, "option 'text' is no number of a sink"},
    {PLUGIN_SOURCE, {NUMBER(COFRE_O_PARALLEL)}, 1, "option 'number' is no number of a sink"},
    {PLUGIN_SINK, {NUMBER(COFRE_O_PROTECT)}, 1, "option 'number' is no duration of a sink"},
    {PLUGIN_SINK, {YES(COFRE_O_REPLACE | COFRE_O_RESTORE)}, 1, "option 'yes' is no yes or no of a source"},
    {PLUGIN_SOURCE, {NUMBER(COFRE_O_REPLACE | COFRE_O_RESTORE)}, 1, "option 'number' is no yes or no of a source"},
    {PLUGIN_SOURCE,
     {YES(COFRE_O_REPLACE)},
     1,
     "option 'yes' allows to replace, and so must be free to be set at restore"},
    {PLUGIN_SINK,
     {NUMBER(COFRE_O_PARALLEL), OTHER(COFRE_O_PARALLEL)},
     2,
     "option 'other' has a flag that another one has"},
    {PLUGIN_SINK, {NUMBER(COFRE_O_PARALLEL), OTHER(0)}, 2, NULL},
    {PLUGIN_SINK, {PATH(COFRE_O_TRUSTED)}, 1, NULL},
    {PLUGIN_SOURCE, {PATH(COFRE_O_TRUSTED | COFRE_O_RESTORE)}, 1, NULL},
    {PLUGIN_SINK, {TEXT(COFRE_O_TRUSTED)}, 1, "option 'text' is no path"},
    {PLUGIN_NOTIFIER, {PATH(COFRE_O_TRUSTED)}, 1, NULL},
    {PLUGIN_NOTIFIER, {NUMBER(COFRE_O_PARALLEL)}, 1, "option 'number' is no number of a sink"},
    {PLUGIN_NOTIFIER,
     {{.name = "remind", ROW(number, COFRE_DURATION)}},
     1,
     "option 'remind' has a name that is reserved"},
    {PLUGIN_SINK, {TEXT(1u << 20)}, 1, "option 'text' has unknown flags"},
    {PLUGIN_SINK, {NUMBER(0), NUMBER(0)}, 2, "option 'number' is declared twice"},
    {PLUGIN_SOURCE, {{.name = "plugin", ROW(text, COFRE_STRING)}}, 1, "option 'plugin' has a name that is reserved"},
    {PLUGIN_SOURCE, {{.name = "Text", ROW(text, COFRE_STRING)}}, 1, "option 1 has no valid name"},
    {PLUGIN_SOURCE, {{.name = NULL, ROW(text, COFRE_STRING)}}, 1, "option 1 has no valid name"},
    {PLUGIN_SOURCE, {{.name = "text", ROW(text, COFRE_SECRET + 1)}}, 1, "option 'text' is of an unknown type"},
    {PLUGIN_SOURCE, {{.name = "text", ROW(number, COFRE_BOOLEAN)}}, 1, "option 'text' has a member of another size"},
    {PLUGIN_SOURCE, {{.name = "text", .help = "", PLACE(text, COFRE_STRING)}}, 1, "option 'text' has no help"},
    {PLUGIN_SOURCE,
     {{.name = "text", .choices = "a|b", ROW(text, COFRE_STRING)}},
     1,
     "has choices without being a choice"},
    {PLUGIN_SOURCE, {{.name = "yes", ROW(yes, COFRE_CHOICE)}}, 1, "or is a choice without them"},
    {PLUGIN_SOURCE, {{.name = "n", .minimum = 2, .maximum = 1, ROW(number, COFRE_INTEGER)}}, 1, "has a minimum above"},
    {PLUGIN_SOURCE,
     {{.name = "n", .maximum = 9, .fallback = "x", ROW(number, COFRE_INTEGER)}},
     1,
     "default of option 'n': "},
    {PLUGIN_SOURCE,
     {{.name = "s", .fallback = "x", ROW(secret, COFRE_SECRET)}},
     1,
     "option 's' has a secret as its default"},
};

static void test_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        struct later l = make(options[i].role, options[i].rows, options[i].count);
        struct describe d;
        struct error e;
        int result = describe(&l, options[i].role, &d, &e);
        if (options[i].fault ? result == 0 || !strstr(e.message, options[i].fault) : result < 0)
            fail_msg("row %zu: %d, '%s' instead of '%s'", i, result, e.message, options[i].fault);
        describe_free(&d);
    }
}

static void test_protection_needs_retain(void **state)
{
    (void)state;
    const struct cofre_option rows[] = {SPAN(COFRE_O_PROTECT)};
    struct later l = make(PLUGIN_SINK, rows, 1);
    struct describe d;
    struct error e;
    l.sink.retain = NULL;
    assert_int_equal(describe(&l, PLUGIN_SINK, &d, &e), -1);
    assert_non_null(strstr(e.message, "option 'number' protects, but the sink has no retain"));
    describe_free(&d);
}

/* The low half is advice; the high half is not. */
static void test_capabilities(void **state)
{
    (void)state;
    for (int role = PLUGIN_SOURCE; role <= PLUGIN_NOTIFIER; role++) {
        struct later l = make(role, NULL, 0);
        struct describe d;
        struct error e;
        l.source.capabilities = l.sink.capabilities = l.notifier.capabilities = UINT64_C(1) << 31;
        if (describe(&l, role, &d, &e) < 0)
            fail_msg("%s", e.message);
        describe_free(&d);
        l.source.capabilities = l.sink.capabilities = l.notifier.capabilities = UINT64_C(1) << 32;
        assert_int_equal(describe(&l, role, &d, &e), -1);
        assert_non_null(strstr(e.message, "a capability that this version of cofre does not know"));
        describe_free(&d);
    }
}

/* Longer structs are cut to what is known, shorter ones are no structs of any level that is taken. */
static void test_levels(void **state)
{
    (void)state;
    for (int role = PLUGIN_SOURCE; role <= PLUGIN_NOTIFIER; role++) {
        struct later l = make(role, NULL, 0);
        struct describe d;
        struct error e;
        l.plugin.api_level = COFRE_ABI_LEVEL + 1;
        l.plugin.struct_size += 8;
        l.source.struct_size += 8;
        l.sink.struct_size += 8;
        l.notifier.struct_size += 8;
        if (describe(&l, role, &d, &e) < 0)
            fail_msg("%s", e.message);
        describe_free(&d);
        l.source.struct_size = LEVELS_SOURCE - 1;
        l.sink.struct_size = LEVELS_SINK - 1;
        l.notifier.struct_size = LEVELS_NOTIFIER - 1;
        assert_int_equal(describe(&l, role, &d, &e), -1);
        assert_non_null(strstr(e.message, "smaller than that of its level"));
        describe_free(&d);
        l.plugin.struct_size = LEVELS_PLUGIN - 1;
        assert_int_equal(describe(&l, role, &d, &e), -1);
        assert_non_null(strstr(e.message, "its description is smaller than that of its level"));
        describe_free(&d);
        l.plugin.api_level = 1;
        assert_int_equal(describe(&l, role, &d, &e), -1);
        assert_non_null(strstr(e.message, "was written for level 1, this cofre takes 2 to"));
        describe_free(&d);
    }
}

static void test_longer_lists(void **state)
{
    (void)state;
    struct cofre_option row = COFRE_OPTION(struct conf, list, LIST, 0, NULL, "a list");
    struct describe d;
    struct error e;
    row.size += 8;
    struct later l = make(PLUGIN_SOURCE, &row, 1);
    if (describe(&l, PLUGIN_SOURCE, &d, &e) < 0)
        fail_msg("%s", e.message);
    describe_free(&d);
    row.size = LEVELS_LIST - 1;
    assert_int_equal(describe(&l, PLUGIN_SOURCE, &d, &e), -1);
    assert_non_null(strstr(e.message, "option 'list' has a member of another size than its type"));
    describe_free(&d);
}

/* What a role does not go without. */
static void test_roles(void **state)
{
    (void)state;
    static const struct {
        int role;
        size_t offset; /* of the function that is taken out of the table */
        const char *fault;
    } needed[] = {
        {PLUGIN_SOURCE, offsetof(struct cofre_source, open), "a source needs open, close, check, backup and restore"},
        {PLUGIN_SOURCE, offsetof(struct cofre_source, restore),
         "a source needs open, close, check, backup and restore"},
        {PLUGIN_SOURCE, offsetof(struct cofre_source, thaw), "freeze needs thaw"},
        {PLUGIN_SOURCE, offsetof(struct cofre_source, scratch_drop), "scratch_make and scratch_drop come together"},
        {PLUGIN_SINK, offsetof(struct cofre_sink, put),
         "a sink needs open, close, check, put, get, stat, list and remove"},
        {PLUGIN_SINK, offsetof(struct cofre_sink, remove),
         "a sink needs open, close, check, put, get, stat, list and remove"},
        {PLUGIN_NOTIFIER, offsetof(struct cofre_notifier, check), "a notifier needs open, close, check and notify"},
        {PLUGIN_NOTIFIER, offsetof(struct cofre_notifier, notify), "a notifier needs open, close, check and notify"},
    };
    for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
        struct later l = make(needed[i].role, NULL, 0);
        struct describe d;
        struct error e;
        /* Never called, so that of which type they are is all the same. */
        memcpy(&l.source.freeze, &(void (*)(void *)){do_close}, sizeof l.source.freeze);
        memcpy(&l.source.thaw, &(void (*)(void *)){do_close}, sizeof l.source.thaw);
        memcpy(&l.source.scratch_make, &(void (*)(void *)){do_close}, sizeof l.source.scratch_make);
        memcpy(&l.source.scratch_drop, &(void (*)(void *)){do_close}, sizeof l.source.scratch_drop);
        assert_int_equal(describe(&l, needed[i].role, &d, &e), 0);
        describe_free(&d);
        char *const tables[] = {[PLUGIN_SOURCE] = (char *)&l.source,
                                [PLUGIN_SINK] = (char *)&l.sink,
                                [PLUGIN_NOTIFIER] = (char *)&l.notifier};
        memset(tables[needed[i].role] + needed[i].offset, 0, sizeof(void (*)(void)));
        if (describe(&l, needed[i].role, &d, &e) == 0 || !strstr(e.message, needed[i].fault))
            fail_msg("row %zu: '%s' instead of '%s'", i, e.message, needed[i].fault);
        assert_int_equal(e.class, ERROR_CONFIG);
        describe_free(&d);
    }
}

static void expect_refused(const struct cofre_plugin *plugin, const char *fault)
{
    struct describe d;
    struct error e;
    assert_int_equal(describe_plugin(plugin, "/test.so", "test", &d, &e), -1);
    if (!strstr(e.message, fault) || !strstr(e.message, "/test.so"))
        fail_msg("'%s' instead of '%s'", e.message, fault);
    describe_free(&d);
}

static void test_descriptions(void **state)
{
    (void)state;
    const struct cofre_option row = NUMBER(0);
    struct later l = make(PLUGIN_SOURCE, &row, 1);
    l.plugin.source = &l.source;
    expect_refused(NULL, "it does not describe itself");
    const struct cofre_plugin whole = l.plugin;
    l.plugin.struct_size = LEVELS_HEAD - 1;
    expect_refused(&l.plugin, "its description has no beginning");
    l.plugin = whole;
    l.plugin.api_level = 0;
    expect_refused(&l.plugin, "it does not say for which level it was written");
    l.plugin = whole;
    l.plugin.options.rows = NULL;
    expect_refused(&l.plugin, "its option table is malformed");
    l.plugin = whole;
    l.plugin.options.stride++;
    expect_refused(&l.plugin, "its option table is malformed");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),      cmocka_unit_test(test_protection_needs_retain),
        cmocka_unit_test(test_capabilities), cmocka_unit_test(test_levels),
        cmocka_unit_test(test_longer_lists), cmocka_unit_test(test_roles),
        cmocka_unit_test(test_descriptions)};
    return cmocka_run_group_tests_name("host/describe", tests, NULL, NULL);
}
