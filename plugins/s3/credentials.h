/* Who we are to the store. Looked for in the usual order: the section; AWS_ACCESS_KEY_ID and its like; the file
 * ~/.aws/credentials (AWS_SHARED_CREDENTIALS_FILE); the container's (AWS_CONTAINER_CREDENTIALS_*); the machine's
 * (IMDSv2). What expires is fetched again before it does.
 */
#ifndef COFRE_S3_CREDENTIALS_H
#define COFRE_S3_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include <cofre/plugin.h>

#define CREDENTIALS_KEY_MAX 256
#define CREDENTIALS_TOKEN_MAX 4096

struct credentials {
    char access_key[CREDENTIALS_KEY_MAX];
    char secret_key[CREDENTIALS_KEY_MAX];
    char token[CREDENTIALS_TOKEN_MAX]; /* "" = none */
    int64_t expires;                   /* ns; COFRE_NO_TIME = never */
    const char *origin;                /* in words; NULL = nothing found yet */
};

/* What the section says; NULL and 0 = not set. */
struct credentials_options {
    const char *access_key, *profile;
    struct cofre_secret secret_key, token;
};

/* Have credentials that are good for the next minutes: finds them the first time, fetches them again when their end is
 * near. A failure to fetch while the old ones are still valid is a warning. */
int32_t credentials_ready(struct credentials *credentials, const struct credentials_options *options,
                          struct cofre_call *call, struct cofre_error *error);
/* The store called them expired. True when others can be had: the next credentials_ready fetches them. */
bool credentials_expire(struct credentials *credentials);
void credentials_wipe(struct credentials *credentials);

/* ---- the places (credentials_file.c, credentials_metadata.c) ----
 * COFRE_END: there are none there. */
int32_t credentials_from_file(const char *profile, struct credentials *found, struct cofre_error *error);
int32_t credentials_from_metadata(struct cofre_call *call, struct credentials *found, struct cofre_error *error);

/* Copy a value that is one line; false when it is too long or empty. */
bool credentials_copy(char *to, size_t size, const char *from, size_t n);

#endif
