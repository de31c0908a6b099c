/* One operation of a sink's plugin, as the engine does it (worker process, retries), without a repository around.
 *
 *   sinkdo PLUGIN_DIR PLUGIN RETRY_MS [OPTION=VALUE]... -- OPERATION [ARGUMENT]...
 *
 *   put KEY SIZE | new KEY SIZE | stream KEY SIZE       new: if absent. stream: of unknown length
 *   get KEY SIZE | range KEY OFFSET LENGTH SIZE | pieces KEY SIZE      compared with what put stores for that SIZE
 *   stat KEY | list PREFIX | remove KEY | remove-many KEY,KEY... | retain KEY NS | sweep NS | create | check
 *
 * Prints what came out, one line each, and last "ok" or "error CLASS MESSAGE | HINT". Status 0 when it is ok.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "config/config.h"
#include "worker/sink.h"
#include "worker/worker.h"

/* The byte of an object of that size at a place. */
static uint8_t content(size_t size, size_t at)
{
    return (uint8_t)((at * 2654435761u >> 13) + size);
}

static uint8_t *make(size_t size)
{
    uint8_t *p = malloc(size + 1);
    for (size_t i = 0; p && i < size; i++)
        p[i] = content(size, i);
    return p;
}

static int compare(const uint8_t *p, size_t n, size_t from, size_t size)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != content(size, from + i)) {
            printf("byte %zu differs\n", from + i);
            return -1;
        }
    printf("%zu bytes, all right\n", n);
    return 0;
}

struct arguments {
    const char *key;
    size_t a, b, c;
};

static struct worker *first_connection;

static int do_put(struct sink *sink, const struct arguments *a, struct error *e)
{
    uint8_t *p = make(a->a);
    int result = sink_put(sink, a->key, p, a->a, false, e);
    free(p);
    return result;
}

static int do_new(struct sink *sink, const struct arguments *a, struct error *e)
{
    uint8_t *p = make(a->a);
    int result = sink_put(sink, a->key, p, a->a, true, e);
    free(p);
    return result;
}

static int do_stream(struct sink *sink, const struct arguments *a, struct error *e)
{
    uint8_t *p = make(a->a);
    struct sink_put *put;
    int result = sink_put_begin(sink, a->key, false, &put, e);
    if (result == 0 && (result = sink_put_write(put, p, a->a, e)) < 0)
        sink_put_abort(put);
    else if (result == 0)
        result = sink_put_end(put, e);
    free(p);
    return result;
}

static int do_get(struct sink *sink, const struct arguments *a, struct error *e)
{
    struct bytes out = {.maximum = a->a + 1};
    int result = sink_get(sink, a->key, a->a, &out, e);
    if (result == 0 && (out.length != a->a || compare(out.data, out.length, 0, a->a) < 0))
        result = error_set(e, ERROR_BUG, "other bytes than were stored");
    bytes_free(&out);
    return result;
}

static int do_range(struct sink *sink, const struct arguments *a, struct error *e)
{
    uint8_t *p = calloc(1, a->b + 1);
    int result = sink_get_range(sink, a->key, a->a, p, a->b, e);
    if (result == 0 && compare(p, a->b, a->a, a->c) < 0)
        result = error_set(e, ERROR_BUG, "other bytes than were stored");
    free(p);
    return result;
}

struct place {
    size_t at, size;
};

static int take_piece(void *context, const void *p, size_t n, struct error *e)
{
    struct place *place = context;
    const uint8_t *bytes = p;
    for (size_t i = 0; i < n; i++, place->at++)
        if (bytes[i] != content(place->size, place->at))
            return error_set(e, ERROR_BUG, "byte %zu differs", place->at);
    return 0;
}

static int do_pieces(struct sink *sink, const struct arguments *a, struct error *e)
{
    struct place place = {.size = a->a};
    if (sink_get_pieces(sink, a->key, take_piece, &place, e) < 0)
        return -1;
    printf("%zu bytes, all right\n", place.at);
    return place.at == a->a ? 0 : error_set(e, ERROR_BUG, "%zu bytes came", place.at);
}

static int do_stat(struct sink *sink, const struct arguments *a, struct error *e)
{
    uint64_t size;
    if (sink_stat(sink, a->key, &size, e) < 0)
        return -1;
    printf("%" PRIu64 " bytes\n", size);
    return 0;
}

static int print_object(void *context, const struct sink_object *object, struct error *e)
{
    (void)context;
    (void)e;
    printf("%s %" PRIu64 "\n", object->key, object->size);
    return 0;
}

static int do_list(struct sink *sink, const struct arguments *a, struct error *e)
{
    return sink_list(sink, a->key, print_object, NULL, e);
}

static int do_remove(struct sink *sink, const struct arguments *a, struct error *e)
{
    return sink_remove(sink, a->key, e);
}

/* Keys with commas between. */
static int do_remove_many(struct sink *sink, const struct arguments *a, struct error *e)
{
    char keys[4096];
    int n = snprintf(keys, sizeof keys, "%s", a->key);
    for (char *p = keys; (p = strchr(p, ','));)
        *p++ = '\0';
    return sink_remove_many(sink, keys, (size_t)n + 1, e);
}

static int do_retain(struct sink *sink, const struct arguments *a, struct error *e)
{
    return sink_retain(sink, a->key, (int64_t)a->a, e);
}

static int do_sweep(struct sink *sink, const struct arguments *a, struct error *e)
{
    return sink_sweep(sink, strtoll(a->key, NULL, 10), e);
}

static int do_create(struct sink *sink, const struct arguments *a, struct error *e)
{
    (void)a;
    return sink_create(sink, e);
}

static void print_finding(void *context, const struct worker_finding *finding)
{
    (void)context;
    printf("%d %s | %s\n", finding->level, finding->text, finding->hint);
}

static int do_check(struct sink *sink, const struct arguments *a, struct error *e)
{
    (void)sink;
    (void)a;
    return worker_check(first_connection, true, print_finding, NULL, e);
}

static const struct {
    const char *name;
    int (*run)(struct sink *sink, const struct arguments *a, struct error *e);
} operations[] = {
    {"put", do_put},       {"new", do_new},
    {"stream", do_stream}, {"get", do_get},
    {"range", do_range},   {"pieces", do_pieces},
    {"stat", do_stat},     {"list", do_list},
    {"remove", do_remove}, {"retain", do_retain},
    {"sweep", do_sweep},   {"create", do_create},
    {"check", do_check},   {"remove-many", do_remove_many},
};

static const char *value_of(char **options, size_t count, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < count; i++)
        if (strncmp(options[i], name, n) == 0 && options[i][n] == '=')
            return options[i] + n + 1;
    return NULL;
}

static int open_worker(struct worker *w, char **options, size_t count, struct error *e)
{
    const struct plugin_info *plugin = worker_plugin(w);
    struct config_value *values = calloc(plugin->option_count + 1, sizeof *values);
    for (size_t i = 0; values && i < plugin->option_count; i++) {
        const struct option *option = &plugin->options[i];
        const char *text = value_of(options, count, option->name);
        if (!text)
            text = option->fallback;
        values[i].option = option;
        values[i].text = text ? strdup(text) : NULL;
        values[i].length = text ? strlen(text) : 0;
    }
    int result = worker_open(w, values, e);
    for (size_t i = 0; values && i < plugin->option_count; i++)
        free(values[i].text);
    free(values);
    return result;
}

static int run(struct sink *sink, int argc, char **argv, struct error *e)
{
    struct arguments a = {.key = argc > 1 ? argv[1] : ""};
    a.a = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    a.b = argc > 3 ? strtoull(argv[3], NULL, 10) : 0;
    a.c = argc > 4 ? strtoull(argv[4], NULL, 10) : 0;
    for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
        if (strcmp(operations[i].name, argv[0]) == 0)
            return operations[i].run(sink, &a, e);
    return error_set(e, ERROR_USAGE, "there is no operation '%s'", argv[0]);
}

int main(int argc, char **argv)
{
    int options = 4, count = 0;
    while (options + count < argc && strcmp(argv[options + count], "--") != 0)
        count++;
    if (options + count + 1 >= argc)
        return 2;
    struct worker_spec spec = {.instance = "sink 'test'",
                               .plugin = argv[2],
                               .plugin_dirs = &argv[1],
                               .plugin_dir_count = 1,
                               .role = PLUGIN_SINK,
                               .stall_timeout = 60000,
                               .patience = strtoll(argv[3], NULL, 10)};
    struct worker *w = NULL;
    struct error e = {.class = ERROR_NONE};
    int first = options + count + 1;
    int result = worker_start(&spec, &w, &e);
    if (result == 0)
        result = open_worker(w, argv + options, (size_t)count, &e);
    first_connection = w;
    struct sink *sink = NULL;
    if (result < 0)
        worker_stop(w);
    else
        result = sink_new(w, &(struct sink_spec){.name = "test"}, &sink, &e);
    if (result == 0)
        result = run(sink, argc - first, argv + first, &e);
    sink_free(sink);
    if (result == 0)
        puts("ok");
    else
        printf("error %d %s | %s\n", (int)e.class, e.message, e.hint);
    return result == 0 ? 0 : 1;
}
