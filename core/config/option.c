#include "config/option.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "config/secret.h"

#define LIST_MAX 4096
#define CHOICES_MAX 32

void option_value_free(struct option_value *v)
{
    free(v->text);
    for (size_t i = 0; i < v->count; i++)
        free(v->items[i]);
    free(v->items);
    secret_free(v->secret);
    *v = (struct option_value){0};
}

static int check_range(const struct option *o, const char *text, int64_t number, struct error *e)
{
    static const char *const units[] = {
        [OPTION_INTEGER] = "", [OPTION_SIZE] = " bytes", [OPTION_DURATION] = " milliseconds"};
    if ((o->minimum == 0 && o->maximum == 0) || (number >= o->minimum && number <= o->maximum))
        return 0;
    return error_set(e, ERROR_CONFIG, "'%.100s' is not between %lld and %lld%s", text, (long long)o->minimum,
                     (long long)o->maximum, units[o->type]);
}

static int parse_text(const struct option *o, const char *text, struct option_value *v, struct error *e)
{
    (void)o;
    v->text = text_copy(text);
    return v->text ? 0 : error_memory(e);
}

static int parse_path(const struct option *o, const char *text, struct option_value *v, struct error *e)
{
    if (text[0] != '/')
        return error_set(e, ERROR_CONFIG, "'%.200s' is no absolute path: it must begin with '/'", text);
    if (strlen(text) >= PATH_MAX)
        return error_set(e, ERROR_CONFIG, "the path is longer than %d bytes", PATH_MAX - 1);
    return parse_text(o, text, v, e);
}

static int parse_integer(const struct option *o, const char *text, struct option_value *v, struct error *e)
{
    return text_parse_integer(text, &v->number, e) < 0 ? -1 : check_range(o, text, v->number, e);
}

static int parse_size(const struct option *o, const char *text, struct option_value *v, struct error *e)
{
    return text_parse_size(text, &v->number, e) < 0 ? -1 : check_range(o, text, v->number, e);
}

static int parse_duration(const struct option *o, const char *text, struct option_value *v, struct error *e)
{
    return text_parse_duration(text, &v->number, e) < 0 ? -1 : check_range(o, text, v->number, e);
}

static int parse_boolean(const struct option *o, const char *text, struct option_value *v, struct error *e)
{
    (void)o;
    bool yes;
    if (text_parse_boolean(text, &yes, e) < 0)
        return -1;
    v->number = yes;
    return 0;
}

/* None of them: all are named, or the nearest is. */
static int no_choice(const char *text, char *const *names, size_t count, struct error *e)
{
    const char *candidates[CHOICES_MAX + 1] = {NULL};
    char all[256] = "";
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i ? ", " : "", names[i]);
        candidates[i] = names[i];
    }
    error_set(e, ERROR_CONFIG, count > 1 ? "'%.100s' is none of %s" : "'%.100s' is not %s", text, all);
    const char *nearest = text_nearest(text, candidates);
    return nearest ? error_hint(e, "did you mean '%s'?", nearest) : -1;
}

static int parse_choice(const struct option *o, const char *text, struct option_value *v, struct error *e)
{
    char *copy = text_copy(o->choices ? o->choices : ""), *rest = NULL, *names[CHOICES_MAX];
    if (!copy)
        return error_memory(e);
    size_t count = 0;
    for (char *name = strtok_r(copy, "|", &rest); name && count < CHOICES_MAX; name = strtok_r(NULL, "|", &rest))
        names[count++] = name;
    v->number = -1;
    for (size_t i = 0; i < count; i++)
        if (strcmp(text, names[i]) == 0)
            v->number = (int64_t)i;
    int result = v->number < 0 ? no_choice(text, names, count, e) : 0;
    free(copy);
    return result;
}

/* The item at *at without blanks around it, "\," as a comma; *at is then at the comma behind it or at the end. */
static char *take_item(const char **at)
{
    while (**at == ' ' || **at == '\t')
        ++*at;
    char *item = malloc(strlen(*at) + 1);
    if (!item)
        return NULL;
    size_t n = 0, keep = 0;
    for (; **at && **at != ','; ++*at) {
        if ((*at)[0] == '\\' && (*at)[1] == ',')
            ++*at;
        item[n++] = **at;
        if (**at != ' ' && **at != '\t')
            keep = n;
    }
    item[keep] = '\0';
    return item;
}

static int append_item(struct option_value *v, char *item, struct error *e)
{
    char **items = item ? reallocarray(v->items, v->count + 1, sizeof *items) : NULL;
    if (!items) {
        free(item);
        return error_memory(e);
    }
    v->items = items;
    items[v->count++] = item;
    return 0;
}

static int parse_list(const struct option *o, const char *text, struct option_value *v, struct error *e)
{
    (void)o;
    const char *at = text;
    if (*at == '\0')
        return 0;
    for (;; at++) {
        if (append_item(v, take_item(&at), e) < 0)
            return -1;
        if (v->items[v->count - 1][0] == '\0')
            return error_set(e, ERROR_CONFIG,
                             "item %zu of the list is empty: write 'a, b', and '\\,' for a comma in an item", v->count);
        if (*at == '\0')
            return 0;
        if (v->count == LIST_MAX)
            return error_set(e, ERROR_CONFIG, "the list has more than %d items", LIST_MAX);
    }
}

static int parse_secret(const struct option *o, const char *text, struct option_value *v, struct error *e)
{
    (void)o;
    size_t n = strlen(text);
    v->secret = secret_alloc(n + 1);
    if (!v->secret)
        return error_memory(e);
    memcpy(v->secret, text, n);
    v->secret_length = n;
    return 0;
}

static const struct {
    const char *name;
    int (*parse)(const struct option *o, const char *text, struct option_value *v, struct error *e);
} types[] = {
    [OPTION_STRING] = {"string", parse_text},      [OPTION_PATH] = {"path", parse_path},
    [OPTION_INTEGER] = {"integer", parse_integer}, [OPTION_BOOLEAN] = {"yes or no", parse_boolean},
    [OPTION_SIZE] = {"size", parse_size},          [OPTION_DURATION] = {"duration", parse_duration},
    [OPTION_CHOICE] = {"choice", parse_choice},    [OPTION_LIST] = {"list of strings", parse_list},
    [OPTION_SECRET] = {"secret", parse_secret},
};

static bool is_type(enum option_type type)
{
    return (size_t)type < sizeof types / sizeof types[0] && types[type].parse;
}

const char *option_type_name(enum option_type type)
{
    return is_type(type) ? types[type].name : "unknown";
}

int option_parse(const struct option *option, const char *text, struct option_value *value, struct error *e)
{
    *value = (struct option_value){0};
    if (!is_type(option->type))
        return error_set(e, ERROR_CONFIG, "option '%s' has a type that this version does not know", option->name);
    if (types[option->type].parse(option, text, value, e) == 0)
        return 0;
    option_value_free(value);
    /* The slip of those who know '#' from elsewhere. */
    if (!e->hint[0] && strstr(text, " #") && option->type != OPTION_SECRET)
        error_hint(e, "a comment behind a value begins with ' ;'");
    return -1;
}
