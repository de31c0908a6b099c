/* check of cofre/plugin.h: what the far side is, and what it permits. */
#ifndef COFRE_RSYNC_INSPECTION_H
#define COFRE_RSYNC_INSPECTION_H

#include "rsync/place.h"

int32_t inspection_run(struct place *place, struct cofre_call *call, struct cofre_error *error);

#endif
