#include "mail/smtp.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/curl/transfer.h"
#include "common/failure.h"

struct sending {
    struct cofre_call *call;
    const char *text;
    size_t left;
    char recipient[300]; /* of the RCPT that was sent last */
    bool asked;          /* its answer is still to come */
    unsigned refused;
};

static size_t on_read(char *to, size_t size, size_t count, void *context)
{
    struct sending *s = context;
    size_t n = size * count < s->left ? size * count : s->left;
    memcpy(to, s->text, n);
    s->text += n;
    s->left -= n;
    return n;
}

static void say_refused(struct sending *s, const char *answer, size_t n)
{
    char quoted[FAILURE_QUOTE_MAX], text[700];
    failure_quote(answer, n, quoted);
    snprintf(text, sizeof text, "'%.254s' is refused as a recipient: %s", s->recipient, quoted);
    cofre->log(s->call, COFRE_LOG_WARNING, text);
    s->refused++;
}

/* The talk with the server. Who is refused can be learnt from nothing else; what proves who we are passes by here, too,
 * and is not looked at. */
static int on_talk(CURL *easy, curl_infotype type, char *p, size_t n, void *context)
{
    (void)easy;
    struct sending *s = context;
    while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r'))
        n--;
    if (type == CURLINFO_HEADER_OUT && n > 8 && memcmp(p, "RCPT TO:", 8) == 0) {
        snprintf(s->recipient, sizeof s->recipient, "%.*s", n - 8 > 280 ? 280 : (int)(n - 8), p + 8);
        s->asked = true;
    }
    if (type == CURLINFO_HEADER_IN && s->asked && n > 3 && p[3] != '-') {
        s->asked = false;
        if (p[0] == '4' || p[0] == '5')
            say_refused(s, p, n);
    }
    return 0;
}

/* ---- an exchange ---- */

static int32_t set_password(CURL *c, const struct smtp *smtp, struct cofre_error *error)
{
    size_t n = smtp->password->length;
    while (n > 0 && (smtp->password->bytes[n - 1] == '\n' || smtp->password->bytes[n - 1] == '\r'))
        n--;
    char *text = n > 0 ? strndup((const char *)smtp->password->bytes, n) : NULL;
    if (n > 0 && !text)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    curl_easy_setopt(c, CURLOPT_USERNAME, smtp->user);
    curl_easy_setopt(c, CURLOPT_PASSWORD, text ? text : ""); /* copied */
    if (text)
        explicit_bzero(text, n);
    free(text);
    return COFRE_OK;
}

static int32_t set_up(CURL *c, const struct smtp *smtp, struct sending *s, struct cofre_error *error)
{
    char url[400];
    snprintf(url, sizeof url, "%s://%.300s", smtp->tls == SMTP_IMPLICIT ? "smtps" : "smtp", smtp->server);
    curl_easy_setopt(c, CURLOPT_URL, url);
    curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(c, CURLOPT_USE_SSL, (long)(smtp->tls == SMTP_NONE ? CURLUSESSL_NONE : CURLUSESSL_ALL));
    curl_easy_setopt(c, CURLOPT_VERBOSE, 1L);
    curl_easy_setopt(c, CURLOPT_DEBUGFUNCTION, on_talk);
    curl_easy_setopt(c, CURLOPT_DEBUGDATA, s);
    return smtp->user ? set_password(c, smtp, error) : COFRE_OK;
}

/* By the status that the server said last, where there is one that says no. */
static int32_t judge(CURL *easy, const struct sending *s, CURLcode code, const char *what, struct cofre_error *error)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK)
        return COFRE_OK;
    if (code == CURLE_LOGIN_DENIED || status < 400 || status > 599)
        return transfer_fail(code, what, error);
    int32_t class = status == 421 || status < 500 ? COFRE_E_RETRY : COFRE_E_PERMANENT;
    cofre_fail(error, class, "%s: the server answers with status %ld", what, status);
    if (s->refused > 0)
        cofre_hint(error, "are the addresses in 'to' right, and may we send there?");
    else
        cofre_hint(error, "does it take mail from the address in 'from', and from us?");
    return class;
}

static int32_t exchange(struct cofre_call *call, CURL *easy, const struct smtp *smtp, struct sending *s,
                        const char *what, struct cofre_error *error)
{
    CURLcode code = CURLE_OK;
    int32_t class = set_up(easy, smtp, s, error);
    if (class == COFRE_OK)
        class = transfer_run(call, easy, NULL, NULL, &code, error);
    return class == COFRE_OK ? judge(easy, s, code, what, error) : class;
}

static struct curl_slist *recipients(char *const *to, size_t count)
{
    struct curl_slist *list = NULL;
    for (size_t i = 0; i < count; i++) {
        struct curl_slist *longer = curl_slist_append(list, to[i]);
        if (!longer) {
            curl_slist_free_all(list);
            return NULL;
        }
        list = longer;
    }
    return list;
}

int32_t smtp_send(struct cofre_call *call, const struct smtp *smtp, const char *from, char *const *to, size_t to_count,
                  const char *text, struct cofre_error *error)
{
    struct sending s = {.call = call, .text = text, .left = strlen(text)};
    struct curl_slist *list = recipients(to, to_count);
    CURL *easy = list ? transfer_handle(smtp->ca_file) : NULL;
    if (!easy) {
        curl_slist_free_all(list);
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    }
    curl_easy_setopt(easy, CURLOPT_MAIL_FROM, from);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT, list);
    curl_easy_setopt(easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(easy, CURLOPT_READDATA, &s);
    int32_t class = exchange(call, easy, smtp, &s, "send the mail", error);
    curl_easy_cleanup(easy);
    curl_slist_free_all(list);
    return class;
}

int32_t smtp_try(struct cofre_call *call, const struct smtp *smtp, struct cofre_error *error)
{
    struct sending s = {.call = call};
    CURL *easy = transfer_handle(smtp->ca_file);
    if (!easy)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "NOOP");
    curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    int32_t class = exchange(call, easy, smtp, &s, "reach the mail server", error);
    curl_easy_cleanup(easy);
    return class;
}
