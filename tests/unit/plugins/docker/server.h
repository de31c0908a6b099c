/* A daemon in miniature: a thread for each connection, which answers what the rules say, byte for byte. And the host's
 * side of a call that can be cancelled. */
#ifndef COFRE_TESTS_DOCKER_SERVER_H
#define COFRE_TESTS_DOCKER_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/docker/daemon.h"
#include "cofre/plugin.h"

struct cofre_call {
    int fd; /* eventfd: readable when cancelled */
};
void call_begin(struct cofre_call *call);
void call_cancel(struct cofre_call *call);
void call_end(struct cofre_call *call);

enum server_then {
    SERVER_KEEP,   /* wait for the next request */
    SERVER_CLOSE,  /* end the connection */
    SERVER_SILENT, /* say nothing more, until the server is stopped */
    SERVER_CANCEL  /* cancel the call, and say nothing more */
};

struct server_rule {
    const char *begins; /* the request line, with its method: "GET /v1.41/containers/json"; NULL ends the table */
    const char *answer; /* written as it is; may be NULL */
    size_t length;      /* of it; 0 = its strlen */
    enum server_then then;
    int times;    /* it holds so often; 0 = always */
    size_t piece; /* written in pieces of so many bytes; 0 = at once */
    /* Instead of answer: speak with the peer. */
    void (*handle)(int fd, void *context);
    void *context;
};

struct server;

/* The first rule that fits is taken; "GET /version" is answered, where no rule fits, with that of Docker 20.10. call
 * may be NULL. */
struct server *server_start(const struct server_rule *rules, struct cofre_call *call);
/* The same, over TCP. */
struct server *server_start_tcp(const struct server_rule *rules, struct cofre_call *call);
void server_stop(struct server *server);
const char *server_address(const struct server *server);
/* How many requests began like this; the whole of the last of these, head and body. */
size_t server_count(struct server *server, const char *begins);
const char *server_last(struct server *server, const char *begins);

void server_write(int fd, const void *bytes, size_t length);

/* An answer of this status with a body of JSON; static storage, of the last 64. */
const char *server_json(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct daemon *server_daemon(const struct server *server, int64_t patience);

#endif
