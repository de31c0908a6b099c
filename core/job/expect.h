/* What is expected of each source of a job: what the last snapshot found whose findings differed in nothing, or which
 * the operator accepted. Kept in the state directory, so that a server that cannot read its own history can compare,
 * too.
 *
 * Compared are the facts that say which thing was read, and what is left out of it. How much it is the publish gate
 * (job/gate.h) looks at. What differs makes the source incomplete, each night, until it is as before or accepted.
 */
#ifndef COFRE_JOB_EXPECT_H
#define COFRE_JOB_EXPECT_H

#include <stdbool.h>
#include <stddef.h>

struct error;
struct expect;
struct manifest;
struct manifest_source;

/* directory: of state_directory. When there is nothing yet, nothing is expected. A damaged file is ERROR_INTEGRITY. */
int expect_load(const char *directory, struct expect **expect, struct error *e);
/* NULL is fine. */
void expect_free(struct expect *expect);

/* Is anything known? */
bool expect_knows(const struct expect *expect);
/* Where nothing is known, since the state was lost: take what the snapshot before says of its sources. */
int expect_learn(struct expect *expect, const struct manifest *before, struct error *e);

/* Compare with what a source has found. Each difference becomes a problem of its row. *differs: there was one. */
int expect_compare(struct expect *expect, struct manifest_source *row, bool *differs, struct error *e);

/* After the commit: what was compared without a difference is expected from now on. Durable. */
int expect_save(const struct expect *expect, struct error *e);

/* Expect from now on what the last run has found. difference is called for each that is accepted: none, when there was
 * none. To be followed by expect_save. */
int expect_accept(struct expect *expect, void (*difference)(void *context, const char *source, const char *text),
                  void *context, struct error *e);

#endif
