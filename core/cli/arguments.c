#include "cli/arguments.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"

#define CANDIDATES_MAX 64

int arguments_init(struct arguments *a, size_t argc, struct error *e)
{
    size_t n = argc + 1;
    memset(a, 0, sizeof *a);
    a->words = calloc(n, sizeof *a->words);
    /* A cluster of letters gives several options from one argument, each at most once. */
    a->given = calloc(n + CANDIDATES_MAX, sizeof *a->given);
    a->values = calloc(n, sizeof *a->values);
    if (a->words && a->given && a->values)
        return 0;
    arguments_free(a);
    return error_memory(e);
}

void arguments_free(struct arguments *a)
{
    free(a->words);
    free(a->given);
    free(a->values);
    memset(a, 0, sizeof *a);
}

static const struct argument_option *find(const struct argument_option *const *tables, const char *name, size_t length,
                                          char letter)
{
    for (; *tables; tables++)
        for (const struct argument_option *o = *tables; o->name; o++)
            if (name ? strlen(o->name) == length && memcmp(o->name, name, length) == 0 : o->letter == letter)
                return o;
    return NULL;
}

static int unknown(const struct argument_option *const *tables, const char *name, size_t length, struct error *e)
{
    const char *candidates[CANDIDATES_MAX];
    size_t count = 0;
    for (; *tables; tables++)
        for (const struct argument_option *o = *tables; o->name && count < CANDIDATES_MAX - 1; o++)
            candidates[count++] = o->name;
    candidates[count] = NULL;
    char word[64] = "";
    if (length < sizeof word)
        memcpy(word, name, length);
    error_set(e, ERROR_USAGE, "unknown option '--%.*s'", (int)(length > 200 ? 200 : length), name);
    const char *nearest = text_nearest(word, candidates);
    if (nearest)
        error_hint(e, "did you mean --%s?", nearest);
    return -1;
}

static int give(struct arguments *a, const struct argument_option *option, char *value, struct error *e)
{
    if (!option->repeated && arguments_has(a, option->name)) {
        if (option->value)
            return error_set(e, ERROR_USAGE, "option '--%s' is given twice", option->name);
        return 0;
    }
    a->given[a->given_count++] = (struct argument_given){option, value};
    return 0;
}

static int parse_long(struct arguments *a, size_t argc, char **argv, size_t *at,
                      const struct argument_option *const *tables, struct error *e)
{
    char *name = argv[(*at)++] + 2;
    size_t length = strcspn(name, "=");
    char *value = name[length] ? name + length + 1 : NULL;
    const struct argument_option *option = find(tables, name, length, 0);
    if (!option)
        return unknown(tables, name, length, e);
    if (!option->value && value)
        return error_set(e, ERROR_USAGE, "option '--%s' takes no value", option->name);
    if (option->value && !value) {
        if (*at >= argc)
            return error_set(e, ERROR_USAGE, "option '--%s' needs a value: --%s %s", option->name, option->name,
                             option->value);
        value = argv[(*at)++];
    }
    return give(a, option, value, e);
}

static int parse_letters(struct arguments *a, const char *letters, const struct argument_option *const *tables,
                         struct error *e)
{
    for (; *letters; letters++) {
        const struct argument_option *option = find(tables, NULL, 0, *letters);
        if (!option)
            return error_set(e, ERROR_USAGE, "unknown option '-%c'", *letters);
        if (give(a, option, NULL, e) < 0)
            return -1;
    }
    return 0;
}

int arguments_parse(struct arguments *a, size_t argc, char **argv, size_t *at, bool stop_at_word,
                    const struct argument_option *const *tables, struct error *e)
{
    while (*at < argc) {
        char *text = argv[*at];
        int result = 0;
        if (a->options_ended || text[0] != '-' || !text[1]) {
            a->words[a->word_count++] = text;
            ++*at;
            if (stop_at_word)
                return 0;
        } else if (strcmp(text, "--") == 0) {
            a->options_ended = true;
            ++*at;
        } else if (text[1] == '-') {
            result = parse_long(a, argc, argv, at, tables, e);
        } else {
            result = parse_letters(a, text + 1, tables, e);
            ++*at;
        }
        if (result < 0)
            return -1;
    }
    return 0;
}

bool arguments_has(const struct arguments *a, const char *name)
{
    for (size_t i = 0; i < a->given_count; i++)
        if (strcmp(a->given[i].option->name, name) == 0)
            return true;
    return false;
}

const char *arguments_value(const struct arguments *a, const char *name)
{
    for (size_t i = 0; i < a->given_count; i++)
        if (strcmp(a->given[i].option->name, name) == 0)
            return a->given[i].value;
    return NULL;
}

char *const *arguments_values(struct arguments *a, const char *name, size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < a->given_count; i++)
        if (strcmp(a->given[i].option->name, name) == 0)
            a->values[(*count)++] = a->given[i].value;
    return a->values;
}
