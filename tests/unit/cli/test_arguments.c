/* arguments: what is an option, what is a word, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "cli/arguments.h"

static const struct argument_option global[] = {
    {.name = "quiet", .letter = 'q'},
    {.name = "verbose", .letter = 'v'},
    {.name = "config-dir", .value = "DIR"},
    {0},
};
static const struct argument_option own[] = {
    {.name = "sink", .value = "SINK"},
    {.name = "set", .value = "K=V", .repeated = true},
    {0},
};
static const struct argument_option *const tables[] = {global, own, NULL};

struct state {
    struct arguments a;
    struct error e;
    char text[16][32];
    char *argv[17];
    size_t argc, at;
};

/* Parse what follows; the result. */
static int parse(struct state *s, int stop, ...)
{
    va_list list;
    const char *text;
    memset(s, 0, sizeof *s);
    strcpy(s->text[0], "cofre");
    s->argv[s->argc++] = s->text[0];
    va_start(list, stop);
    while ((text = va_arg(list, const char *))) {
        strcpy(s->text[s->argc], text);
        s->argv[s->argc] = s->text[s->argc];
        s->argc++;
    }
    va_end(list);
    s->at = 1;
    assert_int_equal(arguments_init(&s->a, s->argc, &s->e), 0);
    return arguments_parse(&s->a, s->argc, s->argv, &s->at, stop, tables, &s->e);
}

static void refused(struct state *s, const char *message, const char *hint)
{
    assert_int_equal(s->e.class, ERROR_USAGE);
    assert_string_equal(s->e.message, message);
    assert_string_equal(s->e.hint, hint);
    arguments_free(&s->a);
}

static void test_words_and_options_mix(void **unused)
{
    struct state s;
    (void)unused;
    assert_int_equal(parse(&s, false, "list", "-q", "nightly", "--sink", "nas", "-", NULL), 0);
    assert_int_equal(s.a.word_count, 3);
    assert_string_equal(s.a.words[1], "nightly");
    assert_string_equal(s.a.words[2], "-");
    assert_true(arguments_has(&s.a, "quiet"));
    assert_false(arguments_has(&s.a, "verbose"));
    assert_string_equal(arguments_value(&s.a, "sink"), "nas");
    assert_null(arguments_value(&s.a, "config-dir"));
    arguments_free(&s.a);
}

static void test_value_forms(void **unused)
{
    struct state s;
    size_t count;
    (void)unused;
    assert_int_equal(parse(&s, false, "--sink=", "--set", "a=b", "--set=c=d", "--config-dir", "--sink", NULL), 0);
    assert_string_equal(arguments_value(&s.a, "sink"), "");
    assert_string_equal(arguments_value(&s.a, "config-dir"), "--sink");
    char *const *values = arguments_values(&s.a, "set", &count);
    assert_int_equal(count, 2);
    assert_string_equal(values[0], "a=b");
    assert_string_equal(values[1], "c=d");
    arguments_free(&s.a);
}

static void test_letters_and_end_of_options(void **unused)
{
    struct state s;
    (void)unused;
    assert_int_equal(parse(&s, false, "-qvq", "--", "--sink", "-q", NULL), 0);
    assert_true(arguments_has(&s.a, "verbose"));
    assert_int_equal(s.a.given_count, 2);
    assert_int_equal(s.a.word_count, 2);
    assert_string_equal(s.a.words[0], "--sink");
    arguments_free(&s.a);
}

static void test_stops_at_the_first_word(void **unused)
{
    struct state s;
    (void)unused;
    assert_int_equal(parse(&s, true, "-q", "list", "--unknown", NULL), 0);
    assert_int_equal(s.at, 3);
    assert_int_equal(s.a.word_count, 1);
    arguments_free(&s.a);
}

static void test_refusals(void **unused)
{
    struct state s;
    (void)unused;
    assert_int_equal(parse(&s, false, "--snik", "x", NULL), -1);
    refused(&s, "unknown option '--snik'", "did you mean --sink?");
    assert_int_equal(parse(&s, false, "--sin", "x", NULL), -1);
    refused(&s, "unknown option '--sin'", "did you mean --sink?");
    assert_int_equal(parse(&s, false, "-x", NULL), -1);
    refused(&s, "unknown option '-x'", "");
    assert_int_equal(parse(&s, false, "--sink", NULL), -1);
    refused(&s, "option '--sink' needs a value: --sink SINK", "");
    assert_int_equal(parse(&s, false, "--quiet=yes", NULL), -1);
    refused(&s, "option '--quiet' takes no value", "");
    assert_int_equal(parse(&s, false, "--sink", "a", "--sink=b", NULL), -1);
    refused(&s, "option '--sink' is given twice", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words_and_options_mix),
        cmocka_unit_test(test_value_forms),
        cmocka_unit_test(test_letters_and_end_of_options),
        cmocka_unit_test(test_stops_at_the_first_word),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
