#include "archive/archive_init.h"

#include <string.h>

#include "archive/marker.h"
#include "base/error.h"
#include "config/config.h"
#include "format/vault.h"
#include "openpgp/openpgp.h"
#include "worker/engine.h"
#include "worker/sink.h"

int archive_init(const struct engine *engine, struct sink *sink, const struct config_instance *section,
                 struct init_result *result, struct error *e)
{
    struct openpgp openpgp = {0};
    struct marker marker;
    bool phrase = section->openpgp.passphrase.text != NULL;
    if (phrase && openpgp_open(engine->config, section, &openpgp, e) < 0)
        return -1;
    int made = sink_create(sink, e);
    if (made == 0)
        made = marker_make(sink, openpgp.pgp, &marker, &result->existed, e);
    if (made == 0)
        memcpy(result->repository, marker.id, sizeof marker.id);
    openpgp_close(&openpgp);
    return made;
}
