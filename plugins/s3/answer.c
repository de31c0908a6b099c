/* What the store says when it does not do it, in the words of the plugin ABI. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cofre/plugin.h"
#include "s3/request.h"
#include "s3/xml.h"

#define MAX_WAIT 3600 /* seconds: what a Retry-After may ask for at most */

struct said {
    char code[64], message[256], region[64];
};

struct meaning {
    const char *code; /* of the store; NULL = any with this status */
    long status;      /* 0 = any */
    int32_t class;
    const char *cause; /* NULL = what the store says */
    const char *hint;
};

static const char region_hint[] = "set region, or endpoint, to where the bucket is";
static const char clock_hint[] = "set this machine's clock: run an NTP client";

/* The first row that fits. */
static const struct meaning meanings[] = {
    {"NoSuchKey", 0, COFRE_E_NOT_FOUND, "there is no such object", ""},
    {"NoSuchBucket", 0, COFRE_E_NOT_FOUND, "there is no such bucket", "is bucket right? cofre init makes it"},
    {"NoSuchUpload", 0, COFRE_E_RETRY, "the upload is gone", ""},
    {"InvalidAccessKeyId", 0, COFRE_E_AUTH, "the store does not know access_key", "is it the key of this store?"},
    {"SignatureDoesNotMatch", 0, COFRE_E_AUTH, "the signature is wrong", "is secret_key right?"},
    {"InvalidSecurity", 0, COFRE_E_AUTH, NULL, "are access_key and secret_key right?"},
    {"ExpiredToken", 0, COFRE_E_AUTH, "session_token has expired", "get new credentials"},
    {"TokenRefreshRequired", 0, COFRE_E_AUTH, "session_token has expired", "get new credentials"},
    {"InvalidToken", 0, COFRE_E_AUTH, "session_token is wrong", "do session_token and access_key belong together?"},
    {"InvalidClientTokenId", 0, COFRE_E_AUTH, NULL, "are access_key and session_token right?"},
    {"RequestTimeTooSkewed", 0, COFRE_E_AUTH, "this machine's clock is wrong", clock_hint},
    {"RequestExpired", 0, COFRE_E_AUTH, "this machine's clock is wrong", clock_hint},
    {"AuthorizationHeaderMalformed", 0, COFRE_E_CONFIG, "the bucket is in another region", region_hint},
    {"AuthorizationQueryParametersError", 0, COFRE_E_CONFIG, NULL, region_hint},
    {"PermanentRedirect", 0, COFRE_E_CONFIG, "the bucket is elsewhere", region_hint},
    {"TemporaryRedirect", 0, COFRE_E_RETRY, "the bucket is elsewhere for now", region_hint},
    {"IllegalLocationConstraintException", 0, COFRE_E_CONFIG, "the bucket is in another region", region_hint},
    {"InvalidBucketName", 0, COFRE_E_CONFIG, "the store does not take that name", "choose another bucket"},
    {"InvalidStorageClass", 0, COFRE_E_CONFIG, "the store has no such storage_class", "choose another storage_class"},
    {"InvalidObjectState", 0, COFRE_E_PERMANENT, "the object is archived and cannot be read now",
     "restore it from the archive class first, and choose a storage_class that can be read at once"},
    {"BucketAlreadyExists", 0, COFRE_E_DENIED, "somebody else has a bucket of that name", "choose another bucket"},
    {"PreconditionFailed", 0, COFRE_E_EXISTS, "there is an object already", ""},
    {"ConditionalRequestConflict", 0, COFRE_E_RETRY, "somebody else is writing it", ""},
    {"OperationAborted", 0, COFRE_E_RETRY, NULL, ""},
    {"InvalidRange", 0, COFRE_E_RANGE, "the object is shorter", ""},
    {"EntityTooLarge", 0, COFRE_E_PERMANENT, "the store takes no object that large", "make part_size smaller"},
    {"EntityTooSmall", 0, COFRE_E_PERMANENT, "the store takes no part that small", "make part_size larger"},
    {"QuotaExceeded", 0, COFRE_E_NO_SPACE, "the quota is used up", "make room, or raise the quota"},
    {"XMinioStorageFull", 0, COFRE_E_NO_SPACE, "the store is full", "make room"},
    {"BadDigest", 0, COFRE_E_RETRY, "the bytes were damaged on their way", ""},
    {"XAmzContentSHA256Mismatch", 0, COFRE_E_RETRY, "the bytes were damaged on their way", ""},
    {"XAmzContentChecksumMismatch", 0, COFRE_E_RETRY, "the bytes were damaged on their way", ""},
    {"IncompleteBody", 0, COFRE_E_RETRY, "the bytes were cut on their way", ""},
    {"RequestTimeout", 0, COFRE_E_RETRY, NULL, ""},
    {"SlowDown", 0, COFRE_E_RETRY, "the store asks to go slower", ""},
    {"InternalError", 0, COFRE_E_RETRY, NULL, ""},
    {"ServiceUnavailable", 0, COFRE_E_RETRY, NULL, ""},
    {"NotImplemented", 0, COFRE_E_UNSUPPORTED, "the store cannot do that", ""},
    {"ObjectLockConfigurationNotFoundError", 0, COFRE_E_UNSUPPORTED, "the bucket has no Object Lock", ""},
    {"InvalidRetentionPeriod", 0, COFRE_E_LOCKED, NULL, ""},
    {"AccessDenied", 0, COFRE_E_DENIED, "these credentials may not do that", "cofre check says what they may do"},
    {"AllAccessDisabled", 0, COFRE_E_DENIED, NULL, ""},
    {"AccountProblem", 0, COFRE_E_DENIED, NULL, "ask the provider"},
    {"MalformedXML", 0, COFRE_E_UNSUPPORTED, "the store does not understand the request", ""},
    {NULL, 301, COFRE_E_CONFIG, "the bucket is elsewhere", region_hint},
    {NULL, 302, COFRE_E_CONFIG, "the store is elsewhere", "set endpoint to the store itself"},
    {NULL, 307, COFRE_E_RETRY, "the bucket is elsewhere for now", region_hint},
    {NULL, 308, COFRE_E_CONFIG, "the store is elsewhere", "set endpoint to the store itself"},
    {NULL, 400, COFRE_E_PERMANENT, NULL, "are region, path_style and the credentials right?"},
    {NULL, 401, COFRE_E_AUTH, "the credentials are refused", "are access_key and secret_key right?"},
    {NULL, 402, COFRE_E_DENIED, NULL, "ask the provider"},
    {NULL, 403, COFRE_E_DENIED, "these credentials may not do that", "cofre check says what they may do"},
    {NULL, 404, COFRE_E_NOT_FOUND, "there is no such object", ""},
    {NULL, 408, COFRE_E_RETRY, NULL, ""},
    {NULL, 409, COFRE_E_RETRY, NULL, ""},
    {NULL, 411, COFRE_E_UNSUPPORTED, NULL, ""},
    {NULL, 412, COFRE_E_EXISTS, "there is an object already", ""},
    {NULL, 413, COFRE_E_PERMANENT, "the store takes no request that large", "make part_size smaller"},
    {NULL, 416, COFRE_E_RANGE, "the object is shorter", ""},
    {NULL, 423, COFRE_E_LOCKED, "the object is locked", ""},
    {NULL, 425, COFRE_E_RETRY, NULL, ""},
    {NULL, 429, COFRE_E_RETRY, "the store asks to go slower", ""},
    {NULL, 501, COFRE_E_UNSUPPORTED, "the store cannot do that", ""},
    {NULL, 505, COFRE_E_UNSUPPORTED, NULL, ""},
    {NULL, 507, COFRE_E_NO_SPACE, "the store is full", "make room"},
};

static const struct meaning *find_meaning(const char *code, long status)
{
    static const struct meaning busy = {NULL, 0, COFRE_E_RETRY, NULL, ""};
    static const struct meaning other = {NULL, 0, COFRE_E_PERMANENT, NULL, "is there a store of S3 at endpoint?"};
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        const struct meaning *m = &meanings[i];
        if (m->code ? code[0] && strcmp(m->code, code) == 0 : m->status == status)
            return m;
    }
    return status >= 500 ? &busy : &other;
}

/* The store's words, made fit for a message: one line of printable ASCII. */
static void take(char *to, size_t size, const char *text)
{
    size_t n = 0;
    for (; text[n] && n + 1 < size; n++)
        to[n] = (text[n] >= 0x20 && text[n] < 0x7f) ? text[n] : '?';
    to[n] = '\0';
}

static int32_t take_element(void *context, const char *path, const char *text, struct cofre_error *error)
{
    (void)error;
    struct said *said = context;
    if (strcmp(path, "Error/Code") == 0)
        take(said->code, sizeof said->code, text);
    else if (strcmp(path, "Error/Message") == 0)
        take(said->message, sizeof said->message, text);
    else if (strcmp(path, "Error/Region") == 0)
        take(said->region, sizeof said->region, text);
    return COFRE_OK;
}

/* Seconds, or a date, in Retry-After; in milliseconds. */
static uint32_t wait_of(const char *text)
{
    if (!text[0])
        return 0;
    char *end;
    long seconds = strtol(text, &end, 10);
    struct tm tm = {0};
    if (end == text)
        seconds = strptime(text, "%a, %d %b %Y %H:%M:%S", &tm) ? (long)(timegm(&tm) - time(NULL)) : 0;
    return seconds <= 0 ? 0 : (uint32_t)(seconds < MAX_WAIT ? seconds : MAX_WAIT) * 1000;
}

static void say_skew(const struct answer *answer, struct cofre_error *error)
{
    struct tm tm = {0};
    if (!strptime(answer->head.date, "%a, %d %b %Y %H:%M:%S", &tm))
        return;
    long ahead = (long)(time(NULL) - timegm(&tm));
    size_t used = strlen(error->message);
    snprintf(error->message + used, sizeof error->message - used, ": it is %ld s %s the store's",
             ahead < 0 ? -ahead : ahead, ahead < 0 ? "behind" : "ahead of");
}

int32_t answer_fail(const struct store *store, const struct request *request, const struct answer *answer,
                    struct cofre_error *error)
{
    struct said said = {.code = ""};
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    const struct http_head *head = &answer->head;
    /* No XML is no reason: the status says enough. */
    if (answer->body.n > 0)
        xml_read(answer->body.p, answer->body.n, "Error", take_element, &said, &ignored);
    const struct meaning *m = find_meaning(said.code, head->status);
    const char *cause = m->cause ? m->cause : said.message[0] ? said.message : "the store refuses";
    bool both = m->cause && said.message[0] && m->class != COFRE_E_NOT_FOUND && m->class != COFRE_E_EXISTS;
    cofre_fail(error, m->class, "%s%s%.120s%s (%s%sHTTP %ld)", cause, both ? ": \"" : "", both ? said.message : "",
               both ? "\"" : "", said.code, said.code[0] ? ", " : "", head->status);
    snprintf(error->code, sizeof error->code, "%.31s", said.code);
    error->retry_after = m->class == COFRE_E_RETRY ? wait_of(head->retry_after) : 0;
    cofre_hint(error, "%s", m->hint);
    const char *region = head->region[0] ? head->region : said.region;
    if (m->hint == region_hint && region[0])
        cofre_hint(error, "set region = %s", region);
    else if (m->hint == region_hint && head->location[0])
        cofre_hint(error, "the store points to '%.150s'; cofre follows no redirection: set endpoint", head->location);
    request_context(store, request, m->class, error);
    if (m->hint == clock_hint)
        say_skew(answer, error);
    return m->class;
}

/* ---- successes that may hold an error ---- */

int32_t answer_read(const struct store *store, const struct request *request, const struct answer *answer,
                    const char *root,
                    int32_t (*element)(void *context, const char *path, const char *text, struct cofre_error *error),
                    void *context, struct cofre_error *error)
{
    struct said said = {.code = ""};
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    const char *text = answer->body.p ? answer->body.p : "";
    xml_read(text, answer->body.n, "Error", take_element, &said, &ignored);
    if (said.code[0]) {
        /* It was called a success: what it would have been as a failure of the server. */
        struct answer other = {.head = answer->head, .body = answer->body};
        other.head.status = 500;
        return answer_fail(store, request, &other, error);
    }
    int32_t result = xml_read(text, answer->body.n, root, element, context, error);
    return result ? request_context(store, request, result, error) : COFRE_OK;
}
