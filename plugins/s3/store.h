/* The bucket as the options name it, and what has been learnt of the store while working with it. */
#ifndef COFRE_S3_STORE_H
#define COFRE_S3_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include <cofre/plugin.h>

#include "s3/credentials.h"
#include "s3/http.h"

enum { STORE_STYLE_AUTO, STORE_STYLE_PATH, STORE_STYLE_HOST };
enum { STORE_COMPLIANCE, STORE_GOVERNANCE };

struct store_options {
    const char *bucket, *prefix, *endpoint, *region;
    int32_t path_style;
    const char *access_key;
    struct cofre_secret secret_key, session_token;
    const char *profile, *storage_class, *sse, *ca_file;
    int64_t part_size, bandwidth, idle_timeout, parallel, lock;
    int32_t lock_mode;
};

enum store_conditional { STORE_UNKNOWN, STORE_HONOURS, STORE_IGNORES };

struct store {
    const struct store_options *options;
    struct http *http;
    struct credentials credentials;
    char *scheme, *host; /* host: as in the header, the bucket in front with STORE_STYLE_HOST */
    char *base;          /* encoded path before a key: "/", or "/bucket/" */
    char *prefix;        /* of keys: "" or ends with '/' */
    char region[64];
    bool is_aws, is_local, is_plain;    /* plain: http */
    enum store_conditional conditional; /* does a put with If-None-Match spare what is there? */
    bool whole_bodies;              /* it takes no body that is signed in pieces, or keeps the frames of the pieces */
    char spoilt[COFRE_MAX_KEY + 1]; /* an object that we put a moment ago, of which it keeps other bytes; "" = none */
};

/* No request is made. */
int32_t store_open(struct store *store, const struct store_options *options, struct cofre_error *error);
void store_close(struct store *store);

#endif
