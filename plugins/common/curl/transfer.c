#include "common/curl/transfer.h"

#define STEP 1000 /* ms between looks */

int32_t transfer_start(struct cofre_error *error)
{
    return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK
               ? COFRE_OK
               : cofre_fail(error, COFRE_E_MEMORY, "libcurl cannot be started");
}

CURL *transfer_handle(const char *ca_file)
{
    CURL *easy = curl_easy_init();
    if (!easy)
        return NULL;
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    if (ca_file)
        curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
    return easy;
}

static bool has_ended(CURLM *multi, CURLcode *code)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(multi, &left));)
        if (m->msg == CURLMSG_DONE) {
            *code = m->data.result;
            return true;
        }
    return false;
}

static int32_t run(struct cofre_call *call, CURLM *multi, bool (*enough)(void *context), void *context, CURLcode *code,
                   struct cofre_error *error)
{
    int running, fd = cofre->cancel_fd(call);
    for (;;) {
        struct curl_waitfd cancel = {.fd = fd, .events = CURL_WAIT_POLLIN};
        int32_t class = cofre->cancelled(call, error);
        if (class != COFRE_OK)
            return class;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return cofre_fail(error, COFRE_E_PERMANENT, "libcurl does not go on");
        if (has_ended(multi, code))
            return COFRE_OK;
        *code = CURLE_OK;
        if (enough && enough(context))
            return COFRE_OK;
        int64_t left = cofre->time_left(call);
        curl_multi_poll(multi, &cancel, fd >= 0, left < 0 || left > STEP ? STEP : (int)left + 1, NULL);
        if (cancel.revents) /* of an earlier call, perhaps: then it is no reason to wake again and again */
            fd = -1;
    }
}

int32_t transfer_run(struct cofre_call *call, CURL *easy, bool (*enough)(void *context), void *context, CURLcode *code,
                     struct cofre_error *error)
{
    CURLM *multi = curl_multi_init();
    if (!multi || curl_multi_add_handle(multi, easy) != CURLM_OK) {
        curl_multi_cleanup(multi);
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    }
    int32_t class = run(call, multi, enough, context, code, error);
    curl_multi_remove_handle(multi, easy);
    curl_multi_cleanup(multi);
    return class;
}

static const struct {
    CURLcode code;
    int32_t class;
    const char *hint;
} failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, COFRE_E_RETRY, "is its name right? does this machine resolve names?"},
    {CURLE_COULDNT_RESOLVE_PROXY, COFRE_E_RETRY, "is the proxy in the environment right?"},
    {CURLE_COULDNT_CONNECT, COFRE_E_RETRY, "is it running, and its name and port right?"},
    {CURLE_OPERATION_TIMEDOUT, COFRE_E_RETRY, ""},
    {CURLE_SEND_ERROR, COFRE_E_RETRY, ""},
    {CURLE_RECV_ERROR, COFRE_E_RETRY, ""},
    {CURLE_GOT_NOTHING, COFRE_E_RETRY, ""},
    {CURLE_PARTIAL_FILE, COFRE_E_RETRY, ""},
    {CURLE_WEIRD_SERVER_REPLY, COFRE_E_RETRY, ""},
    {CURLE_UNSUPPORTED_PROTOCOL, COFRE_E_RETRY, "something else than what is wanted answers there"},
    {CURLE_URL_MALFORMAT, COFRE_E_CONFIG, ""},
    {CURLE_SSL_CONNECT_ERROR, COFRE_E_RETRY, "does it speak TLS at that port?"},
    {CURLE_USE_SSL_FAILED, COFRE_E_CONFIG, "it offers no TLS there: is the port right?"},
    {CURLE_PEER_FAILED_VERIFICATION, COFRE_E_CONFIG, "set ca_file to the authority that signed its certificate"},
    {CURLE_SSL_CACERT_BADFILE, COFRE_E_CONFIG, "is ca_file right, and can it be read?"},
    {CURLE_SSL_ISSUER_ERROR, COFRE_E_CONFIG, "set ca_file to the authority that signed its certificate"},
    {CURLE_LOGIN_DENIED, COFRE_E_AUTH, "are the user and the password right?"},
    {CURLE_TOO_MANY_REDIRECTS, COFRE_E_CONFIG, ""},
    {CURLE_OUT_OF_MEMORY, COFRE_E_MEMORY, ""},
};

int32_t transfer_fail(CURLcode code, const char *what, struct cofre_error *error)
{
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++)
        if (failures[i].code == code) {
            cofre_fail(error, failures[i].class, "%s: %s", what, curl_easy_strerror(code));
            cofre_hint(error, "%s", failures[i].hint);
            return failures[i].class;
        }
    return cofre_fail(error, COFRE_E_RETRY, "%s: %s (libcurl error %d)", what, curl_easy_strerror(code), (int)code);
}
