/* The plugin's own struct, filled with the values of its options. */
#ifndef COFRE_HOST_VALUES_H
#define COFRE_HOST_VALUES_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/cursor.h"

struct config_value;
struct describe;
struct error;
struct option_value;

struct values {
    void *conf; /* the plugin's struct */
    struct option_value *values;
    size_t count;
};

/* From the wire: wire_put_values. */
int values_take(struct cursor *c, const struct describe *d, struct values *values, struct error *e);
/* Wipes secrets. */
void values_free(struct values *values);

#endif
