/* Redaction: secrets in what is said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "config/config.h"
#include "worker/redact.h"

static void test_scrub(void **state)
{
    (void)state;
    struct error e;
    struct redact redact = {0};
    char one[] = "hunter2", two[] = "abc", three[] = "aaaa";
    static const struct option secret = {.name = "password", .type = OPTION_SECRET};
    const struct config_value values[] = {
        {&secret, one, 7}, {&secret, two, 3}, {&secret, three, 4}, {&secret, NULL, 0}};
    assert_int_equal(redact_learn(&redact, values, 4, &e), 0);
    static const struct {
        const char *from, *to;
    } cases[] = {
        {"", ""},
        {"nothing here", "nothing here"},
        {"hunter2", "***"},
        {"a hunter2 and hunter2hunter2.", "a *** and ******."},
        {"abc is too short", "abc is too short"},
        {"cut: hunte", "cut: ***"},
        {"hun", "hun"},
        {"aaaaaaaaa", "******a"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[100];
        snprintf(text, sizeof text, "%s", cases[i].from);
        redact_text(&redact, text);
        assert_string_equal(text, cases[i].to);
    }
    redact_free(&redact);
}

int main(void)
{
    const struct CMUnitTest all[] = {
        cmocka_unit_test(test_scrub),
    };
    return cmocka_run_group_tests_name("worker/redact", all, NULL, NULL);
}
