#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/docker/daemon_inside.h"

int64_t daemon_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int daemon_cancel_fd(const struct daemon *daemon, struct cofre_call *call)
{
    return call ? cofre->cancel_fd(call) : daemon->stop;
}

int32_t daemon_cancelled(const struct daemon *daemon, struct cofre_call *call, struct cofre_error *error)
{
    if (call)
        return cofre->cancelled(call, error);
    struct pollfd stop = {.fd = daemon->stop, .events = POLLIN};
    if (daemon->stop >= 0 && poll(&stop, 1, 0) > 0)
        return cofre_fail(error, COFRE_E_CANCELLED, "%s: given up", daemon->name);
    return COFRE_OK;
}

/* ---- callbacks ---- */

static size_t on_give(char *to, size_t size, size_t count, void *context)
{
    struct daemon_transfer *t = context;
    size_t n = t->give(t, to, size * count);
    if (n != CURL_READFUNC_PAUSE)
        t->moved = daemon_clock();
    return n;
}

/* What is more than any refusal has to say is dropped with the connection: the status is what counts. */
static size_t keep_refusal(struct daemon_transfer *t, const char *p, size_t n)
{
    size_t room = sizeof t->refusal - t->refusal_length, fits = n < room ? n : room;
    memcpy(t->refusal + t->refusal_length, p, fits);
    t->refusal_length += fits;
    return fits;
}

static size_t on_take(char *p, size_t size, size_t count, void *context)
{
    struct daemon_transfer *t = context;
    size_t n = size * count;
    if (t->status / 100 != 2)
        return keep_refusal(t, p, n);
    size_t taken = t->take(t, p, n);
    if (taken != CURL_WRITEFUNC_PAUSE)
        t->moved = daemon_clock();
    return taken;
}

static bool header_is(const char *p, size_t n, const char *name)
{
    size_t length = strlen(name);
    return n > length && strncasecmp(p, name, length) == 0 && p[length] == ':';
}

/* Of several heads (100 Continue) the last one counts. */
static size_t on_head(char *p, size_t size, size_t count, void *context)
{
    struct daemon_transfer *t = context;
    size_t n = size * count;
    t->moved = daemon_clock();
    t->head_bytes += n;
    if (t->head_bytes > DAEMON_HEAD_MAX) {
        t->result =
            daemon_refusal_say(t->daemon, t->what, t->error, COFRE_E_PERMANENT, "the head of the answer has no end");
        return 0;
    }
    if (n >= 5 && memcmp(p, "HTTP/", 5) == 0) {
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
        t->bounded = false;
    }
    t->bounded = t->bounded || header_is(p, n, "content-length") || header_is(p, n, "transfer-encoding");
    return n;
}

/* ---- setting up ---- */

static bool set_tls_file(const struct daemon *daemon, CURL *easy, CURLoption option, const char *name, bool must)
{
    char path[sizeof daemon->address.tls + 16];
    snprintf(path, sizeof path, "%s/%s", daemon->address.tls, name);
    if (!must && access(path, F_OK) != 0)
        return false;
    curl_easy_setopt(easy, option, path);
    return true;
}

/* As libcurl would, and kept from programs that are started meanwhile. */
static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)context, (void)purpose;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

void daemon_transfer_address(const struct daemon *daemon, CURL *easy, char cause[CURL_ERROR_SIZE])
{
    curl_easy_reset(easy);
    cause[0] = '\0';
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, cause);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, daemon->address.tls[0] ? "https" : "http");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    /* A resolver that hangs must not hold up a cancellation. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    if (daemon->address.path[0])
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, daemon->address.path);
    if (!daemon->address.tls[0])
        return;
    set_tls_file(daemon, easy, CURLOPT_CAINFO, "ca.pem", true);
    /* A daemon may want no certificate of ours. */
    if (set_tls_file(daemon, easy, CURLOPT_SSLCERT, "cert.pem", false))
        set_tls_file(daemon, easy, CURLOPT_SSLKEY, "key.pem", true);
}

static bool add_header(struct daemon_transfer *t, const char *line)
{
    struct curl_slist *longer = curl_slist_append(t->headers, line);
    t->headers = longer ? longer : t->headers;
    return longer != NULL;
}

static bool set_body(struct daemon_transfer *t, const struct daemon_request *request)
{
    if (t->give) {
        curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_give);
        curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
        curl_easy_setopt(t->easy, CURLOPT_UPLOAD_BUFFERSIZE, DAEMON_BUFFER);
        return add_header(t, "Content-Type: application/x-tar");
    }
    if (!request->body && strcmp(request->method, "POST") != 0)
        return true;
    t->body = request->body ? json_dumps(request->body, JSON_COMPACT) : strdup("");
    if (!t->body)
        return false;
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(t->body));
    curl_easy_setopt(t->easy, CURLOPT_POSTFIELDS, t->body);
    return add_header(t, request->body ? "Content-Type: application/json" : "Content-Type:");
}

static bool set_up(struct daemon_transfer *t, const struct daemon_request *request)
{
    daemon_transfer_address(t->daemon, t->easy, t->cause);
    curl_easy_setopt(t->easy, CURLOPT_URL, t->url);
    curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, request->method);
    curl_easy_setopt(t->easy, CURLOPT_HEADERFUNCTION, on_head);
    curl_easy_setopt(t->easy, CURLOPT_HEADERDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_WRITEFUNCTION, on_take);
    curl_easy_setopt(t->easy, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->easy, CURLOPT_BUFFERSIZE, DAEMON_BUFFER);
    curl_easy_setopt(t->easy, CURLOPT_CONNECTTIMEOUT_MS, (long)t->patience);
    /* On a connection that was used before, libcurl would send a request again by itself. */
    if (strcmp(request->method, "GET") != 0)
        curl_easy_setopt(t->easy, CURLOPT_FRESH_CONNECT, 1L);
    if (t->connect_only) {
        curl_easy_setopt(t->easy, CURLOPT_CONNECT_ONLY, 1L);
        return true;
    }
    bool fine = set_body(t, request) && add_header(t, "Expect:");
    curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    return fine;
}

int32_t daemon_transfer_begin(struct daemon_transfer *t, const struct daemon_request *request,
                              struct cofre_error *error)
{
    snprintf(t->what, sizeof t->what, "%s", request->what ? request->what : "ask");
    t->patience = request->patience > 0 ? request->patience : t->daemon->patience;
    t->moved = daemon_clock();
    int32_t class = daemon_path_url(t->daemon, request, &t->url, error);
    if (class != COFRE_OK)
        return class;
    if (!set_up(t, request))
        return daemon_refusal_say(t->daemon, t->what, error, COFRE_E_MEMORY, "out of memory");
    if (curl_multi_add_handle(t->multi, t->easy) != CURLM_OK)
        return daemon_refusal_say(t->daemon, t->what, error, COFRE_E_PERMANENT, "libcurl takes no request");
    return COFRE_OK;
}

void daemon_transfer_end(struct daemon_transfer *t)
{
    curl_multi_remove_handle(t->multi, t->easy);
    curl_slist_free_all(t->headers);
    free(t->url);
    free(t->body);
    t->headers = NULL;
    t->url = t->body = NULL;
}

/* ---- running ---- */

static int32_t failed(struct daemon_transfer *t, CURLcode code, struct cofre_error *error)
{
    /* A refusal that is cut, or too long to be heard out, is one all the same. */
    t->done = t->status / 100 >= 4 && t->refusal_length > 0 && !t->result;
    if (t->result || t->done)
        return t->result;
    return daemon_refusal_transfer(t->daemon, t->what, t->easy, code, t->cause, error);
}

static int32_t finished(struct daemon_transfer *t, struct cofre_error *error)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(t->multi, &left));) {
        if (m->msg != CURLMSG_DONE || m->easy_handle != t->easy)
            continue;
        if (m->data.result != CURLE_OK)
            return failed(t, m->data.result, error);
        t->done = true;
    }
    return COFRE_OK;
}

static int32_t wait_a_moment(struct daemon_transfer *t, struct cofre_error *error)
{
    struct curl_waitfd cancel = {.fd = daemon_cancel_fd(t->daemon, t->call), .events = CURL_WAIT_POLLIN};
    int32_t class = daemon_cancelled(t->daemon, t->call, error);
    if (class != COFRE_OK)
        return class;
    int64_t left = t->moved + t->patience - daemon_clock();
    if (left <= 0) {
        daemon_refusal_say(t->daemon, t->what, error, COFRE_E_TIMEOUT, "it says nothing for %lld s",
                           (long long)((t->patience + 999) / 1000));
        cofre_hint(error, "does the daemon hang? see its log, and 'docker info'");
        return COFRE_E_TIMEOUT;
    }
    curl_multi_poll(t->multi, &cancel, cancel.fd >= 0, (int)(left < DAEMON_STEP ? left : DAEMON_STEP), NULL);
    return COFRE_OK;
}

int32_t daemon_transfer_run(struct daemon_transfer *t, struct cofre_error *error)
{
    t->error = error;
    t->enough = false;
    t->moved = daemon_clock();
    for (;;) {
        int running;
        if (curl_multi_perform(t->multi, &running) != CURLM_OK)
            return daemon_refusal_say(t->daemon, t->what, error, COFRE_E_PERMANENT, "libcurl does not go on");
        int32_t class = finished(t, error);
        if (class != COFRE_OK || t->done || t->enough)
            return class;
        class = wait_a_moment(t, error);
        if (class != COFRE_OK)
            return class;
    }
}

int32_t daemon_transfer_verdict(const struct daemon_transfer *t, struct cofre_error *error)
{
    if (t->status / 100 == 2 || t->status == 304)
        return COFRE_OK;
    return daemon_refusal_set(t->daemon, t->what, t->status, t->refusal, t->refusal_length, error);
}
