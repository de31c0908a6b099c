#include "worker/redact.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/config.h"
#include "config/secret.h"

int redact_learn(struct redact *redact, const struct config_value *values, size_t count, struct error *e)
{
    redact_free(redact);
    redact->secrets = calloc(count + 1, sizeof *redact->secrets);
    if (!redact->secrets)
        return error_memory(e);
    for (size_t i = 0; i < count; i++) {
        if (values[i].option->type != OPTION_SECRET || !values[i].text || values[i].length < REDACT_SHORTEST)
            continue;
        uint8_t *copy = secret_alloc(values[i].length);
        if (!copy)
            return error_memory(e);
        memcpy(copy, values[i].text, values[i].length);
        redact->secrets[redact->count++] = (struct redact_secret){.bytes = copy, .length = values[i].length};
    }
    return 0;
}

/* The stars take three bytes, a secret at least four: the text only shrinks. */
static void replace(char *at, size_t hidden, size_t rest)
{
    memcpy(at, "***", 3);
    memmove(at + 3, at + hidden, rest + 1);
}

static void hide(const struct redact_secret *secret, char *text)
{
    size_t left = strlen(text);
    for (char *found; (found = memmem(text, left, secret->bytes, secret->length)) != NULL;) {
        size_t rest = left - (size_t)(found - text) - secret->length;
        replace(found, secret->length, rest);
        text = found + 3;
        left = rest;
    }
    for (size_t n = left < secret->length ? left : secret->length - 1; n >= REDACT_SHORTEST; n--)
        if (memcmp(text + left - n, secret->bytes, n) == 0) {
            replace(text + left - n, n, 0);
            return;
        }
}

void redact_text(const struct redact *redact, char *text)
{
    for (size_t i = 0; i < redact->count; i++)
        hide(&redact->secrets[i], text);
}

void redact_error(const struct redact *redact, struct error *error)
{
    redact_text(redact, error->message);
    redact_text(redact, error->hint);
}

void redact_free(struct redact *redact)
{
    for (size_t i = 0; i < redact->count; i++)
        secret_free(redact->secrets[i].bytes);
    free(redact->secrets);
    *redact = (struct redact){.secrets = NULL};
}
