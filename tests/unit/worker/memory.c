#include "memory.h"

#include <dlfcn.h>

static int connect_one(void *context, struct worker **worker, struct error *e)
{
    struct memory_pool *pool = context;
    if (pool->startable == 1) {
        atomic_fetch_add(&pool->refused, 1);
        return error_set(e, pool->failure, "the place takes no more connections");
    }
    pool->startable -= pool->startable > 0;
    if (harness_start("memory-sink", worker, e) < 0)
        return -1;
    if (harness_open(*worker, pool->options, e) == 0)
        return 0;
    worker_stop(*worker);
    return -1;
}

struct sink *memory_sink(struct memory_pool *pool)
{
    struct error e;
    struct sink *sink = NULL;
    harness_in_process = true;
    struct worker *first = harness_worker("memory-sink", pool->options);
    const struct sink_spec spec = {
        .name = "test", .parallel = pool->parallel, .least = pool->least, .connect = connect_one, .context = pool};
    if (sink_new(first, &spec, &sink, &e) < 0)
        fail_msg("make a sink: %s", e.message);
    return sink;
}

struct memory_counts memory_counts(const char *place)
{
    /* The same object that the workers have loaded, since it is the same file. */
    static memory_sink_counts_function *ask;
    struct memory_counts counts;
    if (!ask) {
        void *plugin = dlopen(TEST_PLUGINS "/memory-sink.so", RTLD_NOW | RTLD_LOCAL);
        assert_non_null(plugin);
        *(void **)&ask = dlsym(plugin, "memory_sink_counts");
        assert_non_null(ask);
    }
    ask(place, &counts);
    return counts;
}

int memory_calls(const char *place, enum memory_call call)
{
    return memory_counts(place).calls[call];
}
