/* A mail for each event. message.c: the mail; smtp.c: to a server; or to the sendmail of this machine. */
#include <stdbool.h>
#include <stdlib.h>

#include "common/child.h"
#include "common/curl/transfer.h"
#include "mail/message.h"
#include "mail/smtp.h"

#define RECIPIENTS_MAX 50

struct conf {
    struct cofre_list to;
    const char *from, *server, *user, *ca_file, *sendmail;
    int32_t tls;
    struct cofre_secret password;
};

#define O(name, TYPE, flags, fallback, help) COFRE_OPTION(struct conf, name, TYPE, flags, fallback, help)

static const struct cofre_option rows[] = {
    O(to, LIST, COFRE_O_REQUIRED, NULL, "who gets it: addresses, also as NAME <ADDRESS>"),
    O(from, STRING, 0, NULL, "who it is from; default: cofre at this machine"),
    O(server, STRING, 0, NULL, "mail server, HOST[:PORT]; default: sendmail"),
    COFRE_OPTION_CHOICE(struct conf, tls, 0, "starttls", "starttls|implicit|none", "how the server is spoken to"),
    O(user, STRING, 0, NULL, "who we are there"),
    O(password, SECRET, 0, NULL, "goes with user"),
    O(ca_file, PATH, COFRE_O_TRUSTED, NULL, "authorities to trust instead of the system's, PEM"),
    O(sendmail, PATH, COFRE_O_TRUSTED, "/usr/sbin/sendmail", "program that takes the mail where there is no server"),
};

struct mail {
    const struct conf *conf;
    struct smtp smtp;
    char name[300]; /* from, where the section does not say it */
    const char *from;
    char sender[MESSAGE_ADDRESS_MAX + 1];
    char addresses[RECIPIENTS_MAX][MESSAGE_ADDRESS_MAX + 1];
    char *words[RECIPIENTS_MAX + 5]; /* of sendmail; its recipients begin behind WORDS */
};

#define WORDS 4 /* sendmail -i -f SENDER */

/* ---- opening ---- */

static int32_t check_server(const struct conf *c, struct cofre_error *error)
{
    const char *allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]";
    if (!c->server && (c->user || c->password.length > 0))
        return cofre_fail(error, COFRE_E_CONFIG, "'user' and 'password' are for a server, and there is no 'server'");
    if (!c->user != (c->password.length == 0))
        return cofre_fail(error, COFRE_E_CONFIG, "'user' and 'password' go together");
    if (c->server && (c->server[strspn(c->server, allowed)] != '\0' || strlen(c->server) > 280))
        return cofre_fail(error, COFRE_E_CONFIG, "'server': '%.80s' is not HOST[:PORT]", c->server);
    if (c->user && c->tls == SMTP_NONE) {
        cofre_fail(error, COFRE_E_CONFIG, "with 'tls = none' the password would go over the line as it is");
        cofre_hint(error, "write tls = starttls or tls = implicit");
        return COFRE_E_CONFIG;
    }
    return COFRE_OK;
}

static int32_t take_addresses(struct mail *m, struct cofre_error *error)
{
    const struct conf *c = m->conf;
    if (!message_address(m->from, m->sender))
        return cofre_fail(error, COFRE_E_CONFIG, "'from': '%.100s' is no address", m->from);
    if (c->to.count == 0 || c->to.count > RECIPIENTS_MAX)
        return cofre_fail(error, COFRE_E_CONFIG, "'to': there must be 1 to %d addresses", RECIPIENTS_MAX);
    for (size_t i = 0; i < c->to.count; i++) {
        if (!message_address(c->to.items[i], m->addresses[i]))
            return cofre_fail(error, COFRE_E_CONFIG, "'to': '%.100s' is no address", c->to.items[i]);
        m->words[WORDS + i] = m->addresses[i];
    }
    return COFRE_OK;
}

static int32_t prepare(struct mail *m, struct cofre_error *error)
{
    static char plain[] = "-i", sender[] = "-f";
    const struct conf *c = m->conf;
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    snprintf(m->name, sizeof m->name, "cofre@%s", host);
    m->from = c->from ? c->from : m->name;
    memcpy(&m->words[0], &c->sendmail, sizeof c->sendmail);
    m->words[1] = plain;
    m->words[2] = sender;
    m->words[3] = m->sender;
    m->smtp = (struct smtp){.server = c->server,
                            .tls = (enum smtp_tls)c->tls,
                            .user = c->user,
                            .password = &c->password,
                            .ca_file = c->ca_file};
    int32_t class = check_server(c, error);
    if (class == COFRE_OK)
        class = take_addresses(m, error);
    return class == COFRE_OK && c->server ? transfer_start(error) : class;
}

static int32_t mail_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    struct mail *m = calloc(1, sizeof *m);
    if (!m)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    m->conf = conf;
    int32_t class = prepare(m, error);
    if (class != COFRE_OK)
        free(m);
    else
        *instance = m;
    return class;
}

static void mail_close(void *instance)
{
    free(instance);
}

/* ---- telling ---- */

static int32_t hand_over(const struct mail *m, struct cofre_call *call, const char *text, struct cofre_error *error)
{
    const struct child child = {.program = m->conf->sendmail, .words = m->words, .input = text, .length = strlen(text)};
    if (m->conf->server)
        return smtp_send(call, &m->smtp, m->sender, m->words + WORDS, m->conf->to.count, text, error);
    return child_run(call, &child, error);
}

static int32_t mail_notify(void *instance, struct cofre_call *call, const struct cofre_event *event,
                           struct cofre_error *error)
{
    const struct mail *m = instance;
    const struct message message = {.from = m->from, .to = &m->conf->to, .line_end = m->conf->server ? "\r\n" : "\n"};
    char *text = message_make(&message, event);
    if (!text)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    int32_t class = hand_over(m, call, text, error);
    free(text);
    return class;
}

static int32_t check_sendmail(const struct mail *m, struct cofre_call *call)
{
    char text[600];
    bool fine = access(m->conf->sendmail, X_OK) == 0;
    snprintf(text, sizeof text, "'%.400s' %s%s", m->conf->sendmail,
             fine ? "is there, and was not run" : "cannot be executed: ", fine ? "" : strerror(errno));
    cofre->finding(call, fine ? COFRE_LOG_INFO : COFRE_LOG_ERROR, text,
                   fine ? NULL : "install a mail system that has it, such as msmtp-mta, or write server = HOST");
    return COFRE_OK;
}

static int32_t mail_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    const struct mail *m = instance;
    char text[400];
    if (depth == COFRE_CHECK_OFFLINE)
        return COFRE_OK;
    if (depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    if (!m->conf->server)
        return check_sendmail(m, call);
    int32_t class = smtp_try(call, &m->smtp, error);
    snprintf(text, sizeof text, "the mail server '%.280s' answers%s; nothing was sent", m->conf->server,
             m->conf->user ? ", and takes the password" : "");
    if (class == COFRE_OK)
        cofre->finding(call, COFRE_LOG_INFO, text, NULL);
    return class;
}

static const struct cofre_notifier notifier = {
    .struct_size = sizeof notifier,
    .open = mail_open,
    .close = mail_close,
    .check = mail_check,
    .notify = mail_notify,
};

static const struct cofre_plugin plugin = {
    .struct_size = sizeof plugin,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = 2,
    .name = "mail",
    .version = "0.1.0",
    .summary = "a mail, through a server (SMTP) or this machine's sendmail",
    .license = "MIT",
    .example = "to = ops@example.org\nserver = smtp.example.org:587\nuser = backup@example.org\n"
               "password = @file:/etc/cofre/secrets/mail\n",
    .options = COFRE_OPTIONS(struct conf, rows),
    .notifier = &notifier,
};

COFRE_PLUGIN(plugin)
