#include "redis/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/failure.h"
#include "redis/fault.h"
#include "redis/wait.h"

static int32_t memory(struct link *link, struct cofre_error *error)
{
    return failure_set(error, COFRE_E_MEMORY, "%s: out of memory", link->name);
}

void link_close(struct link *link)
{
    if (!link)
        return;
    if (link->redis)
        redisFree(link->redis);
    free(link);
}

int link_descriptor(const struct link *link)
{
    return link->redis->fd;
}

bool link_is_local(const struct link *link)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (getpeername(link->redis->fd, (struct sockaddr *)&peer, &size) < 0)
        return false;
    if (peer.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == 127;
    if (peer.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&peer)->sin6_addr);
    return true;
}

/* ---- connecting ---- */

static int32_t refused(const struct link *link, const char *cause, int errnum, struct cofre_error *error)
{
    int32_t class = errnum == ECONNREFUSED || errnum == EHOSTUNREACH || errnum == ENETUNREACH ? COFRE_E_RETRY
                    : errnum                                                                  ? failure_class(errnum)
                                                                                              : COFRE_E_RETRY;
    failure_set(error, class, "connect to %s: %s", link->name, cause);
    if (errnum == ECONNREFUSED || errnum == ENOENT)
        failure_hint(error, "does the server run, and is this its %s?",
                     link->conf->socket ? "socket" : "host and port");
    error->os_errno = errnum;
    return class;
}

static int32_t connect_to(struct link *link, struct cofre_call *call, struct cofre_error *error)
{
    const struct conf *conf = link->conf;
    link->redis =
        conf->socket ? redisConnectUnixNonBlock(conf->socket) : redisConnectNonBlock(conf->host, (int)conf->port);
    if (!link->redis)
        return memory(link, error);
    if (link->redis->err)
        return refused(link, link->redis->errstr, link->redis->err == REDIS_ERR_IO ? errno : 0, error);
    char what[340];
    snprintf(what, sizeof what, "connect to %s", link->name);
    int32_t class = wait_for(call, link->redis->fd, POLLOUT, conf->patience, what, error);
    if (class != COFRE_OK)
        return class;
    int failed = 0;
    socklen_t size = sizeof failed;
    if (getsockopt(link->redis->fd, SOL_SOCKET, SO_ERROR, &failed, &size) < 0)
        failed = errno;
    if (failed)
        return refused(link, strerrordesc_np(failed), failed, error);
    return COFRE_OK;
}

/* ---- commands ---- */

static int32_t broken(struct link *link, struct cofre_error *error)
{
    const char *cause = link->redis->err == REDIS_ERR_EOF ? "the server ended the connection" : link->redis->errstr;
    int32_t class = link->redis->err == REDIS_ERR_PROTOCOL ? COFRE_E_PERMANENT : COFRE_E_RETRY;
    failure_set(error, class, "%s: %s", link->name, cause);
    if (link->redis->err == REDIS_ERR_PROTOCOL)
        failure_hint(error, "is that a Redis server, without TLS?");
    return class;
}

static int32_t send_all(struct link *link, struct cofre_call *call, struct cofre_error *error)
{
    for (int done = 0;;) {
        if (redisBufferWrite(link->redis, &done) != REDIS_OK)
            return broken(link, error);
        if (done)
            return COFRE_OK;
        int32_t class = wait_for(call, link->redis->fd, POLLOUT, link->conf->patience, link->name, error);
        if (class != COFRE_OK)
            return class;
    }
}

static int32_t receive(struct link *link, struct cofre_call *call, struct redisReply **reply, struct cofre_error *error)
{
    for (;;) {
        void *got = NULL;
        if (redisGetReplyFromReader(link->redis, &got) != REDIS_OK)
            return broken(link, error);
        *reply = got;
        if (got)
            return COFRE_OK;
        int32_t class = wait_for(call, link->redis->fd, POLLIN, link->conf->patience, link->name, error);
        if (class != COFRE_OK)
            return class;
        if (redisBufferRead(link->redis) != REDIS_OK)
            return broken(link, error);
    }
}

static int32_t exchange(struct link *link, struct cofre_call *call, struct redisReply **reply,
                        struct cofre_error *error, int count, const char **words, const size_t *lengths)
{
    *reply = NULL;
    if (redisAppendCommandArgv(link->redis, count, words, lengths) != REDIS_OK)
        return memory(link, error);
    int32_t class = send_all(link, call, error);
    if (class == COFRE_OK)
        class = receive(link, call, reply, error);
    if (class != COFRE_OK || (*reply)->type != REDIS_REPLY_ERROR)
        return class;
    class = fault_reply(link->name, words[0], (*reply)->str, error);
    freeReplyObject(*reply);
    *reply = NULL;
    return class;
}

int32_t link_command(struct link *link, struct cofre_call *call, struct redisReply **reply, struct cofre_error *error,
                     int count, const char *const *words)
{
    const char *copy[LINK_WORDS_MAX];
    if (count > LINK_WORDS_MAX)
        return failure_set(error, COFRE_E_BUG, "%s: a command of %d words", link->name, count);
    memcpy(copy, words, (size_t)count * sizeof *copy);
    return exchange(link, call, reply, error, count, copy, NULL);
}

int32_t link_do(struct link *link, struct cofre_call *call, struct cofre_error *error, int count,
                const char *const *words)
{
    struct redisReply *reply;
    int32_t class = link_command(link, call, &reply, error, count, words);
    if (class == COFRE_OK)
        freeReplyObject(reply);
    return class;
}

int32_t link_info(struct link *link, struct cofre_call *call, char **info, struct cofre_error *error)
{
    struct redisReply *reply;
    *info = NULL;
    int32_t class = link_command(link, call, &reply, error, LINK_WORDS("INFO"));
    if (class != COFRE_OK)
        return class;
    if (reply->type == REDIS_REPLY_STRING)
        *info = strndup(reply->str, reply->len);
    class = reply->type != REDIS_REPLY_STRING
                ? failure_set(error, COFRE_E_PERMANENT, "%s: INFO was answered with no text", link->name)
            : *info ? COFRE_OK
                    : memory(link, error);
    freeReplyObject(reply);
    return class;
}

/* ---- opening ---- */

/* Passwords are bytes and not text, hence the lengths. */
static int32_t authenticate(struct link *link, struct cofre_call *call, struct cofre_error *error)
{
    const struct conf *conf = link->conf;
    const char *words[3] = {"AUTH"};
    size_t lengths[3] = {4};
    int count = 1;
    if (!conf->password.length && !conf->user)
        return COFRE_OK;
    if (conf->user) {
        words[count] = conf->user;
        lengths[count++] = strlen(conf->user);
    }
    words[count] = conf->password.length ? (const char *)conf->password.bytes : "";
    lengths[count++] = conf->password.length;
    struct redisReply *reply;
    int32_t class = exchange(link, call, &reply, error, count, words, lengths);
    if (class == COFRE_OK)
        freeReplyObject(reply);
    return class;
}

int32_t link_open(struct cofre_call *call, const struct conf *conf, struct link **link, struct cofre_error *error)
{
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        return failure_set(error, COFRE_E_MEMORY, "out of memory");
    l->conf = conf;
    if (conf->socket)
        snprintf(l->name, sizeof l->name, "redis '%s'", conf->socket);
    else
        snprintf(l->name, sizeof l->name, "redis '%s:%lld'", conf->host, (long long)conf->port);
    int32_t class = connect_to(l, call, error);
    if (class == COFRE_OK)
        class = authenticate(l, call, error);
    if (class != COFRE_OK) {
        link_close(l);
        return class;
    }
    *link = l;
    return COFRE_OK;
}
