/* The order of paths in a snapshot: component by component, bytewise; '/' comes before every other byte. */
#ifndef COFRE_DOCKER_VOLUME_ORDER_H
#define COFRE_DOCKER_VOLUME_ORDER_H

#include <stdbool.h>

/* As strcmp. */
int order_compare(const char *a, const char *b);

/* Is path below the other one? */
bool order_is_below(const char *path, const char *above);

#endif
