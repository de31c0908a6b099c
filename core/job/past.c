#include "job/past.h"

#include <stdlib.h>

#include "base/error.h"
#include "cofre/plugin.h"
#include "snapshot/manifest.h"
#include "worker/source.h"
#include "worker/worker.h"

struct past {
    struct source_past told;
    struct source_fact facts[];
};

bool past_is_wanted(const struct plugin_info *plugin)
{
    return plugin->role == PLUGIN_SOURCE && (plugin->capabilities & COFRE_SOURCE_RECORDED);
}

int past_tell(struct worker *worker, const char *snapshot, const struct manifest_source *row, struct past **past,
              struct error *e)
{
    struct past *p = malloc(sizeof *p + row->fact_count * sizeof p->facts[0]);
    *past = p;
    if (!p)
        return error_memory(e);
    p->told = (struct source_past){.snapshot = snapshot, .facts = p->facts, .fact_count = row->fact_count};
    for (size_t i = 0; i < row->fact_count; i++)
        p->facts[i] = (struct source_fact){.key = row->facts[i].key, .value = row->facts[i].value};
    source_recall(worker, &p->told);
    return 0;
}

void past_free(struct past *past)
{
    free(past);
}
