#include "s3/http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cofre/plugin.h"

#define SLOWEST 1024L /* bytes per second: what is slower is as good as dead */
#define STEP 1000     /* ms between looks */
#define BUFFER (256L * 1024)

struct http {
    CURLM *multi;
    CURL *easy;
    struct http_options options;
    char cause[CURL_ERROR_SIZE];
};

struct run {
    struct http *http;
    const struct http_exchange *exchange;
    struct http_head *head;
    struct http_body *body;
    size_t capacity;
    struct cofre_error *error;
    int32_t result; /* of a callback: what ended the transfer */
};

void http_body_free(struct http_body *body)
{
    free(body->p);
    *body = (struct http_body){.p = NULL};
}

/* ---- callbacks --------------------------------------------------------------------------------------------------- */

static size_t on_read(char *to, size_t size, size_t count, void *context)
{
    struct run *run = context;
    size_t n = size * count;
    run->result = run->exchange->read(run->exchange->read_context, to, &n, run->error);
    return run->result ? CURL_READFUNC_ABORT : n;
}

static bool collect(struct run *run, const char *p, size_t n)
{
    struct http_body *body = run->body;
    if (body->n + n > HTTP_BODY_MAX) {
        run->result = cofre_fail(run->error, COFRE_E_INTEGRITY, "the answer is larger than any of S3");
        return false;
    }
    if (body->n + n + 1 > run->capacity) {
        size_t capacity = 2 * (body->n + n + 1);
        char *grown = realloc(body->p, capacity);
        if (!grown) {
            run->result = cofre_fail(run->error, COFRE_E_MEMORY, "out of memory");
            return false;
        }
        body->p = grown;
        run->capacity = capacity;
    }
    memcpy(body->p + body->n, p, n);
    body->n += n;
    body->p[body->n] = '\0';
    return true;
}

static int64_t said_length(const struct http *http)
{
    curl_off_t length = -1;
    curl_easy_getinfo(http->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    return length;
}

static size_t on_write(char *p, size_t size, size_t count, void *context)
{
    struct run *run = context;
    size_t n = size * count;
    run->head->length = said_length(run->http);
    long status = run->head->status;
    if (run->exchange->write && (status == 200 || status == 206)) {
        run->result = run->exchange->write(run->exchange->write_context, run->head, p, n, run->error);
        return run->result ? 0 : n;
    }
    return collect(run, p, n) ? n : 0;
}

static const struct {
    const char *name;
    size_t offset, size;
} wanted[] = {
#define HEADER(name, member)                                                                                           \
    {                                                                                                                  \
        name, offsetof(struct http_head, member), sizeof(((struct http_head *)0)->member)                              \
    }
    HEADER("etag", etag),
    HEADER("content-range", content_range),
    HEADER("retry-after", retry_after),
    HEADER("date", date),
    HEADER("last-modified", modified),
    HEADER("x-amz-bucket-region", region),
    HEADER("location", location),
    HEADER("x-amz-server-side-encryption", encryption),
};

static void keep_header(struct http_head *head, const char *name, size_t name_length, const char *value, size_t n)
{
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        if (strlen(wanted[i].name) != name_length || strncasecmp(name, wanted[i].name, name_length) != 0)
            continue;
        char *to = (char *)head + wanted[i].offset;
        n = n < wanted[i].size - 1 ? n : wanted[i].size - 1;
        for (size_t k = 0; k < n; k++)
            to[k] = (value[k] >= 0x20 && value[k] < 0x7f) ? value[k] : '?';
        to[n] = '\0';
    }
}

/* Of several heads (100 Continue) the last one counts. */
static size_t on_header(char *p, size_t size, size_t count, void *context)
{
    struct run *run = context;
    size_t n = size * count, length = n;
    long status = 0;
    if (n >= 5 && memcmp(p, "HTTP/", 5) == 0) {
        memset(run->head, 0, sizeof *run->head);
        curl_easy_getinfo(run->http->easy, CURLINFO_RESPONSE_CODE, &status);
        run->head->status = status;
        return n;
    }
    const char *colon = memchr(p, ':', n);
    if (!colon)
        return n;
    while (length > 0 && strchr("\r\n \t", p[length - 1]))
        length--;
    const char *value = colon + 1;
    while (value < p + length && (*value == ' ' || *value == '\t'))
        value++;
    keep_header(run->head, p, (size_t)(colon - p), value, value < p + length ? (size_t)(p + length - value) : 0);
    return n;
}

/* ---- failures ---------------------------------------------------------------------------------------------------- */

static const struct {
    CURLcode code;
    int32_t class;
    const char *hint;
} failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, COFRE_E_RETRY, "is endpoint right? does this machine resolve names?"},
    {CURLE_COULDNT_RESOLVE_PROXY, COFRE_E_RETRY, "is the proxy in the environment right?"},
    {CURLE_COULDNT_CONNECT, COFRE_E_RETRY, "is the store running, and endpoint right?"},
    {CURLE_OPERATION_TIMEDOUT, COFRE_E_RETRY, ""},
    {CURLE_SEND_ERROR, COFRE_E_RETRY, ""},
    {CURLE_RECV_ERROR, COFRE_E_RETRY, ""},
    {CURLE_GOT_NOTHING, COFRE_E_RETRY, ""},
    {CURLE_PARTIAL_FILE, COFRE_E_RETRY, ""},
    {CURLE_SEND_FAIL_REWIND, COFRE_E_RETRY, ""},
    {CURLE_HTTP2, COFRE_E_RETRY, ""},
    {CURLE_HTTP2_STREAM, COFRE_E_RETRY, ""},
    {CURLE_WEIRD_SERVER_REPLY, COFRE_E_RETRY, "is there a store of S3 at endpoint?"},
    {CURLE_UNSUPPORTED_PROTOCOL, COFRE_E_RETRY, "is there a store of S3 at endpoint?"},
    {CURLE_SSL_CONNECT_ERROR, COFRE_E_RETRY, "does endpoint begin with https:// where the store speaks http?"},
    {CURLE_PEER_FAILED_VERIFICATION, COFRE_E_CONFIG,
     "set ca_file to the authority that signed the store's certificate"},
    {CURLE_SSL_CACERT_BADFILE, COFRE_E_CONFIG, "is ca_file right, and can it be read?"},
    {CURLE_SSL_ISSUER_ERROR, COFRE_E_CONFIG, "set ca_file to the authority that signed the store's certificate"},
    {CURLE_OUT_OF_MEMORY, COFRE_E_MEMORY, ""},
    {CURLE_URL_MALFORMAT, COFRE_E_CONFIG, "is endpoint right?"},
};

static int32_t fail_transfer(struct run *run, CURLcode code)
{
    if (run->result)
        return run->result;
    const char *cause = run->http->cause[0] ? run->http->cause : curl_easy_strerror(code);
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        if (failures[i].code != code)
            continue;
        int32_t class = cofre_fail(run->error, failures[i].class, "%s", cause);
        cofre_hint(run->error, "%s", failures[i].hint);
        return class;
    }
    return cofre_fail(run->error, COFRE_E_PERMANENT, "%s (libcurl error %d)", cause, (int)code);
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static struct curl_slist *header_list(const struct http_exchange *x)
{
    /* What libcurl would add by itself, and what would cost a round trip. */
    static const char *const none[] = {"Accept:", "Expect:", "Content-Type:", "Transfer-Encoding:"};
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < sizeof none / sizeof none[0] + x->header_count; i++) {
        struct curl_slist *longer = curl_slist_append(list, i < 4 ? none[i] : x->headers[i - 4]);
        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

static void set_body(CURL *c, const struct http_exchange *x, struct run *run)
{
    if (strcmp(x->method, "HEAD") == 0)
        curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
    if (x->length < 0)
        return;
    curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)x->length);
    curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(c, CURLOPT_READDATA, run);
    curl_easy_setopt(c, CURLOPT_UPLOAD_BUFFERSIZE, BUFFER);
}

static void set_limits(CURL *c, const struct http *http, const struct http_exchange *x)
{
    int64_t idle = x->idle > 0 ? x->idle : http->options.idle;
    curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)idle);
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)((idle + 999) / 1000));
    curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, SLOWEST);
    curl_easy_setopt(c, CURLOPT_MAX_SEND_SPEED_LARGE, (curl_off_t)http->options.bandwidth);
    curl_easy_setopt(c, CURLOPT_MAX_RECV_SPEED_LARGE, (curl_off_t)http->options.bandwidth);
}

static void set_up(struct run *run, struct curl_slist *headers)
{
    const struct http_exchange *x = run->exchange;
    struct http *http = run->http;
    CURL *c = http->easy;
    curl_easy_reset(c);
    http->cause[0] = '\0';
    curl_easy_setopt(c, CURLOPT_ERRORBUFFER, http->cause);
    curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(c, CURLOPT_BUFFERSIZE, BUFFER);
    curl_easy_setopt(c, CURLOPT_URL, x->url);
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, x->method);
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, run);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, run);
    if (http->options.ca_file)
        curl_easy_setopt(c, CURLOPT_CAINFO, http->options.ca_file);
    if (x->direct)
        curl_easy_setopt(c, CURLOPT_NOPROXY, "*");
    set_body(c, x, run);
    set_limits(c, http, x);
}

static int32_t finished(struct run *run, bool *done)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(run->http->multi, &left));) {
        if (m->msg != CURLMSG_DONE)
            continue;
        *done = true;
        return m->data.result == CURLE_OK ? COFRE_OK : fail_transfer(run, m->data.result);
    }
    return COFRE_OK;
}

static int32_t transfer(struct run *run, struct cofre_call *call)
{
    bool done = false;
    struct curl_waitfd cancel = {.fd = cofre->cancel_fd(call), .events = CURL_WAIT_POLLIN};
    for (;;) {
        int running;
        if (curl_multi_perform(run->http->multi, &running) != CURLM_OK)
            return cofre_fail(run->error, COFRE_E_PERMANENT, "libcurl does not go on");
        int32_t result = finished(run, &done);
        if (done || result)
            return result;
        result = cofre->cancelled(call, run->error);
        if (result)
            return result;
        curl_multi_poll(run->http->multi, &cancel, cancel.fd >= 0, STEP, NULL);
    }
}

int32_t http_run(struct http *http, struct cofre_call *call, const struct http_exchange *exchange,
                 struct http_head *head, struct http_body *body, struct cofre_error *error)
{
    struct run run = {.http = http, .exchange = exchange, .head = head, .body = body, .error = error};
    memset(head, 0, sizeof *head);
    *body = (struct http_body){.p = NULL};
    struct curl_slist *headers = header_list(exchange);
    if (!headers)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    set_up(&run, headers);
    int32_t result = COFRE_E_PERMANENT;
    if (curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
        cofre_fail(error, result, "libcurl takes no request");
    else
        result = transfer(&run, call);
    head->length = said_length(http);
    curl_multi_remove_handle(http->multi, http->easy);
    curl_slist_free_all(headers);
    return result;
}

int32_t http_new(const struct http_options *options, struct http **http, struct cofre_error *error)
{
    struct http *h = calloc(1, sizeof *h);
    if (!h || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        free(h);
        return cofre_fail(error, COFRE_E_MEMORY, "libcurl cannot be started");
    }
    h->options = *options;
    h->multi = curl_multi_init();
    h->easy = curl_easy_init();
    if (!h->multi || !h->easy) {
        http_free(h);
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    }
    *http = h;
    return COFRE_OK;
}

void http_free(struct http *http)
{
    if (!http)
        return;
    curl_easy_cleanup(http->easy);
    curl_multi_cleanup(http->multi);
    free(http);
}
