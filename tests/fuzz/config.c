/* A buffer as a configuration file, and, when it is one, its instances against the table of a plugin. */
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct option plugin_options[] = {
    {"path", OPTION_PATH, OPTION_REQUIRED, NULL, 0, 0, NULL, "a path"},
    {"exclude", OPTION_LIST, 0, NULL, 0, 0, NULL, "a list"},
    {"size", OPTION_SIZE, 0, "64MiB", 1, 1 << 30, NULL, "a size"},
    {"wait", OPTION_DURATION, 0, NULL, 0, 0, NULL, "a duration"},
    {"mode", OPTION_CHOICE, 0, "never", 0, 0, "never|always", "a choice"},
    {"password", OPTION_SECRET, 0, NULL, 0, 0, NULL, "a secret"},
};

/* Secrets are not resolved: that would run commands. */
static void check_instances(const struct config_instance *list, size_t count)
{
    const size_t options = sizeof plugin_options / sizeof plugin_options[0];
    struct config_value *values;
    struct error e;
    for (size_t i = 0; i < count; i++) {
        config_check_syntax(&list[i], plugin_options, options, &values, &e);
        config_values_free(values, options);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config *config;
    struct error e;
    if (config_parse("fuzz.conf", data, size, true, &config, &e) < 0)
        return 0;
    check_instances(config->sources, config->source_count);
    check_instances(config->sinks, config->sink_count);
    config_free(config);
    return 0;
}
