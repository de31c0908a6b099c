#include "host/values.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "cofre/plugin.h"
#include "config/config.h"
#include "config/secret.h"
#include "host/describe.h"
#include "wire/wire.h"

static int parse_secret(const uint8_t *text, size_t length, struct option_value *value, struct error *e)
{
    value->secret = secret_alloc(length + 1);
    if (!value->secret)
        return error_memory(e);
    memcpy(value->secret, text, length);
    value->secret_length = length;
    return 0;
}

static int parse(const struct option *option, const uint8_t *text, size_t length, struct option_value *value,
                 struct error *e)
{
    if (option->type == OPTION_SECRET)
        return parse_secret(text, length, value, e);
    AUTO_FREE char *copy = malloc(length + 1);
    if (!copy)
        return error_memory(e);
    memcpy(copy, text, length);
    copy[length] = '\0';
    return option_parse(option, copy, value, e);
}

/* The member as the plugin sees it. The value stays the owner of all memory. */
static void store(const struct cofre_option *row, const struct option_value *value, uint8_t *conf)
{
    union {
        const char *text;
        int64_t number;
        int32_t small;
        struct cofre_list list;
        struct cofre_secret secret;
    } member;
    memset(&member, 0, sizeof member);
    switch (row->type) {
    case COFRE_STRING:
    case COFRE_PATH:
        member.text = value->text;
        break;
    case COFRE_BOOLEAN:
    case COFRE_CHOICE:
        member.small = (int32_t)value->number;
        break;
    case COFRE_LIST:
        member.list.items = (const char *const *)value->items;
        member.list.count = value->count;
        break;
    case COFRE_SECRET:
        member.secret = (struct cofre_secret){.bytes = value->secret, .length = value->secret_length};
        break;
    default:
        member.number = value->number;
        break;
    }
    /* What a newer plugin has more of stays zero. */
    memcpy(conf + row->offset, &member, row->size < sizeof member ? row->size : sizeof member);
}

static int take_one(struct cursor *c, const struct describe *d, size_t i, struct values *values, struct error *e)
{
    const struct option *option = &d->options[i];
    size_t length = cursor_u32(c);
    if (c->failed)
        return error_set(e, ERROR_BUG, "the options end early");
    if (length == WIRE_NONE)
        return option->flags & OPTION_REQUIRED ? error_set(e, ERROR_CONFIG, "option '%s' is missing", option->name) : 0;
    const uint8_t *text = cursor_bytes(c, length);
    if (!text)
        return error_set(e, ERROR_BUG, "the options end early");
    if (parse(option, text, length, &values->values[i], e) < 0)
        return error_context(e, "option '%s': ", option->name);
    store(d->rows[i], &values->values[i], values->conf);
    return 0;
}

int values_take(struct cursor *c, const struct describe *d, struct values *values, struct error *e)
{
    size_t bytes = d->plugin.options.struct_bytes;
    *values = (struct values){.conf = calloc(1, bytes ? bytes : 1),
                              .values = calloc(d->option_count + 1, sizeof *values->values),
                              .count = d->option_count};
    if (!values->conf || !values->values) {
        values_free(values);
        return error_memory(e);
    }
    if (cursor_u32(c) != d->option_count) {
        values_free(values);
        return error_set(e, ERROR_BUG, "there must be one value for each option");
    }
    for (size_t i = 0; i < d->option_count; i++)
        if (take_one(c, d, i, values, e) < 0) {
            values_free(values);
            return -1;
        }
    return 0;
}

void values_free(struct values *values)
{
    for (size_t i = 0; values->values && i < values->count; i++)
        option_value_free(&values->values[i]);
    free(values->values);
    free(values->conf);
    *values = (struct values){.conf = NULL};
}
