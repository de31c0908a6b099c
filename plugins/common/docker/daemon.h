/* A Docker daemon (or Podman's, which speaks the same), by its HTTP API over a UNIX socket, TCP, or TCP with TLS.
 *
 * Every wait can be cancelled, and ends when the daemon says nothing for `patience`. Answers are bounded. Names come
 * from outside: they are escaped here, and nowhere else.
 * The API: https://docs.docker.com/reference/api/engine/
 *
 * What the daemon refuses becomes a class by its HTTP status, its own message in the text: 401 AUTH, 403 DENIED,
 * 404 NOT_FOUND, 502 to 504 and a connection that fails RETRY, any other PERMANENT; error->code holds the status
 * ("409"). A connection that breaks in the middle of an answer is RETRY; one that is silent TIMEOUT. A socket that we
 * may not open is DENIED, certificates that do not fit CONFIG or AUTH. An answer that is not what the API promises (no
 * JSON, a member of another type, no end) is PERMANENT, and never INTEGRITY: in a restore that speaks of what is
 * stored.
 *
 * No request is repeated here. Proxies of the environment are not used, redirections not followed. */
#ifndef COFRE_DOCKER_DAEMON_H
#define COFRE_DOCKER_DAEMON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cofre/plugin.h"

#define DAEMON_ADDRESS "unix:///var/run/docker.sock"
#define DAEMON_ENVIRONMENT "DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_CERT_PATH"
#define DAEMON_ANSWER_MAX (64u << 20) /* bytes of a JSON answer */
#define DAEMON_PATIENCE 60000         /* ms */

struct daemon;

struct daemon_options {
    const char *address; /* unix://PATH, tcp://HOST:PORT; NULL or "" = DOCKER_HOST, and where that is not set
                            DAEMON_ADDRESS */
    const char *tls;  /* directory of ca.pem, cert.pem and key.pem: TLS for tcp://; NULL or "" = DOCKER_CERT_PATH where
                         DOCKER_TLS_VERIFY is set */
    int64_t patience; /* ms; 0 = DAEMON_PATIENCE */
};

struct daemon_about {
    char version[64], api[16], minimum_api[16];
    char product[64]; /* "Docker Engine", "Podman Engine" */
    char id[128];     /* of the daemon; "" where it has none */
    char root[512];   /* DockerRootDir */
};

/* Looks at the options alone (COFRE_E_CONFIG), reaches nothing. */
int32_t daemon_open(const struct daemon_options *options, struct daemon **daemon, struct cofre_error *error);
/* NULL is fine. */
void daemon_close(struct daemon *daemon);

/* "docker at 'unix:///var/run/docker.sock'": the object of messages. */
const char *daemon_name(const struct daemon *daemon);
/* Over a UNIX socket: what it says of files may be true of this machine. */
bool daemon_is_local(const struct daemon *daemon);

/* Who answers. COFRE_E_UNSUPPORTED when it speaks no version of the API that is known here: 1.41 is asked for; the
 * newest that an older daemon has, down to 1.25 (Docker 1.13), in which programs got an environment; the oldest that a
 * newer one has. Every other call asks for that first, once. id and root stay "" where the daemon keeps them to itself
 * (403). */
int32_t daemon_hello(struct daemon *daemon, struct cofre_call *call, struct daemon_about *about,
                     struct cofre_error *error);

/* One request. The path is written with %s for each segment that is not ours, in the order of `segments` (NULL at the
 * end); query is pairs of name and value, ended by NULL. Both may be NULL. */
struct daemon_request {
    const char *method; /* "GET" */
    const char *path;   /* "/containers/%s/json" */
    const char *const *segments;
    const char *const *query;
    const json_t *body; /* NULL = none */
    const char *what;   /* what is being done, for messages: "look at container 'x'" */
    int64_t patience;   /* ms, when other than the daemon's: stopping takes its time */
};
#define DAEMON_WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* *answer: the caller's, json_decref; NULL when the daemon said nothing (204, 304). answer may be NULL. */
int32_t daemon_ask(struct daemon *daemon, struct cofre_call *call, const struct daemon_request *request,
                   json_t **answer, struct cofre_error *error);

/* The body of an answer, as it comes. One stream at a time for a daemon; daemon_ask may be used meanwhile. A daemon
 * that fails in the middle of an archive ends the answer as if it were whole, often with its complaint, as JSON, behind
 * what it had sent: whoever reads an archive looks for the archive's own end, and for nothing behind it. */
struct daemon_stream;
int32_t daemon_stream_open(struct daemon *daemon, struct cofre_call *call, const struct daemon_request *request,
                           struct daemon_stream **stream, struct cofre_error *error);
/* *got 0 = the end, and all of it has come. */
int32_t daemon_stream_read(struct daemon_stream *stream, void *bytes, size_t room, size_t *got,
                           struct cofre_error *error);
/* The same the other way: the body of a PUT or POST (request->body is NULL), then the daemon's verdict: its status, and
 * an "error" in the last line of its answer. It may come early, and is then what write returns. */
int32_t daemon_stream_send(struct daemon *daemon, struct cofre_call *call, const struct daemon_request *request,
                           struct daemon_stream **stream, struct cofre_error *error);
int32_t daemon_stream_write(struct daemon_stream *stream, const void *bytes, size_t length, struct cofre_error *error);
int32_t daemon_stream_end(struct daemon_stream *stream, struct cofre_error *error);
/* Abandons what has not ended. NULL is fine. */
void daemon_stream_free(struct daemon_stream *stream);

#endif
