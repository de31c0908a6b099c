#include "docker-volume/source.h"

#include "cofre/plugin.h"

int32_t source_halt(const struct source *source, struct cofre_call *call, struct halt *halt, struct cofre_error *error)
{
    const struct options *o = source->options;
    *halt = (struct halt){.daemon = source->daemon,
                          .stop_timeout = o->stop_timeout > 0 ? o->stop_timeout / 1000 : -1,
                          .health_wait = o->health_wait};
    if (!COFRE_HAS(cofre, common_directory))
        return cofre_fail(error, COFRE_E_UNSUPPORTED, "this cofre is too old to stop containers for a while");
    return cofre->common_directory(call, &halt->directory, error);
}
