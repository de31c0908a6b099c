#include "harness.h"

#include <fcntl.h>
#include <unistd.h>

#include "host/host.h"
#include "worker/call.h"

static const struct harness_times usual = {0, 60000, 1000};

bool harness_in_process;
static int log_file = -1;
static off_t log_read;

int harness_start(const char *plugin, struct worker **w, struct error *e)
{
    char directory[] = TEST_PLUGINS, instance[100];
    char *directories[] = {directory};
    snprintf(instance, sizeof instance, "test '%s'", plugin);
    const struct worker_spec spec = {.instance = instance,
                                     .plugin = plugin,
                                     .plugin_dirs = directories,
                                     .plugin_dir_count = 1,
                                     .in_process = harness_in_process ? host_run : NULL,
                                     .role = strstr(plugin, "sink") ? PLUGIN_SINK : PLUGIN_SOURCE,
                                     .timeout = usual.timeout,
                                     .stall_timeout = usual.stall,
                                     .grace = usual.grace};
    return worker_start(&spec, w, e);
}

void harness_hurry(struct worker *w, struct harness_times times)
{
    w->timeout = times.timeout;
    w->stall_timeout = times.stall;
    w->grace = times.grace;
}

static const char *value_of(const char *options, const char *name, size_t *length)
{
    for (const char *p = options; p; p = strchr(p, ';') ? strchr(p, ';') + 1 : NULL)
        if (strncmp(p, name, strlen(name)) == 0 && p[strlen(name)] == '=') {
            p += strlen(name) + 1;
            *length = strcspn(p, ";");
            return p;
        }
    return NULL;
}

int harness_open(struct worker *w, const char *options, struct error *e)
{
    const struct plugin_info *plugin = worker_plugin(w);
    struct config_value *values = calloc(plugin->option_count + 1, sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < plugin->option_count; i++) {
        const struct option *option = &plugin->options[i];
        size_t length = option->fallback ? strlen(option->fallback) : 0;
        const char *text = value_of(options, option->name, &length);
        values[i].option = option;
        if (text || option->fallback) {
            values[i].text = strndup(text ? text : option->fallback, length);
            values[i].length = length;
        }
    }
    int result = worker_open(w, values, e);
    for (size_t i = 0; i < plugin->option_count; i++)
        free(values[i].text);
    free(values);
    return result;
}

struct worker *harness_timed(const char *plugin, const char *options, struct harness_times times)
{
    struct error e = {.class = ERROR_NONE};
    struct worker *w = NULL;
    if (harness_start(plugin, &w, &e) < 0 || harness_open(w, options, &e) < 0)
        fail_msg("start %s: %s", plugin, e.message);
    harness_hurry(w, times);
    return w;
}

struct worker *harness_worker(const char *plugin, const char *options)
{
    return harness_timed(plugin, options, usual);
}

struct sink *harness_sink_of(struct worker *w)
{
    struct error e;
    struct sink *sink = NULL;
    if (sink_new(w, &(struct sink_spec){.name = "test"}, &sink, &e) < 0)
        fail_msg("make a sink: %s", e.message);
    return sink;
}

struct sink *harness_sink(const char *plugin, const char *options)
{
    return harness_sink_of(harness_worker(plugin, options));
}

const char *harness_log(void)
{
    static char text[1 << 20];
    ssize_t n = pread(log_file, text, sizeof text - 1, log_read);
    log_read += n > 0 ? n : 0;
    text[n < 0 ? 0 : n] = '\0';
    return text;
}

/* stderr goes to a file, so that tests can read the log; it is shown when a test failed, or a sanitizer
 * found something. */
int harness_main(int argc, char **argv, int (*tests)(void))
{
    /* Under ThreadSanitizer every process would end with a second's sleep. */
    setenv("TSAN_OPTIONS", "atexit_sleep_ms=0", 0);
    harness_in_process = argc > 1 && strcmp(argv[1], "--in-process") == 0;
    log_file = open("/tmp", O_TMPFILE | O_RDWR | O_APPEND | O_CLOEXEC, 0600);
    int terminal = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    if (log_file < 0 || terminal < 0 || dup2(log_file, STDERR_FILENO) < 0)
        return 1;
    int failed = tests();
    log_read = 0;
    const char *said = harness_log();
    bool shown = failed || strstr(said, "Sanitizer: ") || strstr(said, "runtime error: ");
    /* What a sanitizer says at the end is not for the log. */
    if (dup2(terminal, STDERR_FILENO) < 0 || (shown && write(terminal, said, strlen(said)) < 0))
        return 1;
    return failed;
}
