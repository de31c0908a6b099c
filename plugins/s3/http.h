/* One HTTP exchange at a time, with libcurl: watched for cancellation, for silence, and never redirected. */
#ifndef COFRE_S3_HTTP_H
#define COFRE_S3_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cofre/plugin.h>

struct http;

/* A time that a store or a service has said, in ns; what lies beyond the range of that is its end. */
static inline int64_t http_time(struct tm *tm)
{
    int64_t seconds = timegm(tm), most = INT64_MAX / 1000000000;
    return (seconds > most ? most : seconds < -most ? -most : seconds) * 1000000000;
}

struct http_options {
    const char *ca_file; /* NULL = the system's */
    int64_t idle;        /* ms that a connection may move less than 1 KiB/s */
    int64_t bandwidth;   /* bytes per second, each way; 0 = no limit */
};

/* The parts of an answer's head that matter here; "" = not there. */
struct http_head {
    long status;
    int64_t length; /* Content-Length; -1 = not said */
    char etag[256], content_range[96], retry_after[48], date[48], modified[48], region[64], location[256];
    char encryption[64];
};

#define HTTP_BODY_MAX ((size_t)16 << 20)
#define HTTP_HEADERS_MAX 20

struct http_exchange {
    const char *method, *url;
    const char *const *headers; /* whole lines; what libcurl adds by itself is taken away */
    size_t header_count;
    /* The body to send; length -1 = none. read gives up to *n bytes, 0 at the end. */
    int64_t length;
    int32_t (*read)(void *context, void *p, size_t *n, struct cofre_error *error);
    void *read_context;
    /* Takes the body of an answer with status 200 or 206, and sees its head before the first byte. NULL: it is
     * collected in *body, as every other answer's is. */
    int32_t (*write)(void *context, const struct http_head *head, const void *p, size_t n, struct cofre_error *error);
    void *write_context;
    int64_t idle; /* instead of the option's; 0 = the option's */
    bool direct;  /* without a proxy */
};

struct http_body {
    char *p; /* NUL terminated, or NULL */
    size_t n;
};

int32_t http_new(const struct http_options *options, struct http **http, struct cofre_error *error);
void http_free(struct http *http);

/* COFRE_OK: an answer came, whatever its status. body: freed by the caller with http_body_free, always.
 * Errors name neither method nor object: the caller does. */
int32_t http_run(struct http *http, struct cofre_call *call, const struct http_exchange *exchange,
                 struct http_head *head, struct http_body *body, struct cofre_error *error);
void http_body_free(struct http_body *body);

#endif
