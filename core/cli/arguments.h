/* Arguments: options by table, words, nothing guessed.
 *
 * "--name", "--name VALUE", "--name=VALUE", "-x", several letters in one "-xy"; options may stand anywhere; "--" ends
 * them; a lone "-" is a word. Names are never abbreviated: a script that works today works with the next option too.
 */
#ifndef COFRE_CLI_ARGUMENTS_H
#define COFRE_CLI_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

struct error;

/* A table of these ends with a row without name. */
struct argument_option {
    const char *name;
    char letter;       /* 0 = none; only for options without a value */
    bool repeated;     /* may be given more than once */
    const char *value; /* what to call the value in the help; NULL = the option takes none */
    const char *help;
};

struct argument_given {
    const struct argument_option *option;
    char *value; /* NULL when the option takes none */
};

/* What was given. Points into argv. */
struct arguments {
    char **words;
    size_t word_count;
    struct argument_given *given;
    size_t given_count;
    bool options_ended; /* "--" was seen */
    char **values;      /* memory of arguments_values */
};

/* Room for argc arguments. */
int arguments_init(struct arguments *a, size_t argc, struct error *e);
void arguments_free(struct arguments *a);

/* Take argv[*at] and what follows, and set *at behind it. With stop_at_word the first word is the last argument taken.
 * tables: option tables, ended by NULL. ERROR_USAGE: unknown option (with a suggestion), missing or superfluous value,
 * an option given twice. May be called again with other tables for the rest. */
int arguments_parse(struct arguments *a, size_t argc, char **argv, size_t *at, bool stop_at_word,
                    const struct argument_option *const *tables, struct error *e);

bool arguments_has(const struct arguments *a, const char *name);
/* NULL when it was not given. */
const char *arguments_value(const struct arguments *a, const char *name);
/* All values of a repeated option, in order, valid until the next call. */
char *const *arguments_values(struct arguments *a, const char *name, size_t *count);

#endif
