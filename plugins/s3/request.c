#include "s3/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cofre/plugin.h"

/* A body that is signed in pieces: each of PIECE bytes but the last, then an empty one.
 *   HEX-SIZE;chunk-signature=HEX CRLF bytes CRLF
 * Each costs the store about as much as 30 KiB more would: large ones, as far as memory allows. */
#define PIECE ((size_t)2 << 20)
#define PIECE_HEAD 100
#define LINE_MAX_ (CREDENTIALS_TOKEN_MAX + 64)

struct pieces {
    const struct request *request;
    struct sign_state state;
    uint8_t *frame; /* PIECE_HEAD + PIECE + 2 */
    size_t from, to;
    int64_t left;
    bool ended;
};

struct prepared {
    char url[SIGN_TEXT_MAX];
    char *lines[2 * REQUEST_PAIRS];
    size_t line_count;
    struct pieces pieces;
    size_t sent; /* of a body in memory */
    const struct request *request;
};

static size_t piece_overhead(size_t n)
{
    char hex[20];
    return (size_t)snprintf(hex, sizeof hex, "%zx", n) + strlen(";chunk-signature=") + 64 + 4;
}

static int64_t framed_length(int64_t length)
{
    int64_t whole = length / (int64_t)PIECE, rest = length % (int64_t)PIECE;
    int64_t n = length + whole * (int64_t)piece_overhead(PIECE) + (int64_t)piece_overhead(0);
    return rest ? n + (int64_t)piece_overhead((size_t)rest) : n;
}

static int32_t next_piece(struct pieces *p, struct cofre_error *error)
{
    uint8_t *data = p->frame + PIECE_HEAD;
    size_t want = p->left < (int64_t)PIECE ? (size_t)p->left : PIECE, got = 0;
    int32_t result = want ? p->request->read(p->request->read_context, data, want, &got, error) : COFRE_OK;
    if (result)
        return result;
    if (got < want)
        return cofre_fail(error, COFRE_E_BUG, "the object is shorter than was said");
    char head[PIECE_HEAD];
    sign_piece(&p->state, data, want);
    size_t n = (size_t)snprintf(head, sizeof head, "%zx;chunk-signature=%s\r\n", want, p->state.signature);
    p->from = PIECE_HEAD - n;
    memcpy(p->frame + p->from, head, n);
    memcpy(data + want, "\r\n", 2);
    p->to = PIECE_HEAD + want + 2;
    p->left -= (int64_t)want;
    p->ended = want == 0;
    return COFRE_OK;
}

static int32_t read_pieces(void *context, void *to, size_t *n, struct cofre_error *error)
{
    struct pieces *p = context;
    if (p->from == p->to && !p->ended) {
        int32_t result = next_piece(p, error);
        if (result)
            return result;
    }
    if (*n > p->to - p->from)
        *n = p->to - p->from;
    memcpy(to, p->frame + p->from, *n);
    p->from += *n;
    return COFRE_OK;
}

static int32_t read_memory(void *context, void *to, size_t *n, struct cofre_error *error)
{
    (void)error;
    struct prepared *p = context;
    size_t left = (size_t)p->request->length - p->sent;
    if (*n > left)
        *n = left;
    memcpy(to, (const uint8_t *)p->request->content + p->sent, *n);
    p->sent += *n;
    return COFRE_OK;
}

/* ---- building ---------------------------------------------------------------------------------------------------- */

static size_t count_pairs(const struct sign_pair *pairs)
{
    size_t n = 0;
    while (n < REQUEST_PAIRS && pairs[n].name)
        n++;
    return n;
}

static int32_t too_long(const struct request *r, struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_CONFIG, "%s '%.200s': the address or a header is too long", r->what,
                      r->key ? r->key : "");
}

static bool add_line(struct prepared *p, const char *name, const char *value)
{
    char *line;
    if (p->line_count == sizeof p->lines / sizeof p->lines[0] || asprintf(&line, "%s: %s", name, value) < 0)
        return false;
    p->lines[p->line_count++] = line;
    return true;
}

static void free_lines(struct prepared *p)
{
    for (size_t i = 0; i < p->line_count; i++) {
        explicit_bzero(p->lines[i], strlen(p->lines[i]));
        free(p->lines[i]);
    }
}

static bool make_path(const struct store *s, const struct request *r, char *path, size_t size)
{
    size_t n = strlen(s->base);
    if (n >= size)
        return false;
    memcpy(path, s->base, n + 1);
    if (!r->key) {
        /* The bucket itself: "/bucket" or "/". */
        if (n > 1)
            path[n - 1] = '\0';
        return true;
    }
    if (!sign_encode(s->prefix, false, path + n, size - n))
        return false;
    n += strlen(path + n);
    return sign_encode(r->key, false, path + n, size - n);
}

/* What is signed: the request's own headers, and those that every request has. */
static size_t gather_headers(const struct store *s, const struct request *r, const char *date, const char *hash,
                             const char *decoded, struct sign_pair *headers)
{
    size_t n = count_pairs(r->headers);
    memcpy(headers, r->headers, n * sizeof headers[0]);
    headers[n++] = (struct sign_pair){"host", s->host};
    headers[n++] = (struct sign_pair){"x-amz-content-sha256", hash};
    headers[n++] = (struct sign_pair){"x-amz-date", date};
    if (s->credentials.token[0])
        headers[n++] = (struct sign_pair){"x-amz-security-token", s->credentials.token};
    if (r->read) {
        headers[n++] = (struct sign_pair){"content-encoding", "aws-chunked"};
        headers[n++] = (struct sign_pair){"x-amz-decoded-content-length", decoded};
    }
    return n;
}

static int32_t prepare(const struct store *s, const struct request *r, struct prepared *p, struct cofre_error *error)
{
    char path[SIGN_TEXT_MAX / 2], query[SIGN_TEXT_MAX / 2], hash[SIGN_HEX], date[SIGN_DATE_MAX], decoded[24];
    char authorization[2048];
    struct sign_pair headers[SIGN_PAIRS_MAX];
    struct tm tm;
    time_t now = time(NULL);
    strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", gmtime_r(&now, &tm));
    sign_hash(r->content ? r->content : "", r->content ? (size_t)r->length : 0, hash);
    snprintf(decoded, sizeof decoded, "%lld", (long long)r->length);
    size_t count = gather_headers(s, r, date, r->read ? SIGN_STREAMING : hash, decoded, headers);
    struct sign_keys keys = {s->credentials.access_key, s->credentials.secret_key};
    struct sign_request to_sign = {r->method, path,     query, headers, count, r->read ? SIGN_STREAMING : hash,
                                   date,      s->region};
    if (!make_path(s, r, path, sizeof path) || !sign_query(r->query, count_pairs(r->query), query, sizeof query) ||
        !sign_request(&keys, &to_sign, &p->pieces.state, authorization, sizeof authorization) ||
        (size_t)snprintf(p->url, sizeof p->url, "%s://%s%s%s%s", s->scheme, s->host, path, query[0] ? "?" : "",
                         query) >= sizeof p->url)
        return too_long(r, error);
    for (size_t i = 0; i < count; i++)
        if (!add_line(p, headers[i].name, headers[i].value))
            return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    return add_line(p, "authorization", authorization) ? COFRE_OK : cofre_fail(error, COFRE_E_MEMORY, "out of memory");
}

static int32_t prepare_body(struct prepared *p, struct http_exchange *x, struct cofre_error *error)
{
    const struct request *r = p->request;
    x->length = -1;
    if (r->content || r->length > 0 || strcmp(r->method, "PUT") == 0 || strcmp(r->method, "POST") == 0) {
        x->length = r->length;
        x->read = read_memory;
        x->read_context = p;
    }
    if (!r->read)
        return COFRE_OK;
    p->pieces.request = r;
    p->pieces.left = r->length;
    p->pieces.frame = malloc(PIECE_HEAD + PIECE + 2);
    if (!p->pieces.frame)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    x->length = framed_length(r->length);
    x->read = read_pieces;
    x->read_context = &p->pieces;
    return COFRE_OK;
}

static int32_t exchange(struct store *s, struct cofre_call *call, struct prepared *p, struct answer *answer,
                        struct cofre_error *error)
{
    const struct request *r = p->request;
    struct http_exchange x = {
        .method = r->method, .url = p->url, .write = r->write, .write_context = r->write_context, .idle = r->idle};
    int32_t result = prepare(s, r, p, error);
    if (!result)
        result = prepare_body(p, &x, error);
    if (result)
        return result;
    x.headers = (const char *const *)p->lines;
    x.header_count = p->line_count;
    result = http_run(s->http, call, &x, &answer->head, &answer->body, error);
    /* An error of the host's own is explained already. */
    return result && result != COFRE_E_CANCELLED ? request_context(s, r, result, error) : result;
}

int32_t request_run(struct store *store, struct cofre_call *call, const struct request *request, struct answer *answer,
                    struct cofre_error *error)
{
    *answer = (struct answer){.head = {.length = -1}};
    struct credentials_options who = {.access_key = store->options->access_key,
                                      .profile = store->options->profile,
                                      .secret_key = store->options->secret_key,
                                      .token = store->options->session_token};
    int32_t result = credentials_ready(&store->credentials, &who, call, error);
    if (result)
        return result;
    struct prepared *p = calloc(1, sizeof *p);
    if (!p)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    p->request = request;
    result = exchange(store, call, p, answer, error);
    if (!result && (answer->head.status < 200 || answer->head.status > 299))
        result = answer_fail(store, request, answer, error);
    if (result && strcmp(error->code, "ExpiredToken") == 0 && credentials_expire(&store->credentials))
        result = COFRE_E_RETRY;
    free_lines(p);
    free(p->pieces.frame);
    explicit_bzero(&p->pieces.state, sizeof p->pieces.state);
    free(p);
    return result;
}

void request_free(struct answer *answer)
{
    http_body_free(&answer->body);
}

int32_t request_context(const struct store *store, const struct request *request, int32_t result,
                        struct cofre_error *error)
{
    char cause[sizeof error->message];
    snprintf(cause, sizeof cause, "%s", error->message);
    if (request->key)
        snprintf(error->message, sizeof error->message, "%s '%.200s' in bucket '%.63s': %.200s", request->what,
                 request->key, store->options->bucket, cause);
    else
        snprintf(error->message, sizeof error->message, "%s bucket '%.63s': %.300s", request->what,
                 store->options->bucket, cause);
    return result;
}
