/* What is said of snapshots, looked at: is each removal record, pin and proof one that counts? */
#ifndef COFRE_REPOSITORY_VERIFY_RECORD_H
#define COFRE_REPOSITORY_VERIFY_RECORD_H

struct error;
struct repository;

/* Of that host and job (NULL = any). wrong is told of each that says nothing, and why. */
int verify_record_each(struct repository *repository, const char *host, const char *job,
                       void (*wrong)(void *context, const char *key, const struct error *why), void *context,
                       struct error *e);

#endif
