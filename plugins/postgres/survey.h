/* What the databases have now: for comparing with a snapshot, and for knowing beforehand how much there is. */
#ifndef COFRE_POSTGRES_SURVEY_H
#define COFRE_POSTGRES_SURVEY_H

#include <stdint.h>

#include "postgres/options.h"

/* Say the facts, under the same keys as a backup: of the databases as they are called with `prefix`, when that is set.
 */
int32_t survey_facts(struct cofre_call *call, const struct options *options, struct cofre_error *error);
int32_t survey_estimate(struct cofre_call *call, const struct options *options, int64_t *entries, int64_t *bytes,
                        struct cofre_error *error);

#endif
