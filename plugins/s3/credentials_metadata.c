/* Credentials that a container's or a machine's surroundings give out, over plain HTTP on the link.
 *
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
 * https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html (version 2 only: with a token)
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cofre/plugin.h"
#include "s3/credentials.h"
#include "s3/http.h"

#define CONTAINER_HOST "http://169.254.170.2"
#define MACHINE "http://169.254.169.254"
#define PATH_ROLE "/latest/meta-data/iam/security-credentials/"
#define IDLE 2000 /* ms: where there is no such service, packets go nowhere */
#define LINE (CREDENTIALS_TOKEN_MAX + 64)

/* One request; 200 or COFRE_E_RETRY. */
static int32_t ask(struct http *http, struct cofre_call *call, const char *method, const char *url, const char *header,
                   struct http_body *body, struct cofre_error *error)
{
    struct http_head head;
    const char *const headers[] = {header};
    struct http_exchange x = {.method = method,
                              .url = url,
                              .headers = headers,
                              .header_count = header ? 1 : 0,
                              .length = strcmp(method, "PUT") == 0 ? 0 : -1,
                              .direct = true};
    int32_t result = http_run(http, call, &x, &head, body, error);
    if (result)
        return result;
    if (head.status != 200)
        return cofre_fail(error, COFRE_E_RETRY, "'%.200s' answered with HTTP %ld", url, head.status);
    return body->p ? COFRE_OK : cofre_fail(error, COFRE_E_RETRY, "'%.200s' answered with nothing", url);
}

static bool take_text(const json_t *object, const char *name, char *to, size_t size)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text && credentials_copy(to, size, text, strlen(text));
}

/* {"AccessKeyId": ..., "SecretAccessKey": ..., "Token": ..., "Expiration": "2013-05-24T00:00:00Z"} */
static int32_t take_answer(const char *text, struct credentials *found, struct cofre_error *error)
{
    json_error_t cause;
    json_t *object = json_loads(text, 0, &cause);
    bool good = take_text(object, "AccessKeyId", found->access_key, sizeof found->access_key) &&
                take_text(object, "SecretAccessKey", found->secret_key, sizeof found->secret_key);
    take_text(object, "Token", found->token, sizeof found->token);
    const char *until = json_string_value(json_object_get(object, "Expiration"));
    struct tm tm = {0};
    if (until && strptime(until, "%Y-%m-%dT%H:%M:%S", &tm))
        found->expires = http_time(&tm);
    json_decref(object);
    return good ? COFRE_OK : cofre_fail(error, COFRE_E_RETRY, "the answer of the credentials' service is malformed");
}

static int32_t fetch(struct http *http, struct cofre_call *call, const char *url, const char *header,
                     struct credentials *found, struct cofre_error *error)
{
    struct http_body body;
    int32_t result = ask(http, call, "GET", url, header, &body, error);
    if (!result)
        result = take_answer(body.p, found, error);
    if (body.p)
        explicit_bzero(body.p, body.n);
    http_body_free(&body);
    return result;
}

/* ---- a container ------------------------------------------------------------------------------------------------- */

/* The header that proves which container asks; "" when none is wanted. */
static int32_t container_header(char *out, size_t size, struct cofre_error *error)
{
    const char *token = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    const char *file_name = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    char text[CREDENTIALS_TOKEN_MAX] = "";
    out[0] = '\0';
    if (file_name && *file_name) {
        FILE *file = fopen(file_name, "re");
        if (!file)
            return cofre_fail_errno(error, errno, "read the container's token '%.200s'", file_name);
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
        text[strcspn(text, "\r\n")] = '\0';
        token = text;
    }
    if (!token || !*token)
        return COFRE_OK;
    if (strpbrk(token, "\r\n") || (size_t)snprintf(out, size, "Authorization: %s", token) >= size)
        return cofre_fail(error, COFRE_E_CONFIG, "the container's authorization token is malformed");
    return COFRE_OK;
}

/* Plain HTTP only to where it cannot be overheard, as the AWS tools have it. */
static bool is_near(const char *url)
{
    static const char *const near[] = {"https://",
                                       "http://127.",
                                       "http://localhost",
                                       "http://[::1]",
                                       "http://169.254.170.2",
                                       "http://169.254.170.23",
                                       "http://[fd00:ec2::23]"};
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++)
        if (strncmp(url, near[i], strlen(near[i])) == 0)
            return true;
    return false;
}

static int32_t from_container(struct http *http, struct cofre_call *call, struct credentials *found,
                              struct cofre_error *error)
{
    const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    char url[2048], header[LINE];
    if (relative && *relative)
        snprintf(url, sizeof url, CONTAINER_HOST "%s", relative);
    else if (full && *full)
        snprintf(url, sizeof url, "%s", full);
    else
        return COFRE_END;
    if (!is_near(url))
        return cofre_fail(error, COFRE_E_CONFIG,
                          "AWS_CONTAINER_CREDENTIALS_FULL_URI leads to '%.200s', away from "
                          "this machine without https",
                          url);
    int32_t result = container_header(header, sizeof header, error);
    if (!result)
        result = fetch(http, call, url, header[0] ? header : NULL, found, error);
    found->origin = "the container";
    return result;
}

/* ---- a machine --------------------------------------------------------------------------------------------------- */

static int32_t fetch_role(struct http *http, struct cofre_call *call, const char *base, const char *token,
                          struct credentials *found, struct cofre_error *error)
{
    char url[1024], header[LINE];
    struct http_body role;
    snprintf(header, sizeof header, "X-aws-ec2-metadata-token: %s", token);
    snprintf(url, sizeof url, "%s" PATH_ROLE, base);
    int32_t result = ask(http, call, "GET", url, header, &role, error);
    if (!result) {
        role.p[strcspn(role.p, "\r\n")] = '\0';
        snprintf(url, sizeof url, "%.400s" PATH_ROLE "%.200s", base, role.p);
        result = fetch(http, call, url, header, found, error);
    }
    http_body_free(&role);
    return result;
}

/* No answer at all: this is no machine of that kind. */
static int32_t from_machine(struct http *http, struct cofre_call *call, struct credentials *found,
                            struct cofre_error *error)
{
    const char *disabled = getenv("AWS_EC2_METADATA_DISABLED"), *base = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    char url[1024], token[CREDENTIALS_TOKEN_MAX];
    struct http_body body;
    if (disabled && strcmp(disabled, "true") == 0)
        return COFRE_END;
    if (!base || !*base)
        base = MACHINE;
    snprintf(url, sizeof url, "%.400s/latest/api/token", base);
    int32_t result = ask(http, call, "PUT", url, "X-aws-ec2-metadata-token-ttl-seconds: 21600", &body, error);
    bool good = !result && credentials_copy(token, sizeof token, body.p, body.n);
    http_body_free(&body);
    if (result == COFRE_E_CANCELLED || result == COFRE_E_MEMORY)
        return result;
    if (!good)
        return COFRE_END;
    found->origin = "the machine";
    return fetch_role(http, call, base, token, found, error);
}

int32_t credentials_from_metadata(struct cofre_call *call, struct credentials *found, struct cofre_error *error)
{
    struct http *http;
    int32_t result = http_new(&(struct http_options){.idle = IDLE}, &http, error);
    if (result)
        return result;
    result = from_container(http, call, found, error);
    if (result == COFRE_END)
        result = from_machine(http, call, found, error);
    http_free(http);
    if (result != COFRE_OK && result != COFRE_END && result != COFRE_E_CANCELLED) {
        char cause[sizeof error->message];
        snprintf(cause, sizeof cause, "%s", error->message);
        cofre_fail(error, result, "get credentials from the surroundings: %.440s", cause);
    }
    return result;
}
