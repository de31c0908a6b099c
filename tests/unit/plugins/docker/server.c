#include "server.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/un.h>
#include <unistd.h>

#define REQUESTS 4096
#define CONNECTIONS 4096
#define REQUEST_MAX (4u << 20)

/* ---- the host ---- */

void call_begin(struct cofre_call *call)
{
    call->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (call->fd < 0)
        abort();
}

void call_cancel(struct cofre_call *call)
{
    if (eventfd_write(call->fd, 1) < 0)
        abort();
}

void call_end(struct cofre_call *call)
{
    close(call->fd);
}

static int32_t host_cancelled(struct cofre_call *call, struct cofre_error *error)
{
    struct pollfd fd = {.fd = call->fd, .events = POLLIN};
    if (poll(&fd, 1, 0) <= 0)
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_CANCELLED, "cancelled");
}

static int host_cancel_fd(struct cofre_call *call)
{
    return call->fd;
}

static const struct cofre_host table = {
    .struct_size = sizeof table, .cancelled = host_cancelled, .cancel_fd = host_cancel_fd};
const struct cofre_host *cofre = &table;

/* ---- the server ---- */

struct server {
    const struct server_rule *rules;
    struct cofre_call *call;
    int used[64]; /* how often each rule was taken */
    int listener, stop;
    char address[128], directory[64];
    pthread_t acceptor, threads[CONNECTIONS];
    size_t thread_count;
    pthread_mutex_t lock;
    char *requests[REQUESTS];
    size_t request_count;
};

struct connection {
    struct server *server;
    int fd;
};

void server_write(int fd, const void *bytes, size_t length)
{
    const char *p = bytes;
    while (length > 0) {
        ssize_t n = send(fd, p, length, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        p += n;
        length -= (size_t)n;
    }
}

static bool is_whole(const char *p, size_t n)
{
    const char *end = memmem(p, n, "\r\n\r\n", 4);
    if (!end)
        return false;
    const char *length = strcasestr(p, "\r\nContent-Length:");
    if (strcasestr(p, "\r\nTransfer-Encoding: chunked"))
        return n >= 5 && memcmp(p + n - 5, "0\r\n\r\n", 5) == 0;
    return !length || n - (size_t)(end + 4 - p) >= (size_t)strtol(length + 17, NULL, 10);
}

static const struct server_rule *choose(struct server *s, const char *request)
{
    for (size_t i = 0; s->rules[i].begins; i++) {
        const struct server_rule *rule = &s->rules[i];
        if (strncmp(request, rule->begins, strlen(rule->begins)) != 0 || (rule->times && s->used[i] >= rule->times))
            continue;
        s->used[i]++;
        return rule;
    }
    static const char version[] =
        "HTTP/1.1 200 OK\r\nContent-Length: 71\r\n\r\n"
        "{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\",\"x\":1}";
    static const struct server_rule hello = {.begins = "", .answer = version};
    static const struct server_rule nothing = {.begins = "",
                                               .answer = "HTTP/1.1 404 Not Found\r\nContent-Length: 21\r\n\r\n"
                                                         "{\"message\":\"no rule\"}"};
    return strncmp(request, "GET /version", 12) == 0 ? &hello : &nothing;
}

static const struct server_rule *record(struct server *s, const char *request)
{
    pthread_mutex_lock(&s->lock);
    const struct server_rule *rule = choose(s, request);
    if (s->request_count < REQUESTS)
        s->requests[s->request_count++] = strdup(request);
    pthread_mutex_unlock(&s->lock);
    return rule;
}

static void wait_for_stop(struct server *s)
{
    struct pollfd stop = {.fd = s->stop, .events = POLLIN};
    poll(&stop, 1, -1);
}

static bool act(struct server *s, int fd, const struct server_rule *rule)
{
    if (rule->handle) {
        rule->handle(fd, rule->context);
    } else if (rule->answer) {
        size_t length = rule->length ? rule->length : strlen(rule->answer), piece = rule->piece ? rule->piece : length;
        for (size_t at = 0; at < length; at += piece)
            server_write(fd, rule->answer + at, piece < length - at ? piece : length - at);
    }
    if (rule->then == SERVER_CANCEL)
        call_cancel(s->call);
    if (rule->then == SERVER_CANCEL || rule->then == SERVER_SILENT)
        wait_for_stop(s);
    return rule->then == SERVER_KEEP;
}

static bool readable(struct server *s, int fd)
{
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = s->stop, .events = POLLIN}};
    poll(fds, 2, -1);
    return fds[1].revents == 0;
}

static void *serve(void *context)
{
    struct connection *c = context;
    struct server *s = c->server;
    char *p = malloc(REQUEST_MAX + 1);
    size_t n = 0;
    if (!p)
        abort();
    while (readable(s, c->fd)) {
        ssize_t got = read(c->fd, p + n, REQUEST_MAX - n);
        if (got <= 0)
            break;
        n += (size_t)got;
        p[n] = '\0';
        if (!is_whole(p, n))
            continue;
        if (!act(s, c->fd, record(s, p)))
            break;
        n = 0;
    }
    close(c->fd);
    free(p);
    free(c);
    return NULL;
}

static void *accept_all(void *context)
{
    struct server *s = context;
    while (readable(s, s->listener)) {
        struct connection *c = malloc(sizeof *c);
        int fd = accept(s->listener, NULL, NULL);
        if (!c || fd < 0 || s->thread_count == CONNECTIONS)
            abort();
        *c = (struct connection){.server = s, .fd = fd};
        if (pthread_create(&s->threads[s->thread_count++], NULL, serve, c) != 0)
            abort();
    }
    return NULL;
}

static struct server *start(const struct server_rule *rules, struct cofre_call *call, int family)
{
    struct server *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->rules = rules;
    s->call = call;
    pthread_mutex_init(&s->lock, NULL);
    s->stop = eventfd(0, EFD_CLOEXEC);
    s->listener = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return s;
}

static struct server *run(struct server *s, const struct sockaddr *address, socklen_t size)
{
    if (bind(s->listener, address, size) != 0 || listen(s->listener, 100) != 0 ||
        pthread_create(&s->acceptor, NULL, accept_all, s) != 0)
        abort();
    return s;
}

struct server *server_start(const struct server_rule *rules, struct cofre_call *call)
{
    struct server *s = start(rules, call, AF_UNIX);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(s->directory, "/tmp/docker-server-XXXXXX");
    if (!mkdtemp(s->directory))
        abort();
    snprintf(address.sun_path, sizeof address.sun_path, "%s/socket", s->directory);
    snprintf(s->address, sizeof s->address, "unix://%s", address.sun_path);
    return run(s, (const struct sockaddr *)&address, sizeof address);
}

struct server *server_start_tcp(const struct server_rule *rules, struct cofre_call *call)
{
    struct server *s = start(rules, call, AF_INET);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    run(s, (const struct sockaddr *)&address, sizeof address);
    if (getsockname(s->listener, (struct sockaddr *)&address, &size) != 0)
        abort();
    snprintf(s->address, sizeof s->address, "tcp://127.0.0.1:%d", ntohs(address.sin_port));
    return s;
}

void server_stop(struct server *s)
{
    if (eventfd_write(s->stop, 1) < 0)
        abort();
    pthread_join(s->acceptor, NULL);
    for (size_t i = 0; i < s->thread_count; i++)
        pthread_join(s->threads[i], NULL);
    if (s->directory[0]) {
        unlink(s->address + strlen("unix://"));
        rmdir(s->directory);
    }
    for (size_t i = 0; i < s->request_count; i++)
        free(s->requests[i]);
    close(s->listener);
    close(s->stop);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

const char *server_address(const struct server *server)
{
    return server->address;
}

size_t server_count(struct server *server, const char *begins)
{
    size_t count = 0;
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->request_count; i++)
        count += strncmp(server->requests[i], begins, strlen(begins)) == 0;
    pthread_mutex_unlock(&server->lock);
    return count;
}

const char *server_last(struct server *server, const char *begins)
{
    const char *last = "";
    pthread_mutex_lock(&server->lock);
    for (size_t i = 0; i < server->request_count; i++)
        if (strncmp(server->requests[i], begins, strlen(begins)) == 0)
            last = server->requests[i];
    pthread_mutex_unlock(&server->lock);
    return last;
}

const char *server_json(int status, const char *format, ...)
{
    static char texts[64][16384];
    static size_t next;
    char body[16000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(body, sizeof body, format, arguments);
    va_end(arguments);
    char *text = texts[next++ % 64];
    snprintf(text, sizeof texts[0],
             "HTTP/1.1 %d Status\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
             strlen(body), body);
    return text;
}

struct daemon *server_daemon(const struct server *server, int64_t patience)
{
    struct cofre_error error = {.struct_size = sizeof error};
    struct daemon *daemon;
    const struct daemon_options options = {.address = server->address, .patience = patience};
    if (daemon_open(&options, &daemon, &error) != COFRE_OK) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    return daemon;
}
