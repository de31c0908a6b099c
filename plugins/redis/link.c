#include "redis/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cofre/plugin.h"
#include "common/docker/inside.h"
#include "redis/fault.h"
#include "redis/wait.h"

#define IDLE 900 /* ms: a server ends no connection earlier, as its timeout is in whole seconds */

static int32_t memory(struct link *link, struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_MEMORY, "%s: out of memory", link->name);
}

static void hang_up(struct link *link)
{
    if (link->redis)
        redisFree(link->redis);
    link->redis = NULL;
}

void link_close(struct link *link)
{
    if (!link)
        return;
    hang_up(link);
    free(link);
}

int link_descriptor(const struct link *link)
{
    return link->redis ? link->redis->fd : -1;
}

bool link_is_local(const struct link *link)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof peer;
    if (link->conf->inside)
        return true;
    if (getpeername(link_descriptor(link), (struct sockaddr *)&peer, &size) < 0)
        return false;
    if (peer.ss_family == AF_INET)
        return ntohl(((struct sockaddr_in *)&peer)->sin_addr.s_addr) >> 24 == 127;
    if (peer.ss_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&peer)->sin6_addr);
    return true;
}

/* ---- connecting ---- */

/* What a server that is being started looks like from outside; its container has no name before. */
static bool may_be_starting(int errnum)
{
    return errnum == ECONNREFUSED || errnum == EHOSTUNREACH || errnum == ENETUNREACH || errnum == ENOENT || errnum == 0;
}

/* errnum 0: the name is not known. */
static int32_t refused(const struct link *link, const char *cause, int errnum, struct cofre_error *error)
{
    int32_t class = may_be_starting(errnum) ? COFRE_E_RETRY : cofre_errno_class(errnum);
    cofre_fail(error, class, "connect to %s: %s", link->name, cause);
    if (link->conf->inside && errnum == ECONNREFUSED)
        cofre_hint(error, "nothing in it listens there: is it starting (wait = 60s), and is this its port?");
    else if (errnum == ECONNREFUSED || errnum == ENOENT)
        cofre_hint(error, "does the server run, and is this its %s?", link->conf->socket ? "socket" : "host and port");
    if (errnum == 0 && !link->conf->socket && !link->conf->inside)
        cofre_hint(error, "nobody here knows that name; if it is that of a container: container = %.60s, not host",
                   link->conf->host);
    error->os_errno = errnum;
    return class;
}

int32_t link_reach(const struct conf *conf, struct cofre_call *call, struct cofre_error *error)
{
    return conf->inside ? inside_reach(conf->inside, call, conf->port, error) : COFRE_OK;
}

static const char *host_of(const struct conf *conf)
{
    return conf->inside ? conf->inside->host : conf->host;
}

static int32_t connect_to(struct link *link, struct cofre_call *call, struct cofre_error *error)
{
    const struct conf *conf = link->conf;
    link->redis =
        conf->socket ? redisConnectUnixNonBlock(conf->socket) : redisConnectNonBlock(host_of(conf), (int)conf->port);
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

/* ---- talking ---- */

static int32_t broken(struct link *link, struct cofre_error *error)
{
    const char *cause = link->redis->err == REDIS_ERR_EOF ? "the server ended the connection" : link->redis->errstr;
    int32_t class = link->redis->err == REDIS_ERR_PROTOCOL ? COFRE_E_PERMANENT : COFRE_E_RETRY;
    cofre_fail(error, class, "%s: %s", link->name, cause);
    if (link->redis->err == REDIS_ERR_PROTOCOL)
        cofre_hint(error, "is that a Redis server, without TLS?");
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

/* hiredis keeps what has come of the answer, so its length is bounded here. */
static int32_t receive(struct link *link, struct cofre_call *call, struct redisReply **reply, struct cofre_error *error)
{
    size_t most = link->redis->reader->len + LINK_REPLY_MAX;
    for (int64_t until = wait_clock() + link->conf->patience;;) {
        void *got = NULL;
        if (redisGetReplyFromReader(link->redis, &got) != REDIS_OK)
            return broken(link, error);
        *reply = got;
        if (got)
            return COFRE_OK;
        if (link->redis->reader->len > most)
            return cofre_fail(error, COFRE_E_PERMANENT, "%s: an answer of more than %u MiB", link->name,
                              LINK_REPLY_MAX >> 20);
        int64_t left = until - wait_clock();
        int32_t class = wait_for(call, link->redis->fd, POLLIN, left > 0 ? left : 0, link->name, error);
        if (class != COFRE_OK)
            return class;
        if (redisBufferRead(link->redis) != REDIS_OK)
            return broken(link, error);
    }
}

/* lengths: NULL = the words are text. */
struct command {
    int count;
    const char **words;
    const size_t *lengths;
};

#define COMMANDS_MAX 3

/* All are sent before the first answer is awaited. replies: one for each, NULL after a failure. A connection on which
 * an answer is still to come is of no use any more. */
static int32_t try_exchange(struct link *link, struct cofre_call *call, size_t n, const struct command *commands,
                            struct redisReply **replies, struct cofre_error *error)
{
    int32_t class = COFRE_OK;
    for (size_t i = 0; i < n; i++) {
        replies[i] = NULL;
        if (class == COFRE_OK &&
            redisAppendCommandArgv(link->redis, commands[i].count, commands[i].words, commands[i].lengths) != REDIS_OK)
            class = memory(link, error);
    }
    if (class == COFRE_OK)
        class = send_all(link, call, error);
    for (size_t i = 0; class == COFRE_OK && i < n; i++)
        class = receive(link, call, &replies[i], error);
    if (class != COFRE_OK)
        hang_up(link);
    for (size_t i = 0; class == COFRE_OK && i < n; i++)
        if (replies[i]->type == REDIS_REPLY_ERROR)
            class = fault_reply(link->name, commands[i].words[0], replies[i]->str, error);
    for (size_t i = 0; class != COFRE_OK && i < n; i++) {
        if (replies[i])
            freeReplyObject(replies[i]);
        replies[i] = NULL;
    }
    link->used = wait_clock();
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
    const struct command command = {.count = count, .words = words, .lengths = lengths};
    int32_t class = try_exchange(link, call, 1, &command, &reply, error);
    if (class == COFRE_OK)
        freeReplyObject(reply);
    return class;
}

static int32_t open_anew(struct link *link, struct cofre_call *call, struct cofre_error *error)
{
    hang_up(link);
    int32_t class = connect_to(link, call, error);
    if (class == COFRE_OK)
        class = authenticate(link, call, error);
    if (class != COFRE_OK)
        hang_up(link);
    return class;
}

int32_t link_open(struct cofre_call *call, const struct conf *conf, struct link **link, struct cofre_error *error)
{
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    l->conf = conf;
    if (conf->socket)
        snprintf(l->name, sizeof l->name, "redis '%s'", conf->socket);
    else if (conf->inside)
        snprintf(l->name, sizeof l->name, "redis in container '%.200s', port %lld", conf->inside->name,
                 (long long)conf->port);
    else
        snprintf(l->name, sizeof l->name, "redis '%s:%lld'", conf->host, (long long)conf->port);
    int32_t class = open_anew(l, call, error);
    if (class != COFRE_OK) {
        link_close(l);
        return class;
    }
    *link = l;
    return COFRE_OK;
}

/* ---- commands ---- */

/* Has the server ended the connection since the last answer? */
static bool has_ended(const struct link *link)
{
    char byte;
    if (!link->redis)
        return true;
    ssize_t n = recv(link->redis->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}

/* It may end it just while the command is on its way. */
static int32_t exchange(struct link *link, struct cofre_call *call, size_t n, const struct command *commands,
                        struct redisReply **replies, struct cofre_error *error)
{
    bool idle = wait_clock() - link->used >= IDLE;
    for (size_t i = 0; i < n; i++)
        replies[i] = NULL;
    int32_t class = has_ended(link) ? open_anew(link, call, error) : COFRE_OK;
    if (class == COFRE_OK)
        class = try_exchange(link, call, n, commands, replies, error);
    if (class != COFRE_E_RETRY || !idle || link->redis)
        return class;
    class = open_anew(link, call, error);
    return class == COFRE_OK ? try_exchange(link, call, n, commands, replies, error) : class;
}

int32_t link_command(struct link *link, struct cofre_call *call, struct redisReply **reply, struct cofre_error *error,
                     int count, const char *const *words)
{
    const char *copy[LINK_WORDS_MAX];
    *reply = NULL;
    if (count > LINK_WORDS_MAX)
        return cofre_fail(error, COFRE_E_BUG, "%s: a command of %d words", link->name, count);
    memcpy(copy, words, (size_t)count * sizeof *copy);
    const struct command command = {.count = count, .words = copy};
    return exchange(link, call, 1, &command, reply, error);
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

/* The text of a reply to INFO, which is given up. */
static int32_t take_info(struct link *link, struct redisReply *reply, char **info, struct cofre_error *error)
{
    bool is_text = reply->type == REDIS_REPLY_STRING;
    *info = is_text ? strndup(reply->str, reply->len) : NULL;
    freeReplyObject(reply);
    if (!is_text)
        return cofre_fail(error, COFRE_E_PERMANENT, "%s: INFO was answered with no text", link->name);
    return *info ? COFRE_OK : memory(link, error);
}

int32_t link_info(struct link *link, struct cofre_call *call, char **info, struct cofre_error *error)
{
    struct redisReply *reply;
    *info = NULL;
    int32_t class = link_command(link, call, &reply, error, LINK_WORDS("INFO"));
    return class == COFRE_OK ? take_info(link, reply, info, error) : class;
}

int32_t link_follow(struct link *link, struct cofre_call *call, bool again, const char *host, const char *port,
                    char **info, struct cofre_error *error)
{
    const char *nobody[] = {"REPLICAOF", "NO", "ONE"}, *look[] = {"INFO"}, *follow[] = {"REPLICAOF", host, port};
    const struct command commands[COMMANDS_MAX] = {
        {.count = 3, .words = nobody}, {.count = 1, .words = look}, {.count = 3, .words = follow}};
    size_t skipped = again ? 0 : 1, n = COMMANDS_MAX - skipped;
    struct redisReply *replies[COMMANDS_MAX];
    *info = NULL;
    int32_t class = exchange(link, call, n, commands + skipped, replies, error);
    if (class != COFRE_OK)
        return class;
    freeReplyObject(replies[n - 1]);
    if (again)
        freeReplyObject(replies[0]);
    return take_info(link, replies[n - 2], info, error);
}
