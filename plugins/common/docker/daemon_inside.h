/* What the files of daemon.h, and exec, share. Nobody else includes this. */
#ifndef COFRE_DOCKER_DAEMON_INSIDE_H
#define COFRE_DOCKER_DAEMON_INSIDE_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/docker/daemon.h"
#include "cofre/plugin.h"

#define DAEMON_STEP 1000 /* ms between looks */
#define DAEMON_URL_MAX 65536
#define DAEMON_REFUSAL_MAX ((size_t)64 << 10) /* bytes of a refusal that are read */
#define DAEMON_HEAD_MAX ((size_t)256 << 10)
#define DAEMON_BUFFER (256L * 1024)

struct daemon_address {
    char text[300]; /* as it was given */
    char base[320]; /* of URLs: "http://localhost" */
    char host[300]; /* for the header Host */
    char path[108]; /* of the UNIX socket; "" = TCP */
    char tls[3800]; /* directory of ca.pem, ...; "" = none */
};

struct daemon {
    struct daemon_address address;
    char name[340];
    char api[32]; /* "/v1.41"; "" = not known yet */
    int64_t patience;
    int stop; /* becomes readable when requests without a call are to end; -1 = they end by patience alone */
    CURLM *multi;
    CURL *easy;
};

/* Look at the options. COFRE_E_CONFIG. */
int32_t daemon_address_read(const struct daemon_options *options, struct daemon_address *address,
                            struct cofre_error *error);

/* Another one for the same address, for another thread: its requests are made without a call, and end when `stop`
 * becomes readable. */
int32_t daemon_again(const struct daemon *daemon, int stop, struct daemon **copy, struct cofre_error *error);

/* Ask, once, which version of the API it speaks. */
int32_t daemon_ready(struct daemon *daemon, struct cofre_call *call, struct cofre_error *error);

/* Of the monotonic clock, ms. */
int64_t daemon_clock(void);

/* COFRE_OK, or why the call ends; call may be NULL: see daemon.stop. */
int32_t daemon_cancelled(const struct daemon *daemon, struct cofre_call *call, struct cofre_error *error);
/* The descriptor to be polled for that; -1 = none. */
int daemon_cancel_fd(const struct daemon *daemon, struct cofre_call *call);

/* The URL of a request, malloc'ed. COFRE_E_NOT_FOUND: a segment that can be no name. */
int32_t daemon_path_url(const struct daemon *daemon, const struct daemon_request *request, char **url,
                        struct cofre_error *error);

/* An answer of this status, with this body, in words and as a class. */
int32_t daemon_refusal_set(const struct daemon *daemon, const char *what, long status, const char *body, size_t length,
                           struct cofre_error *error);
/* libcurl's failure, the same. cause: its own words, or "". */
int32_t daemon_refusal_transfer(const struct daemon *daemon, const char *what, CURL *easy, CURLcode code,
                                const char *cause, struct cofre_error *error);
/* WHAT: DAEMON: TEXT */
int32_t daemon_refusal_say(const struct daemon *daemon, const char *what, struct cofre_error *error,
                           int32_t error_class, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* ---- one exchange ---- */

struct daemon_transfer {
    struct daemon *daemon;
    struct cofre_call *call;
    CURLM *multi;
    CURL *easy;
    char what[300];
    char *url, *body;
    struct curl_slist *headers;
    int64_t patience, moved; /* ms; when a byte came or went last */
    long status;
    size_t head_bytes;
    bool bounded; /* the answer said where it ends */
    bool done;    /* it has ended, well */
    bool enough;  /* set by take and give: daemon_transfer_run may return */
    struct cofre_error *error;
    int32_t result;                   /* what a callback ended it with */
    char refusal[DAEMON_REFUSAL_MAX]; /* the body of an answer that is no 2xx */
    size_t refusal_length;
    char cause[CURL_ERROR_SIZE];
    /* Take the body of a 2xx; CURL_WRITEFUNC_PAUSE is fine. Give the body of the request; NULL = none, or body. */
    size_t (*take)(struct daemon_transfer *, const char *p, size_t n);
    size_t (*give)(struct daemon_transfer *, char *p, size_t room);
    void *context;
    bool connect_only; /* done when connected: what is sent is the caller's business */
};

/* multi and easy are the caller's, and stay; take, give and context are set by it before. */
int32_t daemon_transfer_begin(struct daemon_transfer *transfer, const struct daemon_request *request,
                              struct cofre_error *error);
/* Until it is done, or enough. The class of an answer that is no 2xx, or 304, is not looked at. */
int32_t daemon_transfer_run(struct daemon_transfer *transfer, struct cofre_error *error);
/* It is done: what the daemon says by its status. */
int32_t daemon_transfer_verdict(const struct daemon_transfer *transfer, struct cofre_error *error);
void daemon_transfer_end(struct daemon_transfer *transfer);
/* What each handle is set to, whatever is asked. */
void daemon_transfer_address(const struct daemon *daemon, CURL *easy, char cause[CURL_ERROR_SIZE]);

#endif
