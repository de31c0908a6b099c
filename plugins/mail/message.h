/* A mail (RFC 5322) of an event: seven-bit lines of at most 76 characters, whatever stands in it. */
#ifndef COFRE_MAIL_MESSAGE_H
#define COFRE_MAIL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "cofre/plugin.h"

#define MESSAGE_ADDRESS_MAX 254

/* The address of "NAME <ADDRESS>" or "ADDRESS" into out[MESSAGE_ADDRESS_MAX + 1]: false when it is none, or holds what
 * would be more than an address where it is written. */
bool message_address(const char *text, char *out);

struct message {
    const char *from; /* as above */
    const struct cofre_list *to;
    const char *line_end; /* "\r\n", "\n" */
};

/* To be freed; NULL = out of memory. */
char *message_make(const struct message *message, const struct cofre_event *event);

#endif
