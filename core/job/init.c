#include "job/init.h"

#include "base/error.h"
#include "config/config.h"
#include "format/vault.h"
#include "job/formats.h"
#include "worker/engine.h"
#include "worker/sink.h"

int init_run(const struct engine *engine, const struct config_instance *section, struct init_result *result,
             struct error *e)
{
    *result = (struct init_result){0};
    struct sink *sink;
    if (engine_open_sink(engine, section, 1, &sink, e) < 0)
        return -1;
    int made = formats_of(section)->init(engine, sink, section, result, e);
    sink_free(sink);
    return made < 0 ? error_subject(e, "sink", section->name) : 0;
}
