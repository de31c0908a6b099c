#include <jansson.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/docker/exec_inside.h"
#include "common/docker/member.h"
#include "common/failure.h"

#define FIRST_PAUSE 5 /* ms between two looks at a program that is being started */
#define LONGEST_PAUSE 200
#define HEAD_MAX ((size_t)64 << 10)

/* ---- moving bytes ---- */

int32_t exec_receive(struct exec *e, struct cofre_error *error)
{
    size_t n = 0;
    CURLcode code = curl_easy_recv(e->connection.easy, e->in, EXEC_IN, &n);
    e->in_at = e->in_length = 0;
    if (code == CURLE_AGAIN)
        return COFRE_E_BUSY;
    if (code != CURLE_OK)
        return daemon_refusal_transfer(e->daemon, e->what, e->connection.easy, code, e->connection.cause, error);
    e->in_length = n;
    return COFRE_OK;
}

/* until: of daemon_clock. */
static int32_t wait_for_socket(struct exec *e, struct cofre_call *call, short events, int64_t until,
                               struct cofre_error *error)
{
    int64_t left = until - daemon_clock();
    struct pollfd fds[] = {{.fd = e->socket, .events = events},
                           {.fd = daemon_cancel_fd(e->daemon, call), .events = POLLIN}};
    if (left <= 0)
        return daemon_refusal_say(e->daemon, e->what, error, COFRE_E_TIMEOUT, "it says nothing for %lld s",
                                  (long long)((e->connection.patience + 999) / 1000));
    poll(fds, 2, (int)(left < DAEMON_STEP ? left : DAEMON_STEP));
    return daemon_cancelled(e->daemon, call, error);
}

static int32_t send_all(struct exec *e, struct cofre_call *call, const char *p, size_t n, struct cofre_error *error)
{
    int64_t until = daemon_clock() + e->connection.patience;
    while (n > 0) {
        size_t sent = 0;
        CURLcode code = curl_easy_send(e->connection.easy, p, n, &sent);
        if (code != CURLE_OK && code != CURLE_AGAIN)
            return daemon_refusal_transfer(e->daemon, e->what, e->connection.easy, code, e->connection.cause, error);
        p += sent;
        n -= sent;
        int32_t class = sent > 0 ? COFRE_OK : wait_for_socket(e, call, POLLOUT, until, error);
        if (class != COFRE_OK)
            return class;
    }
    return COFRE_OK;
}

/* The next bytes, waited for. in_length 0: the end. */
static int32_t receive(struct exec *e, struct cofre_call *call, struct cofre_error *error)
{
    int64_t until = daemon_clock() + e->connection.patience;
    int32_t class;
    while ((class = exec_receive(e, error)) == COFRE_E_BUSY) {
        class = wait_for_socket(e, call, POLLIN, until, error);
        if (class != COFRE_OK)
            return class;
    }
    return class;
}

/* The same, copied behind the *length bytes of `head`, of HEAD_MAX. */
static int32_t receive_more(struct exec *e, struct cofre_call *call, char *head, size_t *length, bool *more,
                            struct cofre_error *error)
{
    int32_t class = receive(e, call, error);
    size_t fits = e->in_length < HEAD_MAX - *length ? e->in_length : HEAD_MAX - *length;
    memcpy(head + *length, e->in, fits);
    *length += fits;
    e->in_at = fits;
    *more = class == COFRE_OK && e->in_length > 0;
    return class;
}

/* ---- asking for the connection ---- */

static int32_t send_request(struct exec *e, struct cofre_call *call, struct cofre_error *error)
{
    static const char body[] = "{\"Detach\":false,\"Tty\":false}";
    char *text = NULL;
    const char *target = e->connection.url + strlen(e->daemon->address.base);
    int n = asprintf(&text,
                     "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nConnection: Upgrade\r\n"
                     "Upgrade: tcp\r\nContent-Length: %zu\r\n\r\n%s",
                     target, e->daemon->address.host, sizeof body - 1, body);
    if (n < 0)
        return daemon_refusal_say(e->daemon, e->what, error, COFRE_E_MEMORY, "out of memory");
    int32_t class = send_all(e, call, text, (size_t)n, error);
    free(text);
    return class;
}

/* "HTTP/1.1 101 UPGRADED"; -1 = it is no such line. */
static long status_of(const char *head, size_t n)
{
    if (n < 12 || memcmp(head, "HTTP/1.", 7) != 0 || head[8] != ' ')
        return -1;
    long status = 0;
    for (size_t i = 9; i < 12; i++) {
        if (head[i] < '0' || head[i] > '9')
            return -1;
        status = 10 * status + (head[i] - '0');
    }
    return status;
}

/* The answer is no connection: its words, whatever its body is wrapped in. */
static int32_t refused(struct exec *e, struct cofre_call *call, long status, char *head, size_t length,
                       struct cofre_error *error)
{
    bool more = true;
    const char *start, *end;
    for (;;) {
        start = memchr(head, '{', length);
        end = memrchr(head, '}', length);
        if ((start && end) || !more || length == HEAD_MAX)
            break;
        if (receive_more(e, call, head, &length, &more, error) != COFRE_OK)
            break;
    }
    if (daemon_cancelled(e->daemon, call, error) == COFRE_E_CANCELLED)
        return COFRE_E_CANCELLED;
    size_t n = start && end && end > start ? (size_t)(end - start) + 1 : 0;
    return daemon_refusal_set(e->daemon, e->what, status, n ? start : "", n, error);
}

static int32_t receive_head(struct exec *e, struct cofre_call *call, char *head, struct cofre_error *error)
{
    size_t length = 0;
    bool more = true;
    const char *end = NULL;
    while (!end && more && length < HEAD_MAX) {
        int32_t class = receive_more(e, call, head, &length, &more, error);
        if (class != COFRE_OK)
            return class;
        end = memmem(head, length, "\r\n\r\n", 4);
    }
    if (!end && !more)
        return daemon_refusal_say(e->daemon, e->what, error, COFRE_E_RETRY, "it has ended the connection");
    long status = status_of(head, length);
    if (!end || status < 0)
        return daemon_refusal_say(e->daemon, e->what, error, COFRE_E_PERMANENT, "its answer is no HTTP");
    if (status != 101 && status != 200)
        return refused(e, call, status, head, length, error);
    /* What is behind the head belongs to the streams; it came with the last bytes. */
    size_t behind = length - (size_t)(end + 4 - head);
    e->in_at -= behind < e->in_at ? behind : e->in_at;
    return COFRE_OK;
}

int32_t exec_connect(struct exec *e, struct cofre_call *call, struct cofre_error *error)
{
    const struct daemon_request request = {
        .method = "POST", .path = "/exec/%s/start", .segments = DAEMON_WORDS(e->id), .what = e->what};
    e->connection.connect_only = true;
    e->connection.call = call;
    int32_t class = daemon_transfer_begin(&e->connection, &request, error);
    if (class == COFRE_OK)
        class = daemon_transfer_run(&e->connection, error);
    if (class != COFRE_OK)
        return class;
    if (curl_easy_getinfo(e->connection.easy, CURLINFO_ACTIVESOCKET, &e->socket) != CURLE_OK ||
        e->socket == CURL_SOCKET_BAD)
        return daemon_refusal_say(e->daemon, e->what, error, COFRE_E_RETRY, "the connection is gone");
    char *head = malloc(HEAD_MAX);
    if (!head)
        return daemon_refusal_say(e->daemon, e->what, error, COFRE_E_MEMORY, "out of memory");
    class = send_request(e, call, error);
    if (class == COFRE_OK)
        class = receive_head(e, call, head, error);
    free(head);
    e->connection.call = NULL;
    return class;
}

/* ---- has it started? ---- */

int32_t exec_inspect(struct exec *e, struct daemon *daemon, struct cofre_call *call, struct exec_state *state,
                     struct cofre_error *error)
{
    const struct daemon_request request = {
        .method = "GET", .path = "/exec/%s/json", .segments = DAEMON_WORDS(e->id), .what = e->what};
    struct member m = {.wrong = NULL};
    json_t *answer = NULL;
    int32_t class = daemon_ask(daemon, call, &request, &answer, error);
    if (class != COFRE_OK)
        return class;
    *state = (struct exec_state){.running = member_boolean(&m, answer, "Running", false),
                                 .has_code = json_is_integer(json_object_get(answer, "ExitCode")),
                                 .pid = member_integer(&m, answer, "Pid", 0),
                                 .code = member_integer(&m, answer, "ExitCode", 0)};
    if (!m.wrong && !json_is_boolean(json_object_get(answer, "Running")))
        m.wrong = "Running";
    json_decref(answer);
    if (m.wrong)
        return daemon_refusal_say(daemon, e->what, error, COFRE_E_PERMANENT,
                                  "'%s' of its answer is not what the API says", m.wrong);
    return COFRE_OK;
}

static bool says_missing(const char *text)
{
    static const char *const words[] = {"executable file not found", "no such file or directory", "not found in $PATH"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strstr(text, words[i]))
            return true;
    return false;
}

/* Append the next piece, waiting for it. COFRE_END: nothing follows. */
static int32_t hear(struct exec *e, struct cofre_call *call, char *text, size_t *length, size_t room,
                    struct cofre_error *error)
{
    struct exec_frame_piece piece;
    size_t used;
    if (e->in_at == e->in_length) {
        int32_t class = receive(e, call, error);
        return class == COFRE_OK && e->in_length == 0 ? COFRE_END : class;
    }
    if (exec_frame_next(&e->frame, e->in + e->in_at, e->in_length - e->in_at, &used, &piece) < 0)
        return COFRE_END;
    e->in_at += used;
    size_t fits = piece.length < room - *length ? piece.length : room - *length;
    memcpy(text + *length, piece.bytes, fits);
    *length += fits;
    return *length < room ? COFRE_OK : COFRE_END;
}

/* The daemon writes why into the program's own streams. */
static int32_t not_started(struct exec *e, struct cofre_call *call, int64_t code, struct cofre_error *error)
{
    char text[1000], shown[FAILURE_QUOTE_MAX];
    size_t length = 0;
    int32_t heard = COFRE_OK;
    while (heard == COFRE_OK)
        heard = hear(e, call, text, &length, sizeof text - 1, error);
    if (heard == COFRE_E_CANCELLED)
        return heard;
    while (length > 0 && strchr("\r\n ", text[length - 1]))
        length--;
    text[length] = '\0';
    int32_t class = code == 127 || says_missing(text) ? COFRE_E_NOT_FOUND : COFRE_E_PERMANENT;
    if (length > 0)
        return daemon_refusal_say(e->daemon, e->what, error, class, "%s", failure_quote(text, length, shown));
    return daemon_refusal_say(e->daemon, e->what, error, class, "it was not started (status %lld)", (long long)code);
}

/* A pause that ends early when something comes: a program that writes has started. */
static int32_t pause_for(struct exec *e, struct cofre_call *call, int ms, bool *came, struct cofre_error *error)
{
    struct pollfd fds[] = {{.fd = e->socket, .events = POLLIN},
                           {.fd = daemon_cancel_fd(e->daemon, call), .events = POLLIN}};
    *came = e->in_at < e->in_length;
    if (*came)
        return COFRE_OK;
    poll(fds, 2, ms);
    *came = fds[0].revents != 0;
    return daemon_cancelled(e->daemon, call, error);
}

int32_t exec_connect_wait(struct exec *e, struct cofre_call *call, struct cofre_error *error)
{
    struct exec_state state;
    bool came = false;
    int64_t until = daemon_clock() + e->connection.patience;
    for (int pause = FIRST_PAUSE;; pause = 2 * pause < LONGEST_PAUSE ? 2 * pause : LONGEST_PAUSE) {
        bool last = came;
        int32_t class = exec_inspect(e, e->daemon, call, &state, error);
        if (class != COFRE_OK)
            return class;
        if (state.has_code && state.code != 0 && state.pid == 0 && !state.running)
            return not_started(e, call, state.code, error);
        /* Docker calls it running from the moment on that it tries to start it. */
        if (state.pid != 0 || last)
            return COFRE_OK;
        if (daemon_clock() > until)
            return daemon_refusal_say(e->daemon, e->what, error, COFRE_E_TIMEOUT, "it has not started for %lld s",
                                      (long long)((e->connection.patience + 999) / 1000));
        class = pause_for(e, call, pause, &came, error);
        if (class != COFRE_OK)
            return class;
    }
}
