#include "config/section.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "config/expand.h"
#include "config/ini.h"

#define KEY_NAME_MAX 63
#define WORDS 4

static const char *const kind_names[] = {"engine", "source", "sink", "notify", "job"};
#define KINDS (sizeof kind_names / sizeof kind_names[0])

struct reading {
    struct sections *sections;
    const char *file;
    bool private_file;
};

void section_free_keys(struct config_key *keys, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(keys[i].name);
        if (keys[i].value)
            explicit_bzero(keys[i].value, strlen(keys[i].value));
        free(keys[i].value);
    }
    free(keys);
}

static void free_section(struct section *s)
{
    free(s->name);
    free(s->sink);
    section_free_keys(s->keys, s->key_count);
    free(s->fault);
}

void section_free(struct sections *sections)
{
    for (size_t i = 0; i < sections->count; i++)
        free_section(&sections->items[i]);
    free(sections->items);
    *sections = (struct sections){0};
}

const char *section_title(const struct section *s, char *out, size_t size)
{
    if (s->kind == SECTION_ENGINE)
        snprintf(out, size, "[engine]");
    else if (s->kind == SECTION_OVERRIDE)
        snprintf(out, size, "[job %s on %s]", s->name, s->sink);
    else
        snprintf(out, size, "[%s %s]", kind_names[s->kind], s->name);
    return out;
}

int section_error_at(const struct section *s, struct error *e)
{
    return error_context(e, "%s:%u: ", s->file, s->line);
}

int section_error_at_key(const struct config_key *key, struct error *e)
{
    return error_context(e, "%s:%u: ", key->file, key->line);
}

/* ---- suggestions ---- */

static void list_names(const char *what, const char *const *names, size_t count, struct error *e)
{
    char text[256];
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t n = strlen(names[i]);
        if (used + n + 8 > sizeof text) {
            memcpy(text + used, ", ...", 6);
            break;
        }
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i ? ", " : "", names[i]);
    }
    if (count > 0)
        error_hint(e, "%s: %s", what, text);
}

int section_suggest(const char *word, const char *what, const char *const *names, size_t count, struct error *e)
{
    const char **list = calloc(count + 1, sizeof *list);
    if (!list)
        return -1; /* no hint then; the message stands */
    for (size_t i = 0; i < count; i++)
        list[i] = names[i];
    const char *nearest = text_nearest(word, list);
    if (nearest)
        error_hint(e, "did you mean '%s'?", nearest);
    else
        list_names(what, list, count, e);
    free(list);
    return -1;
}

int section_suggest_option(const char *word, const struct option *options, const struct option *more, struct error *e)
{
    const char *names[2 * SECTION_KEY_MAX];
    size_t count = 0;
    const struct option *tables[] = {options, more};
    for (size_t t = 0; t < 2; t++)
        for (const struct option *o = tables[t]; o && o->name && count < 2 * SECTION_KEY_MAX; o++)
            names[count++] = o->name;
    return section_suggest(word, "known keys", names, count, e);
}

void section_suggest_misspelt(const struct section *s, const char *name, struct error *e)
{
    const char *names[SECTION_KEY_MAX + 1] = {NULL};
    for (size_t i = 0; i < s->key_count; i++)
        names[i] = s->keys[i].name;
    const char *nearest = text_nearest(name, names);
    if (nearest)
        error_hint(e, "did you mean '%s' in line %u, where '%s' stands?", name, section_find(s, nearest)->line,
                   nearest);
}

/* ---- headers ---- */

static size_t split_words(char *text, char *words[WORDS])
{
    size_t count = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (count < WORDS)
            words[count] = word;
        count++;
    }
    return count;
}

static int find_kind(const char *word, enum section_kind *kind, struct error *e)
{
    for (size_t i = 0; i < KINDS; i++)
        if (strcmp(word, kind_names[i]) == 0) {
            *kind = (enum section_kind)i;
            return 0;
        }
    error_set(e, ERROR_CONFIG, "unknown section '%.60s'", word);
    return section_suggest(word, "sections", kind_names, KINDS, e);
}

static int check_name(const char *name, struct error *e)
{
    if (text_is_name(name))
        return 0;
    error_set(e, ERROR_CONFIG, "'%.80s' is no name", name);
    return error_hint(e, "a name is at most 63 of a-z, 0-9, '-' and '_', and begins with a letter or digit");
}

/* Words of a header into a section; its strings are copies. */
static int fill_section(struct section *s, char *words[WORDS], size_t count, struct error *e)
{
    if (count == 0)
        return error_set(e, ERROR_CONFIG, "the section has no name");
    if (find_kind(words[0], &s->kind, e) < 0)
        return -1;
    if (s->kind == SECTION_ENGINE)
        return count == 1 ? 0 : error_set(e, ERROR_CONFIG, "[engine] takes no name");
    if (s->kind == SECTION_JOB && count == 4 && strcmp(words[2], "on") == 0)
        s->kind = SECTION_OVERRIDE;
    else if (count != 2)
        return error_set(e, ERROR_CONFIG, "write [%s NAME]%s", words[0],
                         s->kind == SECTION_JOB ? " or [job NAME on SINK]" : "");
    if (check_name(words[1], e) < 0 || (s->kind == SECTION_OVERRIDE && check_name(words[3], e) < 0))
        return -1;
    s->name = text_copy(words[1]);
    s->sink = s->kind == SECTION_OVERRIDE ? text_copy(words[3]) : NULL;
    return s->name && (s->sink || s->kind != SECTION_OVERRIDE) ? 0 : error_memory(e);
}

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static int check_duplicate(const struct sections *all, const struct section *s, struct error *e)
{
    char title[160];
    for (size_t i = 0; i < all->count; i++) {
        const struct section *other = &all->items[i];
        if (other->kind == s->kind && same_text(other->name, s->name) && same_text(other->sink, s->sink))
            return error_set(e, ERROR_CONFIG, "duplicate section '%s': it stands at %s:%u already",
                             section_title(s, title, sizeof title), other->file, other->line);
    }
    return 0;
}

static int append(struct sections *all, struct section *s, struct error *e)
{
    if (all->count == SECTION_MAX)
        return error_set(e, ERROR_CONFIG, "more than %d sections", SECTION_MAX);
    if (check_duplicate(all, s, e) < 0)
        return -1;
    struct section *items = reallocarray(all->items, all->count + 1, sizeof *items);
    if (!items)
        return error_memory(e);
    all->items = items;
    items[all->count++] = *s;
    return 0;
}

static int on_section(void *user, unsigned line, const char *header, struct error *e)
{
    struct reading *r = user;
    char text[320], *words[WORDS];
    if (snprintf(text, sizeof text, "%s", header) >= (int)sizeof text)
        return error_set(e, ERROR_CONFIG, "the section's name is too long");
    struct section s = {.file = r->file, .line = line};
    if (fill_section(&s, words, split_words(text, words), e) == 0 && append(r->sections, &s, e) == 0)
        return 0;
    free_section(&s);
    return -1;
}

/* ---- keys ---- */

static const struct option *options_of(enum section_kind kind)
{
    static const struct option *const tables[] = {
        [SECTION_ENGINE] = config_engine_options, [SECTION_SOURCE] = config_source_options,
        [SECTION_SINK] = config_sink_options,     [SECTION_NOTIFY] = config_notify_options,
        [SECTION_JOB] = config_job_options,       [SECTION_OVERRIDE] = config_job_options,
    };
    return tables[kind];
}

/* What is no key is not repeated in the message: it could be the second line of a secret. */
static int check_key_name(const struct section *s, const char *name, struct error *e)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (name[0] >= 'a' && name[0] <= 'z' && name[n] == '\0' && n <= KEY_NAME_MAX)
        return 0;
    error_set(e, ERROR_CONFIG, "what stands before '=' is no key: a key is made of a-z, 0-9 and '_'");
    const char *names[SECTION_KEY_MAX] = {NULL};
    size_t count = 0;
    for (const struct option *o = options_of(s->kind); o->name; o++)
        names[count++] = o->name;
    const char *nearest = text_nearest(name, names);
    return nearest ? error_hint(e, "did you mean '%s'?", nearest) : -1;
}

static int check_value(const char *name, const char *value, struct error *e)
{
    size_t n = strlen(value);
    if (n == 0) {
        error_set(e, ERROR_CONFIG, "'%s' has no value", name);
        return error_hint(e, "give it one, or take the line out");
    }
    if (n >= 2 && value[0] == '"' && value[n - 1] == '"') {
        error_set(e, ERROR_CONFIG, "the value of '%s' stands in quotes", name);
        return error_hint(e, "write values without quotes; blanks inside are kept");
    }
    return 0;
}

static int append_key(struct section *s, const struct config_key *key, struct error *e)
{
    struct config_key *keys = reallocarray(s->keys, s->key_count + 1, sizeof *keys);
    if (!keys)
        return error_memory(e);
    s->keys = keys;
    keys[s->key_count++] = *key;
    return 0;
}

static int on_key(void *user, unsigned line, const char *name, const char *value, struct error *e)
{
    struct reading *r = user;
    struct section *s = r->sections->count ? &r->sections->items[r->sections->count - 1] : NULL;
    if (!s || s->file != r->file)
        return error_set(e, ERROR_CONFIG, "a key stands before the first [section]");
    if (check_key_name(s, name, e) < 0)
        return -1;
    const struct config_key *other = section_find(s, name);
    if (other)
        return error_set(e, ERROR_CONFIG, "duplicate key '%s': it stands in line %u already", name, other->line);
    if (s->key_count == SECTION_KEY_MAX)
        return error_set(e, ERROR_CONFIG, "more than %d keys in a section", SECTION_KEY_MAX);
    if (check_value(name, value, e) < 0)
        return -1;
    struct config_key key = {.file = r->file, .line = line, .private_file = r->private_file};
    key.value = text_copy(value);
    key.name = text_copy(name);
    if (key.name && key.value && append_key(s, &key, e) == 0)
        return 0;
    if (key.value)
        explicit_bzero(key.value, strlen(key.value));
    free(key.value);
    free(key.name);
    return error_memory(e);
}

/* ---- variables ---- */

/* 1: the key has a value; 0: nothing is left of it. */
static int expand_key(struct config_key *key, struct error *e)
{
    char *value;
    bool private_value;
    if (!strstr(key->value, "${"))
        return 1;
    if (expand_value(key->value, &value, &private_value, e) < 0) {
        error_context(e, "'%s': ", key->name);
        return section_error_at_key(key, e);
    }
    explicit_bzero(key->value, strlen(key->value));
    free(key->value);
    key->value = value;
    key->private_file = key->private_file && private_value;
    return *value != '\0';
}

static void drop_key(struct section *s, size_t i)
{
    free(s->keys[i].name);
    free(s->keys[i].value);
    memmove(&s->keys[i], &s->keys[i + 1], (s->key_count - i - 1) * sizeof *s->keys);
    s->key_count--;
}

static int keep_fault(struct section *s, struct error *e)
{
    if (e->class != ERROR_NOT_FOUND)
        return -1;
    e->class = ERROR_CONFIG;
    if (s->kind != SECTION_SOURCE && s->kind != SECTION_SINK && s->kind != SECTION_NOTIFY)
        return -1;
    if (!s->fault)
        s->fault = text_copy(e->message);
    return s->fault ? 0 : error_memory(e);
}

int section_expand(struct section *s, struct error *e)
{
    for (size_t i = 0; i < s->key_count;) {
        int result = expand_key(&s->keys[i], e);
        if (result < 0 && keep_fault(s, e) < 0)
            return -1;
        if (result == 0)
            drop_key(s, i);
        else
            i++;
    }
    return 0;
}

int section_read(struct sections *sections, const char *file, const void *text, size_t length, bool private_file,
                 struct error *e)
{
    struct reading r = {.sections = sections, .file = file, .private_file = private_file};
    const struct ini_events events = {.section = on_section, .key = on_key, .user = &r};
    unsigned line;
    if (ini_scan(text, length, &events, &line, e) < 0)
        return error_context(e, "%s:%u: ", file, line);
    return 0;
}

/* ---- values ---- */

const struct config_key *section_find(const struct section *s, const char *name)
{
    for (size_t i = 0; i < s->key_count; i++)
        if (strcmp(s->keys[i].name, name) == 0)
            return &s->keys[i];
    return NULL;
}

static const struct option *find_option(const struct option *options, const char *name)
{
    while (options->name && strcmp(options->name, name) != 0)
        options++;
    return options->name ? options : NULL;
}

int section_check_keys(const struct section *s, const struct option *options, struct error *e)
{
    char title[160];
    for (size_t i = 0; i < s->key_count; i++) {
        const struct config_key *key = &s->keys[i];
        if (find_option(options, key->name))
            continue;
        error_set(e, ERROR_CONFIG, "unknown key '%s' in %s", key->name, section_title(s, title, sizeof title));
        section_suggest_option(key->name, options, NULL, e);
        return section_error_at_key(key, e);
    }
    return 0;
}

int section_value(const struct section *s, const struct option *options, const char *name, struct option_value *value,
                  struct error *e)
{
    const struct option *option = find_option(options, name);
    ASSERT(option);
    *value = (struct option_value){0};
    const struct config_key *key = section_find(s, name);
    if (key) {
        if (option_parse(option, key->value, value, e) == 0)
            return 1;
        error_context(e, "'%s': ", name);
        return section_error_at_key(key, e);
    }
    if (option->flags & OPTION_REQUIRED) {
        char title[160];
        error_set(e, ERROR_CONFIG, "%s has no '%s'", section_title(s, title, sizeof title), name);
        error_hint(e, "%s: %s", name, option->help);
        section_suggest_misspelt(s, name, e);
        return section_error_at(s, e);
    }
    return option->fallback ? option_parse(option, option->fallback, value, e) : 0;
}
