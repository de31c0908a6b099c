/* Each plugin of this tree refuses what it does not know: a depth of check, a flag of put. It has no instance here, so
 * that is the first thing it looks at. (A kind of entry: the tests of each source's restore.) */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cofre/plugin.h"

static const char *const names[] = {"command", "directory", "docker-volume", "http",  "local",
                                    "mail",    "postgres",  "redis",         "rsync", "s3"};

static const struct cofre_plugin *load(const char *name)
{
    char path[4096];
    const struct cofre_plugin *(*entry)(const struct cofre_host *);
    snprintf(path, sizeof path, PLUGINS "/%s.so", name);
    void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!object)
        fail_msg("%s", dlerror());
    void *symbol = dlsym(object, "cofre_plugin_v1");
    assert_non_null(symbol);
    memcpy(&entry, &symbol, sizeof entry);
    return entry(NULL);
}

static void test_unknown(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct cofre_plugin *plugin = load(names[i]);
        struct cofre_error error = {.struct_size = sizeof error};
        int32_t class = plugin->source ? plugin->source->check(NULL, NULL, 7, &error)
                        : plugin->sink ? plugin->sink->check(NULL, NULL, 7, &error)
                                       : plugin->notifier->check(NULL, NULL, 7, &error);
        if (class != COFRE_E_UNSUPPORTED || !strstr(error.message, "does not know the depth 0x7"))
            fail_msg("%s: check of an unknown depth: %d, '%s'", names[i], class, error.message);
        if (!plugin->sink)
            continue;
        const struct cofre_put put = {.struct_size = sizeof put, .flags = COFRE_PUT_IF_ABSENT | 0x80, .size = 1};
        class = plugin->sink->put(NULL, NULL, "key", &put, &error);
        if (class != COFRE_E_UNSUPPORTED || !strstr(error.message, "does not know the flag 0x80"))
            fail_msg("%s: put with an unknown flag: %d, '%s'", names[i], class, error.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_unknown)};
    return cmocka_run_group_tests_name("host/unknown", tests, NULL, NULL);
}
