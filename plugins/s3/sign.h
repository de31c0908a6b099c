/* AWS Signature Version 4, for requests whose headers carry it, and for bodies that are signed piece by piece.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 *
 * Nothing in here knows of the network: text in, text out.
 */
#ifndef COFRE_S3_SIGN_H
#define COFRE_S3_SIGN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIGN_HEX 65 /* a SHA-256 in hex, and its NUL */
#define SIGN_MD5 16
#define SIGN_MD5_TEXT 25 /* in base64, and its NUL */
#define SIGN_DATE_MAX 17 /* 20130524T000000Z */
#define SIGN_TEXT_MAX 4096
#define SIGN_PAIRS_MAX 16

/* Instead of the hash of a body that is sent in signed pieces. */
#define SIGN_STREAMING "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"

struct sign_pair {
    const char *name, *value;
};

struct sign_keys {
    const char *access_key, *secret_key;
};

/* A request as it goes over the wire. */
struct sign_request {
    const char *method;
    const char *path;                /* encoded, begins with '/' */
    const char *query;               /* of sign_query; "" = none */
    const struct sign_pair *headers; /* names in small letters, in any order; host among them. Each is signed. */
    size_t header_count;
    const char *payload_hash; /* hex, or SIGN_STREAMING */
    const char *date;         /* SIGN_DATE_MAX */
    const char *region;
};

/* Of one request; pieces of its body are signed with it. */
struct sign_state {
    uint8_t key[32];
    char date[SIGN_DATE_MAX];
    char scope[128];
    char signature[SIGN_HEX]; /* of the request, then of the last piece */
};

void sign_hash(const void *p, size_t n, char hex[SIGN_HEX]);
void sign_md5(const void *p, size_t n, uint8_t md5[SIGN_MD5]);
/* An MD5 in base64, as Content-MD5 carries it. */
void sign_md5_text(const uint8_t md5[SIGN_MD5], char text[SIGN_MD5_TEXT]);

/* Percent-encode every byte but A-Z a-z 0-9 - . _ ~, and '/' when slash is false. False: out is too small. */
bool sign_encode(const char *text, bool slash, char *out, size_t size);
/* The query: pairs encoded, sorted, joined. A NULL value is written as "name=". False: out is too small. */
bool sign_query(const struct sign_pair *pairs, size_t count, char *out, size_t size);

/* The value of the header Authorization; state is for sign_piece. False: something is too long. */
bool sign_request(const struct sign_keys *keys, const struct sign_request *request, struct sign_state *state, char *out,
                  size_t size);
/* The signature of the next piece of a SIGN_STREAMING body, left in state; an empty piece ends the body. */
void sign_piece(struct sign_state *state, const void *p, size_t n);

#endif
