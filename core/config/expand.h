/* ${NAME} in a value becomes the variable NAME of the environment (config/environment.h), ${NAME:-TEXT} becomes TEXT
 * when that is not set or empty; $${ is a literal ${. */
#ifndef COFRE_CONFIG_EXPAND_H
#define COFRE_CONFIG_EXPAND_H

#include <stdbool.h>

struct error;

#define EXPAND_MAX 131072

/* *out is from malloc, at most EXPAND_MAX bytes, and may be empty. *private_value: nothing came from where others can
 * read. A variable that is undefined or empty is ERROR_NOT_FOUND; a bad name or a missing '}' is ERROR_CONFIG. The
 * message never holds the value. */
int expand_value(const char *text, char **out, bool *private_value, struct error *e);

#endif
