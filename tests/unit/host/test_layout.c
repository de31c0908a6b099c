/* The ABI as numbers: where each member of each struct lies, and the value of each constant. layout.txt has what they
 * are since their level, and only ever gets longer: a line that would change breaks every plugin that is out there.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cofre/plugin.h"

struct row {
    const char *name;
    long long first, second; /* of a member: offset, size; of a constant: value, nothing */
};

#define M(T, f)                                                                                                        \
    {                                                                                                                  \
#T "." #f, (long long)offsetof(struct T, f), (long long)sizeof(((struct T *)0)->f)                             \
    }
#define C(name)                                                                                                        \
    {                                                                                                                  \
#name, (long long)(name), 0                                                                                    \
    }

/* clang-format off */
static const struct row rows[] = {
    M(cofre_error, struct_size), M(cofre_error, os_errno), M(cofre_error, retry_after), M(cofre_error, reserved),
    M(cofre_error, code), M(cofre_error, message), M(cofre_error, hint),
    M(cofre_list, items), M(cofre_list, count),
    M(cofre_secret, bytes), M(cofre_secret, length),
    M(cofre_option, name), M(cofre_option, type), M(cofre_option, flags), M(cofre_option, offset),
    M(cofre_option, size), M(cofre_option, fallback), M(cofre_option, minimum), M(cofre_option, maximum),
    M(cofre_option, choices), M(cofre_option, help),
    M(cofre_options, rows), M(cofre_options, count), M(cofre_options, stride), M(cofre_options, struct_bytes),
    M(cofre_options, reserved),
    M(cofre_attribute, name), M(cofre_attribute, value), M(cofre_attribute, length),
    M(cofre_entry, struct_size), M(cofre_entry, kind), M(cofre_entry, flags), M(cofre_entry, path_length),
    M(cofre_entry, path), M(cofre_entry, size), M(cofre_entry, mtime), M(cofre_entry, mode), M(cofre_entry, uid),
    M(cofre_entry, gid), M(cofre_entry, device_major), M(cofre_entry, device_minor), M(cofre_entry, link_length),
    M(cofre_entry, user), M(cofre_entry, group), M(cofre_entry, link), M(cofre_entry, attributes),
    M(cofre_entry, attribute_count), M(cofre_entry, attribute_stride), M(cofre_entry, fingerprint),
    M(cofre_entry, fingerprint_length),
    M(cofre_source, struct_size), M(cofre_source, reserved), M(cofre_source, capabilities), M(cofre_source, open),
    M(cofre_source, close), M(cofre_source, check), M(cofre_source, discover), M(cofre_source, backup),
    M(cofre_source, restore), M(cofre_source, freeze), M(cofre_source, thaw), M(cofre_source, services),
    M(cofre_source, facts), M(cofre_source, estimate), M(cofre_source, scratch_make), M(cofre_source, scratch_drop),
    M(cofre_object, struct_size), M(cofre_object, reserved), M(cofre_object, key), M(cofre_object, size),
    M(cofre_object, mtime),
    M(cofre_put, struct_size), M(cofre_put, flags), M(cofre_put, size),
    M(cofre_space, struct_size), M(cofre_space, reserved), M(cofre_space, total), M(cofre_space, available),
    M(cofre_sink, struct_size), M(cofre_sink, reserved), M(cofre_sink, capabilities), M(cofre_sink, open),
    M(cofre_sink, close), M(cofre_sink, check), M(cofre_sink, create), M(cofre_sink, put), M(cofre_sink, get),
    M(cofre_sink, stat), M(cofre_sink, list), M(cofre_sink, remove), M(cofre_sink, remove_many), M(cofre_sink, sync),
    M(cofre_sink, sweep), M(cofre_sink, retain), M(cofre_sink, space),
    M(cofre_setting, name), M(cofre_setting, value),
    M(cofre_section, struct_size), M(cofre_section, flags), M(cofre_section, name), M(cofre_section, plugin),
    M(cofre_section, settings), M(cofre_section, setting_count), M(cofre_section, setting_stride),
    M(cofre_offer, struct_size), M(cofre_offer, reserved), M(cofre_offer, name), M(cofre_offer, options),
    M(cofre_offer, about), M(cofre_offer, covered_by),
    M(cofre_host, struct_size), M(cofre_host, abi_level), M(cofre_host, version), M(cofre_host, log),
    M(cofre_host, cancelled), M(cofre_host, cancel_fd), M(cofre_host, time_left), M(cofre_host, pause),
    M(cofre_host, progress), M(cofre_host, id), M(cofre_host, directory), M(cofre_host, common_directory),
    M(cofre_host, finding), M(cofre_host, configured), M(cofre_host, offer), M(cofre_host, snapshot),
    M(cofre_host, recorded), M(cofre_host, unchanged), M(cofre_host, entry), M(cofre_host, reserve),
    M(cofre_host, commit), M(cofre_host, hole), M(cofre_host, end), M(cofre_host, restart), M(cofre_host, missing),
    M(cofre_host, left_out), M(cofre_host, fact), M(cofre_host, next), M(cofre_host, take), M(cofre_host, done),
    M(cofre_host, late), M(cofre_host, object), M(cofre_host, more), M(cofre_host, open_process), M(cofre_host, leftover),
    M(cofre_plugin, struct_size), M(cofre_plugin, api_level), M(cofre_plugin, min_host_level),
    M(cofre_plugin, reserved), M(cofre_plugin, name), M(cofre_plugin, version), M(cofre_plugin, summary),
    M(cofre_plugin, license), M(cofre_plugin, example), M(cofre_plugin, options), M(cofre_plugin, source),
    M(cofre_plugin, sink), M(cofre_plugin, environment), M(cofre_plugin, reads), M(cofre_plugin, notifier),
    M(cofre_event, struct_size), M(cofre_event, level), M(cofre_event, time), M(cofre_event, id),
    M(cofre_event, event), M(cofre_event, host), M(cofre_event, job), M(cofre_event, sink), M(cofre_event, title),
    M(cofre_event, text), M(cofre_event, json),
    M(cofre_notifier, struct_size), M(cofre_notifier, reserved), M(cofre_notifier, capabilities),
    M(cofre_notifier, open), M(cofre_notifier, close), M(cofre_notifier, check), M(cofre_notifier, notify),
    C(COFRE_OK), C(COFRE_E_RETRY), C(COFRE_E_PERMANENT), C(COFRE_E_NOT_FOUND), C(COFRE_E_EXISTS), C(COFRE_E_AUTH),
    C(COFRE_E_DENIED), C(COFRE_E_LOCKED), C(COFRE_E_NO_SPACE), C(COFRE_E_INTEGRITY), C(COFRE_E_CONFIG),
    C(COFRE_E_UNSUPPORTED), C(COFRE_E_RANGE), C(COFRE_E_BUSY), C(COFRE_E_CHANGED), C(COFRE_E_CANCELLED),
    C(COFRE_E_TIMEOUT), C(COFRE_E_MEMORY), C(COFRE_E_BUG), C(COFRE_END), C(COFRE_UNCHANGED), C(COFRE_PARTLY),
    C(COFRE_STRING), C(COFRE_PATH), C(COFRE_INTEGER), C(COFRE_BOOLEAN), C(COFRE_SIZE), C(COFRE_DURATION),
    C(COFRE_CHOICE), C(COFRE_LIST), C(COFRE_SECRET), C(COFRE_FILE), C(COFRE_DIRECTORY), C(COFRE_SYMLINK),
    C(COFRE_HARDLINK), C(COFRE_FIFO), C(COFRE_CHARACTER), C(COFRE_BLOCK), C(COFRE_SOCKET), C(COFRE_STREAM),
    C(COFRE_CHECK_OFFLINE), C(COFRE_CHECK_CONNECT), C(COFRE_SERVICES_SAY), C(COFRE_SERVICES_STOP),
    C(COFRE_SERVICES_KEEP), C(COFRE_LOG_ERROR), C(COFRE_LOG_WARNING), C(COFRE_LOG_NOTICE), C(COFRE_LOG_INFO),
    C(COFRE_LOG_DEBUG), C(COFRE_O_REQUIRED), C(COFRE_O_RESTORE), C(COFRE_O_PARALLEL), C(COFRE_O_PROTECT),
    C(COFRE_O_REPLACE), C(COFRE_O_TRUSTED), C(COFRE_SOURCE_RECORDED), C(COFRE_SOURCE_PARTS), C(COFRE_ENTRY_RACY), C(COFRE_NO_TIME),
    C(COFRE_MAX_FINGERPRINT),
    C(COFRE_FACT_IDENTITY), C(COFRE_FACT_MUST_MATCH), C(COFRE_FACT_MAY_GROW), C(COFRE_MAX_ID), C(COFRE_MAX_KEY),
    C(COFRE_PUT_IF_ABSENT), C(COFRE_SINK_IF_ABSENT), C(COFRE_SINK_RANGES), C(COFRE_SECTION_IN_JOB),
    C(COFRE_O_READS), C(COFRE_NO_NETWORK), C(COFRE_PROCESS_DIRECTORY), C(COFRE_PROCESS_ROOT), C(COFRE_PROCESS_NETWORK),
};

#define S(T) {#T ".", 0, (long long)sizeof(struct T)}
/* Of today: their members leave no gap, so that none is forgotten above. */
static const struct row structs[] = {
    S(cofre_error), S(cofre_list), S(cofre_secret), S(cofre_option), S(cofre_options), S(cofre_attribute),
    S(cofre_entry), S(cofre_source), S(cofre_object), S(cofre_put), S(cofre_space), S(cofre_sink), S(cofre_setting),
    S(cofre_section), S(cofre_offer), S(cofre_host), S(cofre_plugin), S(cofre_event), S(cofre_notifier),
};
/* clang-format on */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void write_row(const struct row *row, char text[160])
{
    bool member = strchr(row->name, '.');
    snprintf(text, 160, member ? "%s %lld %lld\n" : "%s %lld\n", row->name, row->first, row->second);
}

static bool is_row(const char *line)
{
    char text[160];
    for (size_t i = 0; i < COUNT(rows); i++) {
        write_row(&rows[i], text);
        if (strcmp(text, line) == 0)
            return true;
    }
    return false;
}

/* Whatever was ever said is still so, in the same order, and what is new has a line. */
static void test_golden(void **state)
{
    (void)state;
    char line[160];
    size_t lines = 0;
    if (sizeof(void *) != 8)
        skip();
    FILE *golden = fopen(LAYOUT, "re");
    assert_non_null(golden);
    for (; fgets(line, sizeof line, golden); lines++)
        if (!is_row(line))
            fail_msg("it is not so any more: %s", line);
    fclose(golden);
    if (lines != COUNT(rows))
        fail_msg("%zu lines of %s for %zu rows: write those that are new with unit_host_layout --print", lines, LAYOUT,
                 COUNT(rows));
}

static void test_no_gaps(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(structs); i++) {
        long long end = 0;
        size_t n = strlen(structs[i].name);
        for (size_t k = 0; k < COUNT(rows); k++)
            if (strncmp(rows[k].name, structs[i].name, n) == 0) {
                if (rows[k].first != end)
                    fail_msg("something is missing before %s", rows[k].name);
                end += rows[k].second;
            }
        if (end != structs[i].second)
            fail_msg("something is missing at the end of %s", structs[i].name);
    }
}

int main(int argc, char **argv)
{
    char text[160];
    for (size_t i = 0; i < COUNT(rows) && argc > 1 && strcmp(argv[1], "--print") == 0; i++) {
        write_row(&rows[i], text);
        fputs(text, stdout);
    }
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden), cmocka_unit_test(test_no_gaps)};
    return argc > 1 ? 0 : cmocka_run_group_tests_name("host/layout", tests, NULL, NULL);
}
