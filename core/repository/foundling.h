/* Foundlings: index objects with our signature and our host's name that this machine does not remember to have stored.
 *
 * Its state was lost, or another machine has the key: a snapshot was copied elsewhere, or somebody copied the key. The
 * full key opens the packs and compares; when they hold what the object says, it is our own from then on. A put key can
 * prove nothing, and what the object describes is not relied on: it is stored again.
 */
#ifndef COFRE_REPOSITORY_FOUNDLING_H
#define COFRE_REPOSITORY_FOUNDLING_H

#include <stddef.h>

struct error;
struct repository;

/* Before anything is stored: with the full key, prove all of them. What comes of it is said; it fails where the sink
 * does. Where hosts trust each other, and with a put key, nothing happens. */
int foundling_prove(struct repository *repository, struct error *e);
/* With a put key: say of how many there are, of the index's objects from number `first` on, that nothing of them is
 * re-used. */
int foundling_warn(const struct repository *repository, size_t first, struct error *e);

#endif
