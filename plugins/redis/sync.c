#include "redis/sync.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cofre/plugin.h"
#include "redis/fault.h"
#include "redis/link.h"
#include "redis/rdb.h"
#include "redis/wait.h"

#define MARK 40 /* bytes that end a stream of unknown length */
#define PIECE (512u << 10)
#define ENOUGH (256u << 10) /* hand over no less, as long as more comes at once */
#define PAUSE 20            /* ms that more may take to come */
#define LINE 1024
#define SLOW 10000 /* ms: longer than this we kept the server waiting */
#define TICK 1000  /* ms */
#define GRACE 10   /* times patience, before its speed is looked at */

struct transfer {
    struct link *link;
    struct cofre_call *call;
    const struct sync_target *target;
    int fd;
    int64_t left; /* of a stream of known length; -1 = until the mark */
    uint8_t mark[MARK], kept[MARK];
    size_t kept_length; /* bytes that may be the beginning of the mark */
    uint64_t received;
    int64_t slowest; /* ms that the target took for one piece */
    int64_t waited;  /* ms for bytes since the RDB began */
    bool ended;
};

/* ---- waiting ---- */

static int32_t silent(const struct transfer *t, struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_TIMEOUT, "%s: no answer for %lld s", t->link->name,
                      (long long)(t->link->conf->patience + 999) / 1000);
}

/* As wait_for, with the target tended. */
static int32_t await_bytes(struct transfer *t, struct cofre_error *error)
{
    int32_t class;
    int64_t patience = t->link->conf->patience, from = wait_clock(), left;
    do {
        left = patience - (wait_clock() - from);
        class = wait_for(t->call, t->fd, POLLIN, left > TICK ? TICK : left > 0 ? left : 0, t->link->name, error);
        if (t->target->tend)
            t->target->tend(t->target->context);
    } while (class == COFRE_E_TIMEOUT && left > TICK);
    return class == COFRE_E_TIMEOUT ? silent(t, error) : class;
}

static int32_t never_begins(const struct transfer *t, struct cofre_error *error)
{
    cofre_fail(error, COFRE_E_TIMEOUT, "%s: its RDB has not begun after %lld s", t->link->name,
               (long long)t->link->conf->start_within / 1000);
    cofre_hint(error, "see the server's log, and rdb_bgsave_in_progress in INFO; start_within is how long it may take");
    return COFRE_E_TIMEOUT;
}

/* ---- the handshake ---- */

/* A server that does not know an option says so, and all goes on without. Missing rights are another matter. */
static int32_t offer(struct transfer *t, const char *option, const char *value, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t class = link_do(t->link, t->call, &why, LINK_WORDS("REPLCONF", option, value));
    if (class == COFRE_OK || class == COFRE_E_PERMANENT)
        return COFRE_OK;
    *error = why;
    return class;
}

static int32_t lost(const struct transfer *t, struct cofre_error *error)
{
    cofre_fail(error, COFRE_E_RETRY, "%s: the server ended the connection after %llu bytes of its RDB", t->link->name,
               (unsigned long long)t->received);
    if (t->slowest > SLOW)
        cofre_hint(error, "it had to wait %lld s for the sinks: raise repl-timeout on the server",
                   (long long)t->slowest / 1000);
    else
        cofre_hint(error, "see the server's log: no memory to fork, a kill, or a limit of its output buffer");
    return COFRE_E_RETRY;
}

static int32_t ask(struct transfer *t, struct cofre_error *error)
{
    static const char request[] = "*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n";
    ssize_t n = send(t->fd, request, sizeof request - 1, MSG_NOSIGNAL);
    return n == (ssize_t)sizeof request - 1 ? COFRE_OK : lost(t, error);
}

/* What is there of a line, at least a byte of it; nothing is taken. */
static int32_t peek(struct transfer *t, char line[LINE], size_t *length, struct cofre_error *error)
{
    for (;;) {
        int32_t class = await_bytes(t, error);
        if (class != COFRE_OK)
            return class;
        ssize_t n = recv(t->fd, line, LINE - 1, MSG_PEEK | MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        *length = n > 0 ? (size_t)n : 0;
        return n > 0 ? COFRE_OK : lost(t, error);
    }
}

/* A line without its end, and not a byte more. Empty ones are the server's way to say that it still works on it. */
static int32_t read_line(struct transfer *t, int64_t until, char line[LINE], struct cofre_error *error)
{
    int64_t begun = 0; /* the line, of which not all is there */
    for (size_t n;;) {
        int32_t class = wait_clock() > until ? never_begins(t, error) : peek(t, line, &n, error);
        if (class == COFRE_OK && begun && wait_clock() - begun > t->link->conf->patience)
            class = silent(t, error);
        if (class != COFRE_OK)
            return class;
        const char *end = memchr(line, '\n', n);
        if (!end && n == LINE - 1)
            return cofre_fail(error, COFRE_E_PERMANENT, "%s: no answer to PSYNC, but something else", t->link->name);
        if (!end) { /* the rest is on its way */
            begun = begun ? begun : wait_clock();
            class = wait_for(t->call, -1, 0, PAUSE, t->link->name, error);
            if (class != COFRE_OK)
                return class;
            continue;
        }
        size_t length = (size_t)(end - line);
        if (recv(t->fd, line, length + 1, MSG_DONTWAIT) != (ssize_t)length + 1)
            return lost(t, error);
        line[length > 0 && line[length - 1] == '\r' ? length - 1 : length] = '\0';
        cofre->progress(t->call, 0, 0);
        begun = 0;
        if (line[0] != '\0')
            return COFRE_OK;
    }
}

static int32_t too_much(const struct transfer *t, struct cofre_error *error)
{
    cofre_fail(error, COFRE_E_PERMANENT, "%s: its RDB has more than %llu bytes, which is more than it can hold",
               t->link->name, (unsigned long long)t->target->most);
    cofre_hint(error, "is that the right server? max_size is how much it may send");
    return COFRE_E_PERMANENT;
}

/* Up to the first byte of the RDB. */
static int32_t begin(struct transfer *t, struct cofre_error *error)
{
    char line[LINE], *end;
    int32_t class;
    int64_t until = wait_clock() + t->link->conf->start_within;
    while ((class = read_line(t, until, line, error)) == COFRE_OK && strncmp(line, "+FULLRESYNC ", 12) == 0)
        if (t->target->replid)
            snprintf(t->target->replid, SYNC_ID + 1, "%.*s", (int)strcspn(line + 12, " "), line + 12);
    if (class != COFRE_OK)
        return class;
    if (line[0] == '-')
        return fault_reply(t->link->name, "PSYNC", line + 1, error);
    if (strncmp(line, "$EOF:", 5) == 0 && strlen(line) == 5 + MARK) {
        memcpy(t->mark, line + 5, MARK);
        t->left = -1;
        return COFRE_OK;
    }
    t->left = strtoll(line + 1, &end, 10);
    if (line[0] != '$' || *end != '\0' || t->left <= 0)
        return cofre_fail(error, COFRE_E_PERMANENT, "%s: PSYNC was answered with '%.80s'", t->link->name, line);
    return (uint64_t)t->left > t->target->most ? too_much(t, error) : COFRE_OK;
}

/* ---- the bytes ---- */

/* Be woken when so many bytes are there, instead of at each of the server's small writes. A UNIX socket does not know
 * how, and wakes us as before. */
static void wake_at(const struct transfer *t, size_t bytes)
{
    int least = (int)bytes;
    (void)setsockopt(t->fd, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

/* False: in PAUSE there came less than that. */
static bool await_more(const struct transfer *t, size_t bytes)
{
    struct pollfd more = {.fd = t->fd, .events = POLLIN};
    wake_at(t, bytes);
    bool ready = poll(&more, 1, PAUSE) > 0;
    wake_at(t, 1);
    return ready;
}

/* Fill p with at least one byte, and with ENOUGH as long as more is there. */
static int32_t fill(struct transfer *t, uint8_t *p, size_t room, size_t *got, struct cofre_error *error)
{
    size_t enough = room < ENOUGH ? room : ENOUGH;
    bool ready = true;
    for (*got = 0; *got < enough;) {
        ssize_t n = recv(t->fd, p + *got, room - *got, MSG_DONTWAIT);
        if (n > 0) {
            *got += (size_t)n;
            t->received += (uint64_t)n;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            return *got > 0 ? COFRE_OK : lost(t, error);
        } else if (*got == 0) {
            int32_t class = await_bytes(t, error);
            if (class != COFRE_OK)
                return class;
        } else if (ready) {
            ready = await_more(t, enough - *got);
        } else {
            return COFRE_OK;
        }
    }
    return COFRE_OK;
}

/* How many of these bytes are the RDB's for certain. The mark, when they end with it, is not. */
static size_t settle(struct transfer *t, const uint8_t *p, size_t n)
{
    if (t->left >= 0) {
        t->left -= (int64_t)n;
        t->ended = t->left == 0;
        return n;
    }
    size_t kept = n < MARK ? n : MARK;
    t->ended = kept == MARK && memcmp(p + n - MARK, t->mark, MARK) == 0;
    memcpy(t->kept, p + n - kept, kept);
    t->kept_length = kept;
    return n - kept;
}

/* The time for which we let the server wait does not count. */
static int32_t check_pace(struct transfer *t, int64_t waited, struct cofre_error *error)
{
    t->waited += waited;
    if (t->received > t->target->most)
        return too_much(t, error);
    if (t->ended || t->waited < GRACE * t->link->conf->patience ||
        t->received / SYNC_SLOWEST >= (uint64_t)t->waited / 1000)
        return COFRE_OK;
    cofre_fail(error, COFRE_E_TIMEOUT, "%s: only %llu bytes of its RDB came in %lld s", t->link->name,
               (unsigned long long)t->received, (long long)t->waited / 1000);
    cofre_hint(error, "look at the network, and at the load of the server");
    return COFRE_E_TIMEOUT;
}

static int32_t pass_piece(struct transfer *t, struct rdb *rdb, struct cofre_error *error)
{
    const struct sync_target *target = t->target;
    void *buffer;
    size_t room = t->left >= 0 && t->left < (int64_t)PIECE ? (size_t)t->left : PIECE, got;
    int64_t asked = wait_clock();
    int32_t class = target->reserve(target->context, &buffer, &room, error);
    if (class != COFRE_OK)
        return class;
    if (t->left < 0 && room <= MARK)
        return cofre_fail(error, COFRE_E_BUG, "no room for %zu bytes", room);
    if (t->left >= 0 && (int64_t)room > t->left)
        room = (size_t)t->left;
    int64_t from = wait_clock();
    if (from - asked > t->slowest)
        t->slowest = from - asked;
    memcpy(buffer, t->kept, t->kept_length);
    uint8_t *p = buffer;
    class = fill(t, p + t->kept_length, room - t->kept_length, &got, error);
    if (class != COFRE_OK)
        return class;
    size_t whole = settle(t, p, t->kept_length + got);
    class = check_pace(t, wait_clock() - from, error);
    if (class == COFRE_OK)
        class = rdb_feed(rdb, p, whole, error);
    return class == COFRE_OK ? target->commit(target->context, whole, error) : class;
}

int32_t sync_receive(struct link *link, struct cofre_call *call, const struct sync_target *target, struct rdb *rdb,
                     struct rdb_summary *summary, struct cofre_error *error)
{
    struct transfer t = {.link = link, .call = call, .target = target};
    int32_t class = offer(&t, "capa", "eof", error);
    if (class == COFRE_OK)
        class = offer(&t, "rdb-only", "1", error);
    t.fd = link_descriptor(link);
    if (class == COFRE_OK)
        class = ask(&t, error);
    if (class == COFRE_OK)
        class = begin(&t, error);
    while (class == COFRE_OK && !t.ended)
        class = pass_piece(&t, rdb, error);
    return class == COFRE_OK ? rdb_end(rdb, summary, error) : class;
}
