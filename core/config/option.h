/* Options: typed rows, for what the engine itself understands and for what a plugin declares.
 *
 * The types and flags have the numbers of the plugin ABI (cofre/plugin.h: COFRE_STRING ..., COFRE_O_*).
 */
#ifndef COFRE_CONFIG_OPTION_H
#define COFRE_CONFIG_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

enum option_type {
    OPTION_STRING = 1,
    OPTION_PATH = 2,
    OPTION_INTEGER = 3,
    OPTION_BOOLEAN = 4,
    OPTION_SIZE = 5,
    OPTION_DURATION = 6,
    OPTION_CHOICE = 7,
    OPTION_LIST = 8,
    OPTION_SECRET = 9
};

enum {
    OPTION_REQUIRED = 1,
    OPTION_RESTORE = 2,
    /* What the engine heeds in a plugin's options, of the type that fits (describe_plugin). One has each of these at
     * most: */
    OPTION_PARALLEL = 4,
    OPTION_PROTECT = 8,
    OPTION_REPLACE = 16,
    /* any number of these: */
    OPTION_TRUSTED = 32, /* PATH: nobody else may be able to change what is there (config_check_options) */
    OPTION_READS = 64
};

struct option {
    const char *name;
    enum option_type type;
    unsigned flags;
    const char *fallback;     /* as written in the configuration; NULL = none */
    int64_t minimum, maximum; /* INTEGER, SIZE, DURATION; both 0 = any */
    const char *choices;      /* CHOICE: "a|b|c" */
    const char *help;
};

/* A parsed value. Which member counts follows from the type. Owns what it points to. */
struct option_value {
    char *text;     /* STRING, PATH */
    int64_t number; /* INTEGER, BOOLEAN 0/1, SIZE bytes, DURATION ms, CHOICE index */
    char **items;   /* LIST */
    size_t count;
    uint8_t *secret; /* SECRET: locked memory, not in core dumps */
    size_t secret_length;
};
/* Wipes secrets. A zeroed value is fine. */
void option_value_free(struct option_value *v);

/* The name of a type for messages and manuals: "string", "path", "list of strings", ... */
const char *option_type_name(enum option_type type);

/* Parse text as a value of this option: type, range, choices. SECRET: text must already be resolved (config/secret.h)
 * and is taken as it is. LIST: comma separated, blanks around items dropped, "\," is a comma, empty items are an error.
 * ERROR_CONFIG says what would be right: "'7x' is no duration: write 90s, 15min, 6h, ...". */
int option_parse(const struct option *option, const char *text, struct option_value *value, struct error *e);

const char *option_type_name(enum option_type type);

#endif
