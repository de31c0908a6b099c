/* pg_restore, and whether what it made is what was saved. */
#ifndef COFRE_POSTGRES_LOAD_H
#define COFRE_POSTGRES_LOAD_H

#include <stdint.h>

#include "postgres/stage.h"
#include "postgres/target.h"

/* Fill target->work from the staged dump: the whole of it, or the part that the options say. Every line that pg_restore
 * writes is an error. */
int32_t load_dump(struct target *target, const struct stage *stage, struct cofre_error *error);
/* Count the rows of what was loaded, and compare with what the snapshot says. *counted: how many tables were compared.
 */
int32_t load_compare(struct target *target, const struct stage *stage, uint64_t *counted, struct cofre_error *error);

#endif
