/* One request to the store: built, signed, sent, and its answer judged. */
#ifndef COFRE_S3_REQUEST_H
#define COFRE_S3_REQUEST_H

#include <stddef.h>
#include <stdint.h>

#include "s3/http.h"
#include "s3/sign.h"
#include "s3/store.h"

#define REQUEST_PAIRS 10

struct request {
    const char *method;
    const char *what;                                              /* for messages: "put", "list" */
    const char *key;                                               /* below the prefix; NULL = the bucket itself */
    struct sign_pair query[REQUEST_PAIRS], headers[REQUEST_PAIRS]; /* not encoded; ended by a NULL name */
    /* A body in memory; or one that is signed in pieces: length bytes from read, which gives less than it is asked for
     * only at the end. */
    const void *content;
    int64_t length;
    int32_t (*read)(void *context, void *p, size_t n, size_t *got, struct cofre_error *error);
    void *read_context;
    int32_t (*write)(void *context, const struct http_head *head, const void *p, size_t n, struct cofre_error *error);
    void *write_context;
    int64_t idle;
};

struct answer {
    struct http_head head;
    struct http_body body;
};

/* COFRE_OK: the store did it (status 2xx). Otherwise the class of what it said, with message and hint. answer is to be
 * freed in any case. */
int32_t request_run(struct store *store, struct cofre_call *call, const struct request *request, struct answer *answer,
                    struct cofre_error *error);
void request_free(struct answer *answer);

/* For a class that came from elsewhere (a body that is no XML, a wrong length): put "list 'x' in bucket 'b': " in
 * front. Returns result. */
int32_t request_context(const struct store *store, const struct request *request, int32_t result,
                        struct cofre_error *error);

/* ---- answers (answer.c) ---- */

/* What an answer that is no success means. body may hold <Error>. */
int32_t answer_fail(const struct store *store, const struct request *request, const struct answer *answer,
                    struct cofre_error *error);
/* A success that may hold an error all the same: COFRE_OK when its XML has the root. element as in xml_read. */
int32_t answer_read(const struct store *store, const struct request *request, const struct answer *answer,
                    const char *root,
                    int32_t (*element)(void *context, const char *path, const char *text, struct cofre_error *error),
                    void *context, struct cofre_error *error);

#endif
