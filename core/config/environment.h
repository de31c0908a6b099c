/* The environment as the configuration sees it: that of the process, and, for what is not set there, the variables of
 * env_file, as docker compose keeps them in .env. Of the process, since there is one; nothing of it is given to
 * children.
 *
 * Lines are KEY=VALUE, blank, or begin with '#'; "export " may stand in front. A value in 'single quotes' is taken as
 * it is; in "double quotes" \\, \", \$ and \n are escapes; without quotes it ends before " #", and blanks around it do
 * not count. A '$' that compose would expand is an error where the variable is used. Of two lines for a key the last
 * counts.
 */
#ifndef COFRE_CONFIG_ENVIRONMENT_H
#define COFRE_CONFIG_ENVIRONMENT_H

#include <stdbool.h>

struct error;

#define ENVIRONMENT_FILE_MAX 262144

/* Take env_file in the place of the one before. Refuses a file that others can write. ERROR_CONFIG; then there is none.
 */
int environment_load(const char *path, struct error *e);
/* Forget it, and wipe its values. */
void environment_forget(void);

/* The value, valid until the next load. *private_value: nobody else can read where it stands. ERROR_NOT_FOUND when it
 * is not set, or empty; ERROR_CONFIG when it cannot be used. The message never holds a value. */
int environment_find(const char *name, const char **value, bool *private_value, struct error *e);

#endif
