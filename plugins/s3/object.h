/* Single objects: put, get, stat, remove, retain. The contracts are those of struct cofre_sink. */
#ifndef COFRE_S3_OBJECT_H
#define COFRE_S3_OBJECT_H

#include "s3/request.h"

int32_t object_put(struct store *store, struct cofre_call *call, const char *key, const struct cofre_put *put,
                   struct cofre_error *error);
int32_t object_get(struct store *store, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                   struct cofre_error *error);
int32_t object_stat(struct store *store, struct cofre_call *call, const char *key, struct cofre_object *object,
                    struct cofre_error *error);
int32_t object_remove(struct store *store, struct cofre_call *call, const char *key, struct cofre_error *error);
int32_t object_retain(struct store *store, struct cofre_call *call, const char *key, int64_t until,
                      struct cofre_error *error);

/* The headers with which an object is made (storage class, encryption), appended to those of the request. */
void object_headers(const struct store *store, struct request *request);

/* Does the answer to a put name the bytes that were sent? COFRE_E_INTEGRITY when it names others. An ETag is the MD5 of
 * the content, unless the store has a key of its own for it or has made a tag of another form, which says nothing. */
int32_t object_compare_tag(const struct store *store, const struct request *request, const struct http_head *head,
                           const uint8_t md5[SIGN_MD5], struct cofre_error *error);

/* Does the store refuse a conditional put where there is an object? Tried out on the object OBJECT_PROBE, once; which
 * stays, so that the next time one request tells. Leaves the answer in store->conditional. */
#define OBJECT_PROBE "~probe"
int32_t object_probe(struct store *store, struct cofre_call *call, struct cofre_error *error);
/* Does it keep what is sent when a body is signed in pieces? Tried out on the object OBJECT_PIECES, which stays too.
 * Leaves the answer in store->whole_bodies. */
#define OBJECT_PIECES "~pieces"
int32_t object_probe_pieces(struct store *store, struct cofre_call *call, struct cofre_error *error);

/* What the host gives, in pieces of any size, read in pieces of ours. */
struct object_source {
    struct cofre_call *call;
    const uint8_t *left;
    size_t count;
    bool ended;
};
/* Up to n bytes; fewer only at the end. As request.read. */
int32_t object_read(void *source, void *p, size_t n, size_t *got, struct cofre_error *error);

/* A put of n bytes in memory. */
int32_t object_put_memory(struct store *store, struct cofre_call *call, const char *key, bool if_absent, const void *p,
                          size_t n, struct cofre_error *error);

#endif
