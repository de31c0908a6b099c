#include "s3/credentials.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cofre/plugin.h"

#define MINUTE ((int64_t)60 * 1000000000)
#define EARLY (5 * MINUTE) /* fetched again this long before the end */

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void credentials_wipe(struct credentials *credentials)
{
    explicit_bzero(credentials, sizeof *credentials);
}

bool credentials_copy(char *to, size_t size, const char *from, size_t n)
{
    while (n > 0 && strchr(" \t\r\n", from[n - 1]))
        n--;
    if (n == 0 || n >= size || memchr(from, '\n', n) || memchr(from, 0, n))
        return false;
    memcpy(to, from, n);
    to[n] = '\0';
    return true;
}

/* ---- the section and the environment ----------------------------------------------------------------------------- */

static int32_t from_section(const struct credentials_options *o, struct credentials *found, struct cofre_error *error)
{
    if (!o->access_key && !o->secret_key.length)
        return COFRE_END;
    if (!o->access_key || !o->secret_key.length)
        return cofre_fail(error, COFRE_E_CONFIG, "access_key and secret_key go together: %s is missing",
                          o->access_key ? "secret_key" : "access_key");
    const char *token = (const char *)o->token.bytes;
    found->origin = "the section";
    if (credentials_copy(found->access_key, sizeof found->access_key, o->access_key, strlen(o->access_key)) &&
        credentials_copy(found->secret_key, sizeof found->secret_key, (const char *)o->secret_key.bytes,
                         o->secret_key.length) &&
        (!o->token.length || credentials_copy(found->token, sizeof found->token, token, o->token.length)))
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_CONFIG,
                      "access_key, secret_key or session_token is empty, too long, or has "
                      "more than one line");
}

static int32_t from_environment(struct credentials *found, struct cofre_error *error)
{
    const char *access = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
    const char *token = getenv("AWS_SESSION_TOKEN");
    if (!access || !*access || !secret || !*secret)
        return COFRE_END;
    found->origin = "the environment";
    if (credentials_copy(found->access_key, sizeof found->access_key, access, strlen(access)) &&
        credentials_copy(found->secret_key, sizeof found->secret_key, secret, strlen(secret)) &&
        (!token || !*token || credentials_copy(found->token, sizeof found->token, token, strlen(token))))
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_CONFIG, "the credentials in AWS_ACCESS_KEY_ID and its like are malformed");
}

/* ---- all of them ------------------------------------------------------------------------------------------------- */

static int32_t look(const struct credentials_options *o, struct cofre_call *call, struct credentials *found,
                    struct cofre_error *error)
{
    int32_t result = from_section(o, found, error);
    if (result == COFRE_END && !o->profile)
        result = from_environment(found, error);
    if (result == COFRE_END)
        result = credentials_from_file(o->profile, found, error);
    if (result == COFRE_END && !o->profile)
        result = credentials_from_metadata(call, found, error);
    if (result != COFRE_END)
        return result;
    cofre_fail(error, COFRE_E_AUTH,
               "there are no credentials: not in the section, the environment, the file "
               "~/.aws/credentials, nor from the container or the machine");
    cofre_hint(error, "set access_key and secret_key (secret_key = @file:/etc/cofre/secrets/NAME)");
    return COFRE_E_AUTH;
}

static int32_t refresh(struct credentials *c, const struct credentials_options *options, struct cofre_call *call,
                       struct cofre_error *error)
{
    struct credentials found = {.expires = COFRE_NO_TIME};
    int32_t result = look(options, call, &found, error);
    if (!result)
        *c = found;
    credentials_wipe(&found);
    return result;
}

int32_t credentials_ready(struct credentials *c, const struct credentials_options *options, struct cofre_call *call,
                          struct cofre_error *error)
{
    int64_t left = c->expires == COFRE_NO_TIME ? INT64_MAX : c->expires - now();
    if (c->origin && left > EARLY)
        return COFRE_OK;
    int32_t result = refresh(c, options, call, error);
    if (!result || !c->origin || left <= 0 || result == COFRE_E_CANCELLED)
        return result;
    char text[640];
    snprintf(text, sizeof text, "%s; the old credentials are valid for another %lld s", error->message,
             (long long)(left / 1000000000));
    cofre->log(call, COFRE_LOG_WARNING, text);
    return COFRE_OK;
}

bool credentials_expire(struct credentials *c)
{
    if (c->expires == COFRE_NO_TIME)
        return false;
    c->expires = 0;
    return true;
}
