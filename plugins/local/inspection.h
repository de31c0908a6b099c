/* What `cofre check` says of the place. */
#ifndef LOCAL_INSPECTION_H
#define LOCAL_INSPECTION_H

#include "local/place.h"

int32_t inspection_run(struct place *place, struct cofre_call *call, struct cofre_error *error);
/* Also the sink's space(). */
int32_t inspection_space(struct place *place, struct cofre_space *space, struct cofre_error *error);

#endif
