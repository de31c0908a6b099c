/* Texts with {NAME} in them, which an event fills in. */
#ifndef COFRE_HTTP_TEMPLATE_H
#define COFRE_HTTP_TEMPLATE_H

#include <stddef.h>

#include "cofre/plugin.h"

/* How what is filled in is written, so that it stays one text there. */
enum template_escape {
    TEMPLATE_PLAIN,
    TEMPLATE_LINE, /* control bytes as blanks */
    TEMPLATE_JSON, /* inside of a JSON string; {json} as it is */
    TEMPLATE_URL   /* percent signs */
};

/* Every {name} of small letters must be one that there is: COFRE_E_CONFIG. option: for the message. */
int32_t template_check(const char *option, const char *text, size_t length, struct cofre_error *error);

/* text with event filled in, terminated, to be freed. */
int32_t template_fill(const char *text, size_t length, enum template_escape escape, const struct cofre_event *event,
                      char **out, struct cofre_error *error);

#endif
