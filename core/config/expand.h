/* ${NAME} in a value becomes the environment variable NAME; $${ is a literal ${. */
#ifndef COFRE_CONFIG_EXPAND_H
#define COFRE_CONFIG_EXPAND_H

struct error;

#define EXPAND_MAX 131072

/* *out is from malloc, at most EXPAND_MAX bytes. A variable that is undefined or empty, a bad name or a missing '}' is
 * ERROR_CONFIG. The message never holds the value. */
int expand_value(const char *text, char **out, struct error *e);

#endif
