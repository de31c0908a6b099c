/* Object Lock: who may remove an object, and from when on. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cofre/plugin.h"
#include "s3/object.h"

static int32_t take_date(void *context, const char *path, const char *text, struct cofre_error *error)
{
    (void)error;
    struct tm tm = {0};
    if (strcmp(path, "Retention/RetainUntilDate") == 0 && strptime(text, "%Y-%m-%dT%H:%M:%S", &tm))
        *(int64_t *)context = http_time(&tm);
    return COFRE_OK;
}

static bool is_kept_already(struct store *store, struct cofre_call *call, const char *key, int64_t until)
{
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    struct request r = {.method = "GET", .what = "read the lock of", .key = key, .query = {{"retention", NULL}}};
    struct answer answer;
    int64_t kept = 0;
    int32_t result = request_run(store, call, &r, &answer, &ignored);
    if (!result)
        result = answer_read(store, &r, &answer, "Retention", take_date, &kept, &ignored);
    request_free(&answer);
    /* Stores keep whole seconds. */
    return !result && kept >= until - 1000000000;
}

int32_t object_retain(struct store *store, struct cofre_call *call, const char *key, int64_t until,
                      struct cofre_error *error)
{
    char date[32], md5_text[SIGN_MD5_TEXT], text[320];
    uint8_t md5[SIGN_MD5];
    struct tm tm;
    time_t seconds = (time_t)(until / 1000000000);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&seconds, &tm));
    int n = snprintf(text, sizeof text,
                     "<Retention xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Mode>%s</Mode>"
                     "<RetainUntilDate>%s</RetainUntilDate></Retention>",
                     store->options->lock_mode == STORE_GOVERNANCE ? "GOVERNANCE" : "COMPLIANCE", date);
    sign_md5(text, (size_t)n, md5);
    sign_md5_text(md5, md5_text);
    struct request r = {.method = "PUT",
                        .what = "lock",
                        .key = key,
                        .query = {{"retention", NULL}},
                        .headers = {{"content-md5", md5_text}},
                        .content = text,
                        .length = n};
    struct answer answer;
    int32_t result = request_run(store, call, &r, &answer, error);
    request_free(&answer);
    /* A lock is only ever made longer. */
    if (result == COFRE_E_DENIED && is_kept_already(store, call, key, until))
        return COFRE_OK;
    if (result == COFRE_E_DENIED)
        cofre_hint(error, "the credentials need s3:PutObjectRetention and s3:GetObjectRetention");
    return result;
}
