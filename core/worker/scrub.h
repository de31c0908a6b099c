/* Secrets taken out of whatever text a worker says. */
#ifndef COFRE_WORKER_SCRUB_H
#define COFRE_WORKER_SCRUB_H

#include <stddef.h>
#include <stdint.h>

struct config_value;
struct error;

/* Secrets shorter than this are not looked for: they would be found in every text. */
#define SCRUB_SHORTEST 4

struct scrub {
    struct scrub_secret {
        uint8_t *bytes; /* secret_alloc */
        size_t length;
    } * secrets;
    size_t count;
};

/* Remember the values that are secret. */
int scrub_learn(struct scrub *scrub, const struct config_value *values, size_t count, struct error *e);
/* Each secret in the NUL terminated text, and a beginning of one that was cut off at its end, becomes "***". */
void scrub_text(const struct scrub *scrub, char *text);
void scrub_error(const struct scrub *scrub, struct error *error);
void scrub_free(struct scrub *scrub);

#endif
