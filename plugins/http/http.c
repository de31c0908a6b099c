/* One request for each event. template.c: what stands in it. */
#include <stdbool.h>
#include <stdlib.h>
#include <strings.h>
#include <time.h>

#include "common/curl/transfer.h"
#include "http/template.h"

#define ANSWER_MAX 65536      /* bytes of an answer that are read */
#define ANSWER_TIME 1         /* s that it may take once its status is known */
#define HEAD_MAX (256 * 1024) /* bytes of a head */
#define LATER_MAX 3600        /* s of Retry-After that are believed */

struct conf {
    struct cofre_secret url, headers;
    const char *method, *content_type, *body, *ca_file;
    int64_t redirects;
};

#define O(name, TYPE, flags, fallback, help) COFRE_OPTION(struct conf, name, TYPE, flags, fallback, help)

static const struct cofre_option rows[] = {
    O(url, SECRET, COFRE_O_REQUIRED, NULL, "where to; {event} and the like are filled in"),
    O(method, STRING, 0, "POST", "POST, PUT or GET"),
    O(headers, SECRET, 0, NULL, "lines NAME: VALUE; {event} and the like are filled in"),
    O(content_type, STRING, 0, "application/json", "of the body, which says how what is filled in is written"),
    O(body, STRING, 0, "{json}", "what is sent; {event} and the like are filled in"),
    O(ca_file, PATH, COFRE_O_TRUSTED, NULL, "authorities to trust instead of the system's, PEM"),
    COFRE_OPTION_RANGE(struct conf, redirects, INTEGER, 0, "0", 0, 5, "how many redirections are followed"),
};

/* ---- life ---- */

static bool is_token(const char *text)
{
    return *text && text[strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-")] == '\0';
}

static int32_t http_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    const struct conf *c = conf;
    if (!is_token(c->method))
        return cofre_fail(error, COFRE_E_CONFIG, "'method': '%.40s' is none", c->method);
    if (strpbrk(c->content_type, "\r\n"))
        return cofre_fail(error, COFRE_E_CONFIG, "'content_type': it must be one line");
    int32_t class = template_check("body", c->body, strlen(c->body), error);
    if (class == COFRE_OK)
        class = transfer_start(error);
    memcpy(instance, &conf, sizeof conf);
    return class;
}

static void http_close(void *instance)
{
    (void)instance;
}

/* ---- one request ---- */

struct request {
    const struct conf *conf;
    CURL *easy;
    struct curl_slist *headers;
    char *url, *body;
    long status; /* of the answer whose head is complete; 0 = none */
    time_t answered;
    size_t head, taken; /* bytes */
    uint32_t later;     /* ms, that it asks for */
};

/* The bytes of a secret that are its text, without the end of the last line. */
static size_t text_length(const struct cofre_secret *secret)
{
    size_t n = secret->length;
    while (n > 0 && (secret->bytes[n - 1] == '\n' || secret->bytes[n - 1] == '\r'))
        n--;
    return n;
}

static int32_t fill_secret(const char *option, const struct cofre_secret *secret, enum template_escape escape,
                           const struct cofre_event *event, char **out, struct cofre_error *error)
{
    const char *text = (const char *)secret->bytes;
    size_t n = text_length(secret);
    if (n > 0 && memchr(text, '\0', n))
        return cofre_fail(error, COFRE_E_CONFIG, "'%s' is no text", option);
    int32_t class = template_check(option, n ? text : "", n, error);
    return class == COFRE_OK ? template_fill(n ? text : "", n, escape, event, out, error) : class;
}

static int32_t add_header(struct request *r, const char *line, struct cofre_error *error)
{
    struct curl_slist *longer = curl_slist_append(r->headers, line);
    if (!longer)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    r->headers = longer;
    return COFRE_OK;
}

static int32_t add_headers(struct request *r, const struct cofre_event *event, struct cofre_error *error)
{
    char type[300], *lines = NULL, *rest;
    snprintf(type, sizeof type, "Content-Type: %.250s", r->conf->content_type);
    int32_t class = add_header(r, type, error);
    if (class == COFRE_OK)
        class = add_header(r, "Expect:", error);
    if (class == COFRE_OK)
        class = fill_secret("headers", &r->conf->headers, TEMPLATE_LINE, event, &lines, error);
    for (char *line = class == COFRE_OK ? strtok_r(lines, "\r\n", &rest) : NULL; line && class == COFRE_OK;
         line = strtok_r(NULL, "\r\n", &rest))
        class = strchr(line, ':') ? add_header(r, line, error)
                                  : cofre_fail(error, COFRE_E_CONFIG, "'headers': a line is not NAME: VALUE");
    if (lines)
        explicit_bzero(lines, strlen(lines));
    free(lines);
    return class;
}

static size_t on_header(char *p, size_t size, size_t count, void *context)
{
    struct request *r = context;
    size_t n = size * count;
    long status = 0;
    r->head += n;
    if (r->head > HEAD_MAX)
        return 0;
    if (n > 12 && strncasecmp(p, "retry-after:", 12) == 0) {
        char value[16] = "";
        memcpy(value, p + 12, n - 12 < sizeof value - 1 ? n - 12 : sizeof value - 1);
        long seconds = strtol(value, NULL, 10);
        r->later = (uint32_t)(seconds < 0 ? 0 : seconds > LATER_MAX ? LATER_MAX : seconds) * 1000;
    }
    if (n > 2 || curl_easy_getinfo(r->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK || status < 200)
        return n;
    r->status = status;
    r->answered = time(NULL);
    return n;
}

static size_t on_write(char *p, size_t size, size_t count, void *context)
{
    (void)p;
    struct request *r = context;
    r->taken += size * count;
    return r->taken > ANSWER_MAX ? 0 : size * count;
}

/* Its status is all that matters; what comes behind it is read out of courtesy. */
static bool has_answered(void *context)
{
    const struct request *r = context;
    return r->status > 0 && time(NULL) - r->answered >= ANSWER_TIME;
}

static void set_up(const struct request *r, bool connect_only)
{
    CURL *c = r->easy;
    curl_easy_setopt(c, CURLOPT_URL, r->url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(c, CURLOPT_USERAGENT, "cofre");
    curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(c, CURLOPT_HEADERDATA, r);
    curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_write);
    curl_easy_setopt(c, CURLOPT_WRITEDATA, r);
    curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, r->conf->redirects > 0 ? 1L : 0L);
    curl_easy_setopt(c, CURLOPT_MAXREDIRS, (long)r->conf->redirects);
    curl_easy_setopt(c, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL);
    if (connect_only) {
        curl_easy_setopt(c, CURLOPT_CONNECT_ONLY, 1L);
        return;
    }
    curl_easy_setopt(c, CURLOPT_HTTPHEADER, r->headers);
    if (strcasecmp(r->conf->method, "GET") == 0)
        return;
    curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->body);
    curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)strlen(r->body));
    curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, r->conf->method);
}

/* ---- what came of it ---- */

static const struct {
    long from, to;
    int32_t class;
    const char *hint;
} answers[] = {
    {300, 399, COFRE_E_CONFIG, "write the address that it leads to into 'url', or let 'redirects' be more than 0"},
    {401, 401, COFRE_E_AUTH, "is what 'headers' and 'url' say of us right?"},
    {403, 403, COFRE_E_DENIED, "is what 'headers' and 'url' say of us right?"},
    {404, 404, COFRE_E_NOT_FOUND, "is 'url' right?"},
    {405, 405, COFRE_E_CONFIG, "is 'method' right?"},
    {408, 408, COFRE_E_RETRY, ""},
    {410, 410, COFRE_E_NOT_FOUND, "is 'url' right?"},
    {425, 425, COFRE_E_RETRY, ""},
    {429, 429, COFRE_E_RETRY, ""},
    {400, 499, COFRE_E_PERMANENT, "are 'body' and 'content_type' what is wanted there?"},
    {500, 599, COFRE_E_RETRY, ""},
};

static int32_t judge(const struct request *r, struct cofre_error *error)
{
    if (r->status >= 200 && r->status <= 299)
        return COFRE_OK;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++)
        if (r->status >= answers[i].from && r->status <= answers[i].to) {
            cofre_fail(error, answers[i].class, "send the request: the answer is status %ld", r->status);
            cofre_hint(error, "%s", answers[i].hint);
            error->retry_after = answers[i].class == COFRE_E_RETRY ? r->later : 0;
            return answers[i].class;
        }
    return cofre_fail(error, COFRE_E_RETRY, "send the request: the answer is status %ld, which there is not",
                      r->status);
}

static int32_t exchange(struct cofre_call *call, struct request *r, bool connect_only, struct cofre_error *error)
{
    CURLcode code = CURLE_OK;
    r->easy = transfer_handle(r->conf->ca_file);
    if (!r->easy)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    set_up(r, connect_only);
    int32_t class = transfer_run(call, r->easy, has_answered, r, &code, error);
    if (class != COFRE_OK && r->status == 0)
        return class;
    bool followed = r->conf->redirects > 0 && r->status >= 300 && r->status <= 399;
    if (code != CURLE_OK && (r->status == 0 || followed))
        return transfer_fail(code, connect_only ? "reach the server" : "send the request", error);
    return connect_only ? COFRE_OK : judge(r, error);
}

static enum template_escape escape_of(const char *content_type)
{
    return strcasestr(content_type, "json")                    ? TEMPLATE_JSON
           : strcasestr(content_type, "x-www-form-urlencoded") ? TEMPLATE_URL
                                                               : TEMPLATE_PLAIN;
}

static int32_t fill(struct request *r, const struct cofre_event *event, struct cofre_error *error)
{
    const struct conf *c = r->conf;
    int32_t class = fill_secret("url", &c->url, TEMPLATE_URL, event, &r->url, error);
    if (class == COFRE_OK && strncasecmp(r->url, "http://", 7) != 0 && strncasecmp(r->url, "https://", 8) != 0)
        return cofre_fail(error, COFRE_E_CONFIG, "'url' begins with neither http:// nor https://");
    if (class == COFRE_OK && strpbrk(r->url, " \t\r\n"))
        return cofre_fail(error, COFRE_E_CONFIG, "'url' has a blank in it");
    if (class == COFRE_OK)
        class = template_fill(c->body, strlen(c->body), escape_of(c->content_type), event, &r->body, error);
    return class == COFRE_OK ? add_headers(r, event, error) : class;
}

static void release(struct request *r)
{
    curl_easy_cleanup(r->easy);
    curl_slist_free_all(r->headers);
    if (r->url)
        explicit_bzero(r->url, strlen(r->url));
    free(r->url);
    free(r->body);
}

static int32_t http_notify(void *instance, struct cofre_call *call, const struct cofre_event *event,
                           struct cofre_error *error)
{
    struct request r = {.conf = instance};
    int32_t class = fill(&r, event, error);
    if (class == COFRE_OK)
        class = exchange(call, &r, false, error);
    release(&r);
    return class;
}

/* As far as can be without telling anybody. */
static int32_t http_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    const struct cofre_event none = {
        .id = "x", .event = "test", .host = "x", .job = "x", .sink = "x", .title = "x", .text = "x", .json = "{}"};
    struct request r = {.conf = instance};
    if (depth == COFRE_CHECK_OFFLINE)
        return COFRE_OK;
    if (depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    int32_t class = fill(&r, &none, error);
    if (class == COFRE_OK)
        class = exchange(call, &r, true, error);
    if (class == COFRE_OK)
        cofre->finding(call, COFRE_LOG_INFO, "the server can be reached; nothing was sent", NULL);
    release(&r);
    return class;
}

static const struct cofre_notifier notifier = {
    .struct_size = sizeof notifier,
    .open = http_open,
    .close = http_close,
    .check = http_check,
    .notify = http_notify,
};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = 2,
    .name = "http",
    .version = "0.1.0",
    .summary = "a request to a web hook: ntfy, Slack, Telegram, healthchecks",
    .license = "MIT",
    .example = "url = @file:/etc/cofre/secrets/hook\ncontent_type = application/json\nbody = {\"text\": \"{title}\"}\n",
    .options = COFRE_OPTIONS(struct conf, rows),
    .environment = "http_proxy https_proxy HTTPS_PROXY all_proxy ALL_PROXY no_proxy NO_PROXY",
    .notifier = &notifier,
};

COFRE_PLUGIN(plugin)
