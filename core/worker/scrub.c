#include "worker/scrub.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/config.h"
#include "config/secret.h"

int scrub_learn(struct scrub *scrub, const struct config_value *values, size_t count, struct error *e)
{
    scrub_free(scrub);
    scrub->secrets = calloc(count + 1, sizeof *scrub->secrets);
    if (!scrub->secrets)
        return error_memory(e);
    for (size_t i = 0; i < count; i++) {
        if (values[i].option->type != OPTION_SECRET || !values[i].text || values[i].length < SCRUB_SHORTEST)
            continue;
        uint8_t *copy = secret_alloc(values[i].length);
        if (!copy)
            return error_memory(e);
        memcpy(copy, values[i].text, values[i].length);
        scrub->secrets[scrub->count++] = (struct scrub_secret){.bytes = copy, .length = values[i].length};
    }
    return 0;
}

/* The stars take three bytes, a secret at least four: the text only shrinks. */
static void replace(char *at, size_t hidden, size_t rest)
{
    memcpy(at, "***", 3);
    memmove(at + 3, at + hidden, rest + 1);
}

static void hide(const struct scrub_secret *secret, char *text)
{
    size_t left = strlen(text);
    for (char *found; (found = memmem(text, left, secret->bytes, secret->length)) != NULL;) {
        size_t rest = left - (size_t)(found - text) - secret->length;
        replace(found, secret->length, rest);
        text = found + 3;
        left = rest;
    }
    for (size_t n = left < secret->length ? left : secret->length - 1; n >= SCRUB_SHORTEST; n--)
        if (memcmp(text + left - n, secret->bytes, n) == 0) {
            replace(text + left - n, n, 0);
            return;
        }
}

void scrub_text(const struct scrub *scrub, char *text)
{
    for (size_t i = 0; i < scrub->count; i++)
        hide(&scrub->secrets[i], text);
}

void scrub_error(const struct scrub *scrub, struct error *error)
{
    scrub_text(scrub, error->message);
    scrub_text(scrub, error->hint);
}

void scrub_free(struct scrub *scrub)
{
    for (size_t i = 0; i < scrub->count; i++)
        secret_free(scrub->secrets[i].bytes);
    free(scrub->secrets);
    *scrub = (struct scrub){.secrets = NULL};
}
