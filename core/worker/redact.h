/* Secrets taken out of whatever text a worker says. */
#ifndef COFRE_WORKER_REDACT_H
#define COFRE_WORKER_REDACT_H

#include <stddef.h>
#include <stdint.h>

struct config_value;
struct error;

/* Secrets shorter than this are not looked for: they would be found in every text. */
#define REDACT_SHORTEST 4

struct redact {
    struct redact_secret {
        uint8_t *bytes; /* secret_alloc */
        size_t length;
    } * secrets;
    size_t count;
};

/* Remember the values that are secret. */
int redact_learn(struct redact *redact, const struct config_value *values, size_t count, struct error *e);
/* Each secret in the NUL terminated text, and a beginning of one that was cut off at its end, becomes "***". */
void redact_text(const struct redact *redact, char *text);
void redact_error(const struct redact *redact, struct error *error);
void redact_free(struct redact *redact);

#endif
