/* A mail handed over to a server (SMTP), by libcurl. */
#ifndef COFRE_MAIL_SMTP_H
#define COFRE_MAIL_SMTP_H

#include "cofre/plugin.h"

enum smtp_tls { SMTP_STARTTLS, SMTP_IMPLICIT, SMTP_NONE };

struct smtp {
    const char *server; /* HOST[:PORT] */
    enum smtp_tls tls;
    const char *user; /* NULL = nobody */
    const struct cofre_secret *password;
    const char *ca_file;
};

/* from, to: addresses. text: with "\r\n". A recipient that is refused does not keep the others from getting it, and is
 * said in the log; COFRE_OK when the server has taken it for at least one. */
int32_t smtp_send(struct cofre_call *call, const struct smtp *smtp, const char *from, char *const *to, size_t to_count,
                  const char *text, struct cofre_error *error);

/* Connect, and say who we are; no mail. */
int32_t smtp_try(struct cofre_call *call, const struct smtp *smtp, struct cofre_error *error);

#endif
