#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static void test_is_name(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "0", "gym-db_2", "a--",
                                       "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff123"};
    static const char *const bad[] = {
        "",         "-a",  "_a",
        "A",        "a b", "a.b",
        "\xc3\xa4", "a\n", "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffff1234"};
    for (size_t i = 0; i < COUNT(good); i++)
        assert_true(text_is_name(good[i]));
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(text_is_name(bad[i]));
}

struct number_case {
    const char *text;
    int64_t value;
};

struct bad_case {
    const char *text, *message;
};

typedef int parser(const char *text, int64_t *value, struct error *e);

static void check_good(parser *parse, const struct number_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t value = -42;
        struct error e;
        if (parse(cases[i].text, &value, &e) != 0)
            fail_msg("'%s': %s", cases[i].text, e.message);
        assert_int_equal(value, cases[i].value);
    }
}

static void check_bad(parser *parse, const struct bad_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t value;
        struct error e;
        if (parse(cases[i].text, &value, &e) != -1)
            fail_msg("'%s' was taken", cases[i].text);
        assert_int_equal(e.class, ERROR_CONFIG);
        assert_string_equal(e.message, cases[i].message);
    }
}

static void test_size(void **state)
{
    (void)state;
    static const struct number_case good[] = {
        {"0", 0},
        {"512", 512},
        {"512B", 512},
        {"64MiB", 64 << 20},
        {"1KiB", 1024},
        {"10GB", INT64_C(10000000000)},
        {"3kB", 3000},
        {"3KB", 3000},
        {"2TiB", INT64_C(2) << 40},
        {"1TB", INT64_C(1000000000000)},
        {"1PB", INT64_C(1000000000000000)},
        {"8191PiB", INT64_C(8191) << 50},
        {"9223372036854775807", INT64_MAX},
    };
    check_good(text_parse_size, good, COUNT(good));
    static const struct bad_case bad[] = {
        {"", "'' is no size: write 512, 64MiB, 10GB, ..."},
        {"x", "'x' is no size: write 512, 64MiB, 10GB, ..."},
        {"-1", "'-1' is no size: write 512, 64MiB, 10GB, ..."},
        {"+1", "'+1' is no size: write 512, 64MiB, 10GB, ..."},
        {" 1", "' 1' is no size: write 512, 64MiB, 10GB, ..."},
        {"1 MiB", "'1 MiB' is no size: write 512, 64MiB, 10GB, ..."},
        {"1M", "'1M' is no size: write 512, 64MiB, 10GB, ..."},
        {"1mib", "'1mib' is no size: write 512, 64MiB, 10GB, ..."},
        {"1.5GiB", "'1.5GiB' is no size: write 512, 64MiB, 10GB, ..."},
        {"1MiB1", "'1MiB1' is no size: write 512, 64MiB, 10GB, ..."},
        {"0x10", "'0x10' is no size: write 512, 64MiB, 10GB, ..."},
        {"9223372036854775808", "'9223372036854775808' is no size: write 512, 64MiB, 10GB, ..."},
        {"8192PiB", "'8192PiB' is too large a size"},
    };
    check_bad(text_parse_size, bad, COUNT(bad));
}

static void test_duration(void **state)
{
    (void)state;
    static const struct number_case good[] = {
        {"0", 0},
        {"0s", 0},
        {"500ms", 500},
        {"90s", 90000},
        {"15min", 900000},
        {"6h", 21600000},
        {"7d", INT64_C(604800000)},
        {"4w", INT64_C(2419200000)},
        {"6mo", INT64_C(15552000000)},
        {"1y", INT64_C(31536000000)},
        {"1h 30min", 5400000},
        {"1h30min", 5400000},
        {"1d  2h 3s", 93603000},
    };
    check_good(text_parse_duration, good, COUNT(good));
#define WRITE "write 90s, 15min, 6h, 7d, 4w, 6mo or 1y"
    static const struct bad_case bad[] = {
        {"", "'' is no duration: " WRITE},
        {"s", "'s' is no duration: " WRITE},
        {"-5s", "'-5s' is no duration: " WRITE},
        {"5x", "'5x' is no duration: " WRITE},
        {"1.5h", "'1.5h' is no duration: " WRITE},
        {"5S", "'5S' is no duration: " WRITE},
        {"5sec", "'5sec' is no duration: " WRITE},
        {"1h ", "'1h ' is no duration: " WRITE},
        {"1h,2s", "'1h,2s' is no duration: " WRITE},
        {"99999999999999999999s", "'99999999999999999999s' is no duration: " WRITE},
        {"15m", "'15m' is no duration: 'm' could be minutes or months; write 15min or 15mo"},
        {"1h 15m", "'1h 15m' is no duration: 'm' could be minutes or months; write 15min or 15mo"},
        {"90", "'90' is no duration: it has no unit; write 90s, 90min, 90h, ..."},
        {"5 min", "'5 min' is no duration: it has no unit; write 5s, 5min, 5h, ..."},
        {"300000000000y", "'300000000000y' is too long a duration"},
        {"290000000y 290000000y", "'290000000y 290000000y' is too long a duration"},
    };
    check_bad(text_parse_duration, bad, COUNT(bad));
}

static void test_integer(void **state)
{
    (void)state;
    static const struct number_case good[] = {
        {"0", 0}, {"-7", -7}, {"007", 7}, {"9223372036854775807", INT64_MAX}, {"-9223372036854775807", -INT64_MAX}};
    check_good(text_parse_integer, good, COUNT(good));
    static const struct bad_case bad[] = {
        {"", "'' is no whole number"},       {"-", "'-' is no whole number"},
        {"+1", "'+1' is no whole number"},   {"1.0", "'1.0' is no whole number"},
        {"1e3", "'1e3' is no whole number"}, {" 1", "' 1' is no whole number"},
        {"--1", "'--1' is no whole number"}, {"9223372036854775808", "'9223372036854775808' is no whole number"},
    };
    check_bad(text_parse_integer, bad, COUNT(bad));
}

static void test_boolean(void **state)
{
    (void)state;
    bool value = false;
    struct error e;
    assert_int_equal(text_parse_boolean("yes", &value, &e), 0);
    assert_true(value);
    assert_int_equal(text_parse_boolean("no", &value, &e), 0);
    assert_false(value);
    static const char *const bad[] = {"", "Yes", "true", "1", "on", "yes "};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_int_equal(text_parse_boolean(bad[i], &value, &e), -1);
    assert_string_equal(e.message, "'yes ' is neither yes nor no");
}

static void test_size_text(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } cases[] = {
        {0, "0 B"},
        {512, "512 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {1048575, "1.0 MiB"},
        {1048576 - 1024, "1023.0 KiB"},
        {UINT64_C(1503238553), "1.4 GiB"},
        {UINT64_C(5) << 40, "5.0 TiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    char out[TEXT_SIZE_MAX];
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(text_size(cases[i].bytes, out), cases[i].text);
}

static void test_elapsed(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {-5, "0.0 s"},      {0, "0.0 s"},         {345, "0.3 s"},           {999, "0.9 s"},
        {1000, "0:01"},     {7999, "0:07"},       {59999, "0:59"},          {60000, "1:00"},
        {3599999, "59:59"}, {3723000, "1:02:03"}, {360000000, "100:00:00"}, {INT64_MAX, "2562047788015:12:55"},
    };
    char out[TEXT_ELAPSED_MAX];
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_string_equal(text_elapsed(cases[i].ms, out), cases[i].text);
}

static void test_age(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {{-5, "0 s"},
                 {59999, "59 s"},
                 {60000, "1 min"},
                 {3599000, "59 min"},
                 {3600000, "1 h"},
                 {5460000, "1 h 31 min"},
                 {86399000, "23 h 59 min"},
                 {86400000, "1 d"},
                 {279000000, "3 d 5 h"},
                 {INT64_C(86400000) * 800, "800 d"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[TEXT_AGE_MAX];
        assert_string_equal(text_age(cases[i].ms, out), cases[i].text);
    }
}

static void test_hex(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {0x00, 0x9f, 0xab, 0xff};
    char text[9];
    uint8_t back[4];
    assert_string_equal(text_hex(bytes, 4, text), "009fabff");
    assert_string_equal(text_hex(bytes, 0, text), "");
    assert_true(text_parse_hex("009fabff", back, 4));
    assert_memory_equal(back, bytes, 4);
    assert_true(text_parse_hex("", back, 0));
    static const char *const bad[] = {"",           "0",        "009fabf",  "009fabff0",
                                      "009fabff00", "009FABFF", "009fabfg", "009fab-f"};
    for (size_t i = 0; i < COUNT(bad); i++)
        assert_false(text_parse_hex(bad[i], back, 4));
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const keys[] = {"sources",    "sinks",     "schedule", "max_age",
                                       "keep_daily", "keep_last", "key",      NULL};
    static const struct {
        const char *word, *nearest;
    } cases[] = {
        {"source", "sources"},
        {"soruces", "sources"},
        {"Sources", "sources"},
        {"keep-daily", "keep_daily"},
        {"keep_dialy", "keep_daily"},
        {"maxage", "max_age"},
        {"kye", "key"},
        {"shedule", "schedule"},
        {"schedul", "schedule"},
        {"keep_lats", "keep_last"},
        {"", NULL},
        {"x", NULL},
        {"password", NULL},
        {"bandwidth", NULL},
        {"sinks", "sinks"},
        {"abc", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        const char *nearest = text_nearest(cases[i].word, keys);
        if (!cases[i].nearest)
            assert_null(nearest);
        else if (!nearest)
            fail_msg("nothing near '%s'", cases[i].word);
        else
            assert_string_equal(nearest, cases[i].nearest);
    }
    char endless[1000];
    memset(endless, 'k', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_null(text_nearest(endless, keys));
    const char *const long_one[] = {endless, NULL};
    assert_null(text_nearest("key", long_one));
    const char *const none[] = {NULL};
    assert_null(text_nearest("key", none));
}

static void test_copy(void **state)
{
    (void)state;
    char *copy = text_copy("abc");
    assert_string_equal(copy, "abc");
    free(copy);
}

static void test_hidden(void **state)
{
    (void)state;
    static const struct {
        uint32_t first, last;
        bool hidden;
    } ranges[] = {
        {0xa0, 0xac, false},     {0xad, 0xad, true},        {0xae, 0x34e, false},      {0x200b, 0x200f, true},
        {0x2010, 0x2027, false}, {0x2028, 0x202e, true},    {0x2060, 0x206f, true},    {0x20a0, 0x20c0, false},
        {0x4e00, 0x9ffc, false}, {0xac00, 0xd7a3, false},   {0xe000, 0xf8ff, true},    {0xfeff, 0xfeff, true},
        {0xfffe, 0xffff, true},  {0x1f600, 0x1f64f, false}, {0xe0000, 0x10ffff, true},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        for (uint32_t c = ranges[i].first; c <= ranges[i].last; c++)
            if (text_is_hidden(c) != ranges[i].hidden)
                fail_msg("U+%04X", c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_is_name), cmocka_unit_test(test_size),    cmocka_unit_test(test_duration),
        cmocka_unit_test(test_integer), cmocka_unit_test(test_boolean), cmocka_unit_test(test_size_text),
        cmocka_unit_test(test_elapsed), cmocka_unit_test(test_age),     cmocka_unit_test(test_hex),
        cmocka_unit_test(test_nearest), cmocka_unit_test(test_copy),    cmocka_unit_test(test_hidden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
