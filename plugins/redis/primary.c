#include "redis/primary.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "redis/address.h"
#include "redis/link.h"
#include "redis/wait.h"

#define WORDS_MAX 16
#define CONVERSATION 3000 /* ms that one who connected may take to say who it is */
#define SAID_MAX 16384    /* bytes that it may need for that */
#define SIGN 1000         /* ms between two signs of life */

static int32_t random_text(char out[PRIMARY_ID + 1], struct cofre_error *error)
{
    uint8_t bytes[PRIMARY_ID / 2];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes)
        return cofre_fail_errno(error, errno, "get random bytes");
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return COFRE_OK;
}

int32_t primary_listen(struct primary *primary, struct link *server, struct cofre_call *call, struct cofre_error *error)
{
    *primary = (struct primary){.server = server, .call = call, .listener = -1, .peer = -1};
    int32_t class = random_text(primary->id, error);
    if (class == COFRE_OK)
        class = random_text(primary->mark, error);
    if (class != COFRE_OK)
        return class;
    return address_listen(server, &primary->listener, primary->host, sizeof primary->host, &primary->port, error);
}

static void hang_up(struct primary *p)
{
    if (p->peer >= 0)
        close(p->peer);
    p->peer = -1;
}

void primary_close(struct primary *primary)
{
    hang_up(primary);
    if (primary->listener >= 0)
        close(primary->listener);
    primary->listener = -1;
}

/* ---- sending ---- */

int32_t primary_send(struct primary *primary, const void *p, size_t n, struct cofre_error *error)
{
    const uint8_t *from = p;
    while (n > 0) {
        ssize_t sent = send(primary->peer, from, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            from += sent;
            n -= (size_t)sent;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR) {
            cofre_fail_errno(error, errno, "%s: it ended the connection before it had the whole RDB",
                             primary->server->name);
            cofre_hint(
                error,
                "see the server's log: no space on its disk, no memory, a newer format; what it had is still there");
            return COFRE_E_PERMANENT;
        }
        int32_t class = wait_for(primary->call, primary->peer, POLLOUT, primary->server->conf->patience,
                                 primary->server->name, error);
        if (class != COFRE_OK)
            return class;
    }
    return COFRE_OK;
}

static int32_t say(struct primary *p, const char *text, struct cofre_error *error)
{
    return primary_send(p, text, strlen(text), error);
}

int32_t primary_finish(struct primary *primary, struct cofre_error *error)
{
    return primary_send(primary, primary->mark, PRIMARY_ID, error);
}

bool primary_is_connected(struct primary *primary)
{
    char ignored[4096];
    ssize_t n;
    while ((n = recv(primary->peer, ignored, sizeof ignored, MSG_DONTWAIT)) > 0)
        ;
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

void primary_tend(struct primary *primary)
{
    static const char ping[] = "*1\r\n$4\r\nPING\r\n";
    int64_t now = wait_clock();
    if (now - primary->tended < SIGN)
        return;
    primary->tended = now;
    /* One that does not take these few bytes has gone, and comes back. */
    if (primary_is_connected(primary))
        (void)send(primary->peer, ping, sizeof ping - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
}

/* ---- the handshake ---- */

struct handshake {
    int64_t until;
    size_t said;     /* bytes */
    bool takes_mark; /* capa eof */
    bool asked;      /* PSYNC, and it is the server */
    bool stranger;
};

static bool has_word(const struct redisReply *r, const char *word)
{
    for (size_t i = 0; i < r->elements; i++)
        if (strcasecmp(r->element[i]->str, word) == 0)
            return true;
    return false;
}

/* It names its own replication id, which it made up when it was a primary last. */
static int32_t on_psync(struct primary *p, const struct redisReply *r, struct handshake *h, struct cofre_error *error)
{
    char text[120];
    h->asked = r->elements == 3 && strcmp(r->element[1]->str, p->theirs) == 0;
    h->stranger = !h->asked;
    if (h->stranger)
        return COFRE_OK;
    if (p->keep)
        return say(p, "+CONTINUE\r\n", error);
    if (!h->takes_mark)
        return cofre_fail(error, COFRE_E_UNSUPPORTED, "%s: it takes no RDB as a stream", p->server->name);
    snprintf(text, sizeof text, "+FULLRESYNC %s 0\r\n$EOF:%s\r\n", p->id, p->mark);
    return say(p, text, error);
}

static int32_t answer(struct primary *p, const struct redisReply *r, struct handshake *h, struct cofre_error *error)
{
    const char *verb = r->element[0]->str;
    if (strcasecmp(verb, "PSYNC") == 0)
        return on_psync(p, r, h, error);
    if (strcasecmp(verb, "PING") == 0)
        return say(p, "+PONG\r\n", error);
    if (strcasecmp(verb, "REPLCONF") == 0)
        h->takes_mark |= has_word(r, "eof");
    /* AUTH: it proves itself to us with masterauth. Its replication id is what we go by. */
    return say(p, "+OK\r\n", error);
}

static bool is_command(const struct redisReply *r)
{
    if (r->type != REDIS_REPLY_ARRAY || r->elements < 1 || r->elements > WORDS_MAX)
        return false;
    for (size_t i = 0; i < r->elements; i++)
        if (r->element[i]->type != REDIS_REPLY_STRING)
            return false;
    return true;
}

/* The commands that have arrived, one after another. */
static int32_t answer_all(struct primary *p, struct redisReader *reader, struct handshake *h, struct cofre_error *error)
{
    int32_t class = COFRE_OK;
    while (class == COFRE_OK && !h->asked && !h->stranger) {
        void *got = NULL;
        h->stranger = redisReaderGetReply(reader, &got) != REDIS_OK || (got && !is_command(got));
        if (!got)
            break;
        if (!h->stranger)
            class = answer(p, got, h, error);
        freeReplyObject(got);
    }
    return class;
}

static int32_t converse(struct primary *p, struct redisReader *reader, struct handshake *h, struct cofre_error *error)
{
    char buffer[4096];
    while (!h->asked && !h->stranger) {
        int64_t left = h->until - wait_clock();
        int32_t class = wait_for(p->call, p->peer, POLLIN, left > 0 ? left : 0, p->server->name, error);
        h->stranger = class == COFRE_E_TIMEOUT; /* one who keeps silent keeps the server out */
        if (class != COFRE_OK)
            return h->stranger ? COFRE_OK : class;
        ssize_t n = recv(p->peer, buffer, sizeof buffer, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        h->said += n > 0 ? (size_t)n : 0;
        h->stranger = n <= 0 || h->said > SAID_MAX || redisReaderFeed(reader, buffer, (size_t)n) != REDIS_OK;
        if (!h->stranger && (class = answer_all(p, reader, h, error)) != COFRE_OK)
            return class;
    }
    return COFRE_OK;
}

/* One who connected: *ours when it is the server. */
static int32_t receive_one(struct primary *p, bool *ours, struct cofre_error *error)
{
    struct sockaddr_storage from = {0};
    socklen_t size = sizeof from;
    char text[NI_MAXHOST], line[NI_MAXHOST + 100];
    *ours = false;
    p->peer = accept4(p->listener, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (p->peer < 0)
        return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED
                   ? COFRE_OK
                   : cofre_fail_errno(error, errno, "take the connection of the server");
    struct handshake h = {.until = wait_clock() + CONVERSATION,
                          .stranger = !address_is_server(p->server, &from, text, sizeof text)};
    struct redisReader *reader = redisReaderCreate();
    int32_t class = reader ? converse(p, reader, &h, error) : cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    if (reader)
        redisReaderFree(reader);
    *ours = h.asked;
    if (h.stranger) {
        snprintf(line, sizeof line, "a connection from '%s' is not the server's: turned away", text);
        cofre->log(p->call, COFRE_LOG_WARNING, line);
        hang_up(p);
    }
    return class;
}

int32_t primary_accept(struct primary *primary, bool keep, struct cofre_error *error)
{
    hang_up(primary);
    primary->keep = keep;
    char what[PRIMARY_HOST + 80];
    int64_t until = wait_clock() + primary->server->conf->patience;
    bool ours = false;
    snprintf(what, sizeof what, "wait for the server on '%s:%d'", primary->host, primary->port);
    while (!ours) {
        int64_t left = until - wait_clock();
        int32_t class = wait_for(primary->call, primary->listener, POLLIN, left > 0 ? left : 0, what, error);
        if (class == COFRE_E_TIMEOUT)
            cofre_hint(error, "the server must be able to reach us there: announce_host, announce_port_range");
        if (class == COFRE_OK)
            class = receive_one(primary, &ours, error);
        if (class != COFRE_OK)
            return class;
    }
    return COFRE_OK;
}
