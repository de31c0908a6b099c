#include "s3/store.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cofre/plugin.h"
#include "s3/sign.h"

#define PREFIX_MAX 400
#define AWS_DOMAIN ".amazonaws.com"

static int32_t no_memory(struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
}

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* Amazon's own rule, which the other stores keep to as well, less strict where they are. */
static int32_t check_bucket(const char *bucket, struct cofre_error *error)
{
    size_t n = strlen(bucket);
    if (n >= 1 && n <= 255 &&
        bucket[strspn(bucket, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_")] == 0 &&
        bucket[0] != '.' && !strstr(bucket, ".."))
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_CONFIG, "bucket '%.100s' is no name of a bucket", bucket);
}

/* Every run reads what it has stored. */
static int32_t check_class(const char *name, struct cofre_error *error)
{
    static const char *const archives[] = {"GLACIER", "DEEP_ARCHIVE"};
    for (size_t i = 0; i < sizeof archives / sizeof archives[0]; i++) {
        if (!name || strcasecmp(name, archives[i]) != 0)
            continue;
        cofre_fail(error, COFRE_E_CONFIG, "storage_class = %s: what is stored so cannot be read at once", archives[i]);
        cofre_hint(error, "choose one that can: STANDARD_IA, GLACIER_IR");
        return COFRE_E_CONFIG;
    }
    return COFRE_OK;
}

static int32_t take_prefix(struct store *s, const char *prefix, struct cofre_error *error)
{
    if (!prefix)
        prefix = "";
    prefix += strspn(prefix, "/");
    size_t n = strlen(prefix);
    if (n > PREFIX_MAX)
        return cofre_fail(error, COFRE_E_CONFIG, "prefix is longer than %d bytes", PREFIX_MAX);
    s->prefix = calloc(1, n + 2);
    if (!s->prefix)
        return no_memory(error);
    memcpy(s->prefix, prefix, n);
    if (n > 0 && prefix[n - 1] != '/')
        s->prefix[n] = '/';
    return COFRE_OK;
}

static void take_region(struct store *s, const char *region)
{
    const char *names[] = {region, getenv("AWS_REGION"), getenv("AWS_DEFAULT_REGION"), "us-east-1"};
    for (size_t i = 0; !s->region[0]; i++)
        if (names[i] && *names[i])
            snprintf(s->region, sizeof s->region, "%s", names[i]);
}

static bool is_loopback(const char *host)
{
    return strncmp(host, "127.", 4) == 0 || strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

struct address {
    char *scheme, *host, *port, *path, *query, *user;
};

static void free_address(struct address *a)
{
    char *const parts[] = {a->scheme, a->host, a->port, a->path, a->query, a->user};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        curl_free(parts[i]);
}

static int32_t parse_address(const char *endpoint, struct address *a, struct cofre_error *error)
{
    CURLU *url = curl_url();
    if (!url)
        return no_memory(error);
    *a = (struct address){.scheme = NULL};
    bool good = strstr(endpoint, "://") && curl_url_set(url, CURLUPART_URL, endpoint, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_SCHEME, &a->scheme, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_HOST, &a->host, 0) == CURLUE_OK &&
                curl_url_get(url, CURLUPART_PATH, &a->path, 0) == CURLUE_OK;
    curl_url_get(url, CURLUPART_PORT, &a->port, CURLU_NO_DEFAULT_PORT);
    curl_url_get(url, CURLUPART_QUERY, &a->query, 0);
    curl_url_get(url, CURLUPART_USER, &a->user, 0);
    curl_url_cleanup(url);
    if (good && (strcmp(a->scheme, "http") == 0 || strcmp(a->scheme, "https") == 0) && !a->query && !a->user)
        return COFRE_OK;
    cofre_fail(error, COFRE_E_CONFIG, "endpoint '%.200s' is no address of a store", endpoint);
    cofre_hint(error, "write https://HOST or http://HOST:PORT, without the bucket");
    return COFRE_E_CONFIG;
}

/* A certificate for *.HOST does not cover a bucket with a dot in its name. */
static bool bucket_in_host(const struct store *s)
{
    if (s->options->path_style != STORE_STYLE_AUTO)
        return s->options->path_style == STORE_STYLE_HOST;
    return s->is_aws && !strchr(s->options->bucket, '.');
}

/* As the first part of a host's name the bucket must be one itself. */
static int32_t check_label(const char *bucket, struct cofre_error *error)
{
    size_t n = strlen(bucket);
    if (n >= 3 && n <= 63 && bucket[strspn(bucket, "abcdefghijklmnopqrstuvwxyz0123456789.-")] == '\0' &&
        bucket[0] != '-' && bucket[n - 1] != '-' && bucket[n - 1] != '.')
        return COFRE_OK;
    cofre_fail(error, COFRE_E_CONFIG, "bucket '%.100s' cannot be in the name of a host", bucket);
    cofre_hint(error, "a bucket has 3 to 63 small letters, digits, '-' and '.'; for an old one with another name, or "
                      "a store that takes more, write path_style = yes");
    return COFRE_E_CONFIG;
}

static int32_t take_address(struct store *s, const struct address *a, struct cofre_error *error)
{
    const char *bucket = s->options->bucket, *port = a->port ? a->port : "", *colon = a->port ? ":" : "";
    int n, m;
    s->is_aws = ends_with(a->host, AWS_DOMAIN) || ends_with(a->host, AWS_DOMAIN ".cn");
    s->is_local = is_loopback(a->host);
    s->is_plain = strcmp(a->scheme, "http") == 0;
    bool in_host = bucket_in_host(s);
    if (in_host && check_label(bucket, error))
        return COFRE_E_CONFIG;
    size_t path_length = strlen(a->path);
    while (path_length > 0 && a->path[path_length - 1] == '/')
        path_length--;
    n = asprintf(&s->host, "%s%s%s%s%s", in_host ? bucket : "", in_host ? "." : "", a->host, colon, port);
    m = asprintf(&s->base, "%.*s/%s%s", (int)path_length, a->path, in_host ? "" : bucket, in_host ? "" : "/");
    s->host = n < 0 ? NULL : s->host;
    s->base = m < 0 ? NULL : s->base;
    s->scheme = strdup(a->scheme);
    return s->host && s->base && s->scheme ? COFRE_OK : no_memory(error);
}

/* The bucket would be named twice. */
static int32_t check_path(const struct store_options *o, const char *path, struct cofre_error *error)
{
    size_t n = strlen(path), m = strlen(o->bucket);
    while (n > 0 && path[n - 1] == '/')
        n--;
    if (n <= m || path[n - m - 1] != '/' || strncmp(path + n - m, o->bucket, m) != 0)
        return COFRE_OK;
    cofre_fail(error, COFRE_E_CONFIG, "endpoint '%.200s' ends with the name of the bucket", o->endpoint);
    cofre_hint(error, "write it without: the option bucket says it");
    return COFRE_E_CONFIG;
}

static int32_t take_endpoint(struct store *s, struct cofre_error *error)
{
    char usual[128];
    struct address a = {.scheme = NULL};
    snprintf(usual, sizeof usual, "https://s3.%.60s" AWS_DOMAIN "%s", s->region,
             strncmp(s->region, "cn-", 3) == 0 ? ".cn" : "");
    int32_t result = parse_address(s->options->endpoint ? s->options->endpoint : usual, &a, error);
    if (!result)
        result = check_path(s->options, a.path, error);
    if (!result)
        result = take_address(s, &a, error);
    free_address(&a);
    return result;
}

int32_t store_open(struct store *store, const struct store_options *options, struct cofre_error *error)
{
    *store = (struct store){.options = options, .credentials = {.expires = COFRE_NO_TIME}};
    int64_t share = options->parallel > 0 ? options->bandwidth / options->parallel : options->bandwidth;
    struct http_options http = {.ca_file = options->ca_file,
                                .idle = options->idle_timeout,
                                .bandwidth = options->bandwidth > 0 && share < 1 ? 1 : share};
    take_region(store, options->region);
    int32_t result = check_bucket(options->bucket, error);
    if (!result)
        result = check_class(options->storage_class, error);
    if (!result)
        result = take_prefix(store, options->prefix, error);
    if (!result)
        result = take_endpoint(store, error);
    if (!result)
        result = http_new(&http, &store->http, error);
    if (result)
        store_close(store);
    return result;
}

void store_close(struct store *store)
{
    http_free(store->http);
    free(store->scheme);
    free(store->host);
    free(store->base);
    free(store->prefix);
    credentials_wipe(&store->credentials);
}
