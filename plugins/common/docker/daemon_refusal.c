#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/docker/daemon_inside.h"
#include "common/failure.h"

int32_t daemon_refusal_say(const struct daemon *daemon, const char *what, struct cofre_error *error,
                           int32_t error_class, const char *format, ...)
{
    char text[sizeof error->message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error->code[0] = '\0';
    /* A piece of each, rather than the end of none. */
    return cofre_fail(error, error_class, "%.150s: %.110s: %.245s", what ? what : "ask", daemon->name, text);
}

/* ---- by status ---- */

static const struct {
    long status;
    int32_t class;
} classes[] = {
    {401, COFRE_E_AUTH},  {403, COFRE_E_DENIED}, {404, COFRE_E_NOT_FOUND},
    {502, COFRE_E_RETRY}, {503, COFRE_E_RETRY},  {504, COFRE_E_RETRY},
};

/* What it says may help in its own words. */
static const struct {
    const char *says, *hint;
} known[] = {
    {"HTTP request to an HTTPS server", "the daemon speaks TLS: set tls to the directory of ca.pem, cert.pem, key.pem"},
    {"no space left on device", "free space below the daemon's data root"},
    {"page not found", "is that a Docker daemon, of this API?"},
};

static const char *text_of(const json_t *body)
{
    const char *text = json_string_value(json_object_get(body, "message"));
    return text ? text : json_string_value(json_object_get(body, "error"));
}

int32_t daemon_refusal_set(const struct daemon *daemon, const char *what, long status, const char *body, size_t length,
                           struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX];
    int32_t class = COFRE_E_PERMANENT;
    json_t *json = json_loadb(body, length, 0, NULL);
    const char *text = text_of(json);
    size_t n = text ? strlen(text) : json ? 0 : length;
    text = text ? text : body;
    while (n > 0 && strchr(" \t\r\n", text[n - 1]))
        n--;
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++)
        if (classes[i].status == status)
            class = classes[i].class;
    if (n > 0)
        daemon_refusal_say(daemon, what, error, class, "%s", failure_quote(text, n, shown));
    else
        daemon_refusal_say(daemon, what, error, class, "it answers with status %ld, without a word", status);
    for (size_t i = 0; n > 0 && i < sizeof known / sizeof known[0]; i++)
        if (memmem(text, n, known[i].says, strlen(known[i].says)))
            cofre_hint(error, "%s", known[i].hint);
    snprintf(error->code, sizeof error->code, "%ld", status);
    json_decref(json);
    return class;
}

/* ---- by libcurl ---- */

static const char reached[] = "does the daemon run, and is this its address?";
static const char strange[] = "is that a Docker daemon? does it speak TLS, or not?";
static const char files[] = "tls is the directory of ca.pem, cert.pem and key.pem: are they there, and readable?";

static const struct {
    CURLcode code;
    int32_t class;
    const char *hint;
} failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, COFRE_E_RETRY, "is the address right? does this machine resolve names?"},
    {CURLE_COULDNT_CONNECT, COFRE_E_RETRY, reached},
    {CURLE_OPERATION_TIMEDOUT, COFRE_E_RETRY, reached},
    {CURLE_SEND_ERROR, COFRE_E_RETRY, ""},
    {CURLE_RECV_ERROR, COFRE_E_RETRY, ""},
    {CURLE_GOT_NOTHING, COFRE_E_RETRY, ""},
    {CURLE_PARTIAL_FILE, COFRE_E_RETRY, ""},
    {CURLE_SSL_CONNECT_ERROR, COFRE_E_RETRY, strange},
    {CURLE_WEIRD_SERVER_REPLY, COFRE_E_PERMANENT, strange},
    {CURLE_UNSUPPORTED_PROTOCOL, COFRE_E_PERMANENT, strange},
    {CURLE_HTTP2, COFRE_E_PERMANENT, strange},
    {CURLE_BAD_CONTENT_ENCODING, COFRE_E_PERMANENT, strange},
    {CURLE_PEER_FAILED_VERIFICATION, COFRE_E_CONFIG,
     "is ca.pem that of the authority that signed the daemon's certificate?"},
    {CURLE_SSL_ISSUER_ERROR, COFRE_E_CONFIG, "is ca.pem that of the authority that signed the daemon's certificate?"},
    {CURLE_SSL_CACERT_BADFILE, COFRE_E_CONFIG, files},
    {CURLE_SSL_CERTPROBLEM, COFRE_E_CONFIG, files},
    {CURLE_OUT_OF_MEMORY, COFRE_E_MEMORY, ""},
};

/* The daemon's word on our certificate comes after the handshake, as a failure of reading. */
static bool wants_certificate(const char *cause)
{
    return strstr(cause, "alert") && strstr(cause, "certificate");
}

static int32_t cannot_connect(const struct daemon *daemon, const char *what, int errnum, struct cofre_error *error)
{
    const char *cause = strerrordesc_np(errnum);
    int32_t class = errnum == EACCES || errnum == EPERM ? COFRE_E_DENIED : COFRE_E_RETRY;
    daemon_refusal_say(daemon, what, error, class, "cannot connect: %s", cause ? cause : "unknown error");
    error->os_errno = errnum;
    cofre_hint(error, "%s",
               class == COFRE_E_DENIED ? "run cofre as root, or as a member of the group docker" : reached);
    return class;
}

int32_t daemon_refusal_transfer(const struct daemon *daemon, const char *what, CURL *easy, CURLcode code,
                                const char *cause, struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX];
    long errnum = 0;
    curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &errnum);
    if (code == CURLE_COULDNT_CONNECT && errnum != 0)
        return cannot_connect(daemon, what, (int)errnum, error);
    if (!cause[0])
        cause = curl_easy_strerror(code);
    failure_quote(cause, strlen(cause), shown);
    if (wants_certificate(cause)) {
        daemon_refusal_say(daemon, what, error, COFRE_E_AUTH, "%s", shown);
        cofre_hint(error, "are cert.pem and key.pem in the directory of tls those that this daemon accepts?");
        return COFRE_E_AUTH;
    }
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        if (failures[i].code != code)
            continue;
        daemon_refusal_say(daemon, what, error, failures[i].class, "%s", shown);
        cofre_hint(error, "%s", failures[i].hint);
        return failures[i].class;
    }
    return daemon_refusal_say(daemon, what, error, COFRE_E_PERMANENT, "%s (libcurl error %d)", shown, (int)code);
}
