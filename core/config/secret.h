/* Secrets: values that only the program may know.
 *
 * Written in the configuration as @file:PATH (mode 0600 or less, of root or ourselves; one trailing newline is
 * dropped),
 * @env:NAME, @cmd:COMMAND (run by /bin/sh, at most 30 s, its output less one trailing newline), @cred:NAME (a file in
 * $CREDENTIALS_DIRECTORY), or literally, which is allowed only when the configuration file is private; "@@..." is a
 * literal that begins with '@'. Held in memory that is locked (where the limits allow it), that core dumps leave out,
 * and that is wiped when freed.
 */
#ifndef COFRE_CONFIG_SECRET_H
#define COFRE_CONFIG_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define SECRET_MAX 65536

/* Memory for secrets: whole pages, zeroed. NULL when out of memory. secret_free wipes; NULL is fine. */
void *secret_alloc(size_t n);
void secret_free(void *p);

/* Resolve text (see above). literal_allowed: the file it stands in is private. *out has *length bytes and a NUL after
 * them; the caller frees it with secret_free. ERROR_CONFIG otherwise; the message never holds the secret. */
int secret_resolve(const char *text, bool literal_allowed, uint8_t **out, size_t *length, struct error *e);

/* The form alone, as far as it can be known without looking anywhere: what secret_resolve checks first. */
int secret_check(const char *text, bool literal_allowed, struct error *e);

/* What stands at an end of the secret and hardly ever belongs to it, since an editor or a mail program put it there:
 * "ends with a carriage return", ... NULL: nothing does. */
const char *secret_suspicion(const uint8_t *bytes, size_t length);

#endif
