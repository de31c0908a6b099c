/* Names, in the order in which they came, each once. */
#ifndef COFRE_POSTGRES_NAMELIST_H
#define COFRE_POSTGRES_NAMELIST_H

#include <stdbool.h>
#include <stddef.h>

struct namelist {
    char **list; /* ends with NULL, once there is a name */
    size_t count;
};

/* A copy of name, unless it is there. false = no memory; then the list is as it was. */
bool namelist_add(struct namelist *names, const char *name);
/* A formatted word, also when it is there already. */
bool namelist_print(struct namelist *names, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool namelist_has(const struct namelist *names, const char *name);
void namelist_free(struct namelist *names);
#define NAMELIST_AUTO __attribute__((cleanup(namelist_free))) struct namelist

#endif
