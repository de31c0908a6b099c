/* Names of users and groups, and back, each looked up once: the system's databases may be a directory server. */
#ifndef COFRE_COMMON_NAMES_H
#define COFRE_COMMON_NAMES_H

#include <stdint.h>

struct names;

/* NULL: out of memory. */
struct names *names_new(void);
void names_free(struct names *names);

/* *name is NULL when nobody has this number, and valid until the next call. Returns 0 or an errno: whether somebody has
 * it could not be found out, and is not tried again. */
int names_user(struct names *names, uint32_t uid, const char **name);
int names_group(struct names *names, uint32_t gid, const char **name);

/* The number that this name has here; otherwise when it has none, or when that could not be found out. */
uint32_t names_uid(struct names *names, const char *user, uint32_t otherwise);
uint32_t names_gid(struct names *names, const char *group, uint32_t otherwise);

/* The errno of the first number that could not be found out by its name; 0 = there was none. */
int names_failed(const struct names *names);

#endif
