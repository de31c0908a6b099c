#include "config/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/secret.h"
#include "config/section.h"

/* One check of an instance against a plugin's table. */
struct check {
    const struct config_instance *instance;
    const struct option *options; /* a copy that ends with a row without name */
    size_t count;
    bool resolve; /* secrets too */
};

void config_values_free(struct config_value *values, size_t count)
{
    for (size_t i = 0; values && i < count; i++) {
        if (values[i].option && values[i].option->type == OPTION_SECRET)
            secret_free(values[i].text);
        else
            free(values[i].text);
    }
    free(values);
}

/* The index of the option, or -1. */
static ptrdiff_t find_option(const struct check *c, const char *name, size_t length)
{
    for (size_t i = 0; i < c->count; i++)
        if (strncmp(c->options[i].name, name, length) == 0 && c->options[i].name[length] == '\0')
            return (ptrdiff_t)i;
    return -1;
}

/* Something, so that a plugin can tell a secret that is set from one that is not. */
static int take_placeholder(struct config_value *v, struct error *e)
{
    v->length = strlen(CONFIG_PLACEHOLDER);
    v->text = secret_alloc(v->length + 1);
    if (!v->text)
        return error_memory(e);
    memcpy(v->text, CONFIG_PLACEHOLDER, v->length);
    return 0;
}

static int take_secret(const struct check *c, struct config_value *v, const char *text, bool literal_allowed,
                       struct error *e)
{
    uint8_t *bytes;
    if (!c->resolve)
        return secret_check(text, literal_allowed, e) < 0 ? -1 : take_placeholder(v, e);
    if (secret_resolve(text, literal_allowed, &bytes, &v->length, e) < 0)
        return -1;
    v->text = (char *)bytes;
    return 0;
}

/* Of what is not there the plugin knows better whether it is needed. */
static int check_trusted(const char *path, struct error *e)
{
    if (access(path, F_OK) < 0 || file_check_trusted(path, e) == 0)
        return 0;
    e->class = ERROR_CONFIG;
    return -1;
}

/* The final text of an option, when it is one that the type allows. */
static int take_text(const struct check *c, struct config_value *v, const char *text, bool literal_allowed,
                     struct error *e)
{
    if (v->option->type == OPTION_SECRET)
        return take_secret(c, v, text, literal_allowed, e);
    struct option_value parsed;
    if (option_parse(v->option, text, &parsed, e) < 0)
        return -1;
    option_value_free(&parsed);
    if ((v->option->flags & OPTION_TRUSTED) && check_trusted(text, e) < 0)
        return -1;
    v->text = text_copy(text);
    v->length = strlen(text);
    return v->text ? 0 : error_memory(e);
}

/* ---- overrides: --set KEY=VALUE ---- */

static int override_error(struct error *e)
{
    if (e->class != ERROR_MEMORY)
        e->class = ERROR_USAGE;
    return -1;
}

static int unknown_override(const struct check *c, const char *text, size_t length, struct error *e)
{
    char name[64];
    size_t n = length < sizeof name ? length : sizeof name - 1;
    memcpy(name, text, n);
    name[n] = '\0';
    error_set(e, ERROR_USAGE, "--set: plugin '%s' of %s '%s' has no option '%s'", c->instance->plugin,
              config_role_name(c->instance->role), c->instance->name, name);
    return section_suggest_option(name, c->options, NULL, e);
}

static int take_override(const struct check *c, struct config_value *values, const char *text, struct error *e)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals == text)
        return error_set(e, ERROR_USAGE, "--set wants KEY=VALUE");
    size_t length = (size_t)(equals - text);
    ptrdiff_t i = find_option(c, text, length);
    if (i < 0)
        return unknown_override(c, text, length, e);
    const struct option *option = values[i].option;
    if (!(option->flags & OPTION_RESTORE))
        return error_set(e, ERROR_USAGE, "--set: option '%s' of plugin '%s' cannot be overridden", option->name,
                         c->instance->plugin);
    if (values[i].text)
        return error_set(e, ERROR_USAGE, "--set: option '%s' is given twice", option->name);
    /* Everybody can read a command line. */
    if (take_text(c, &values[i], equals + 1, false, e) == 0)
        return 0;
    error_context(e, "--set %s: ", option->name);
    return override_error(e);
}

/* ---- keys ---- */

static int unknown_key(const struct check *c, const struct config_key *key, struct error *e)
{
    const struct option *own = config_role_options(c->instance->role);
    error_set(e, ERROR_CONFIG, "unknown key '%s' in [%s %s] (plugin '%s')", key->name,
              config_role_name(c->instance->role), c->instance->name, c->instance->plugin);
    section_suggest_option(key->name, c->options, own, e);
    return section_error_at_key(key, e);
}

static int take_key(const struct check *c, struct config_value *values, bool *written, const struct config_key *key,
                    struct error *e)
{
    ptrdiff_t i = find_option(c, key->name, strlen(key->name));
    if (i < 0)
        return unknown_key(c, key, e);
    written[i] = true;
    if (values[i].text) /* overridden */
        return 0;
    if (take_text(c, &values[i], key->value, key->private_file, e) == 0)
        return 0;
    if (values[i].option->type == OPTION_SECRET && !key->private_file && key->value[0] != '@')
        error_hint(e, "chmod 600 '%s', or write @file:PATH, @env:NAME, @cmd:COMMAND or @cred:NAME", key->file);
    error_context(e, "'%s': ", key->name);
    return section_error_at_key(key, e);
}

static int take_default(const struct check *c, struct config_value *v, bool written, struct error *e)
{
    const struct option *option = v->option;
    if (v->text || written)
        return 0;
    if (option->flags & OPTION_REQUIRED) {
        error_set(e, ERROR_CONFIG, "%s:%u: [%s %s] has no '%s', which plugin '%s' requires", c->instance->file,
                  c->instance->line, config_role_section(c->instance->role), c->instance->name, option->name,
                  c->instance->plugin);
        return error_hint(e, "%s (%s): %s", option->name, option_type_name(option->type), option->help);
    }
    if (!option->fallback)
        return 0;
    if (take_text(c, v, option->fallback, true, e) < 0)
        return error_context(e, "plugin '%s': default of '%s': ", c->instance->plugin, option->name);
    return 0;
}

static int take_all(const struct check *c, char *const *overrides, size_t override_count, struct config_value *values,
                    bool *written, struct error *e)
{
    for (size_t i = 0; i < override_count; i++)
        if (take_override(c, values, overrides[i], e) < 0)
            return -1;
    for (size_t i = 0; i < c->instance->key_count; i++)
        if (take_key(c, values, written, &c->instance->keys[i], e) < 0)
            return -1;
    for (size_t i = 0; i < c->count; i++)
        if (take_default(c, &values[i], written[i], e) < 0)
            return -1;
    return 0;
}

/* rows: the options, which must outlive the values; the check itself works with a copy that has an end. */
static int check(const struct config_instance *instance, const struct option *rows, size_t count, bool resolve,
                 char *const *overrides, size_t override_count, struct config_value **out, struct error *e)
{
    struct option *options = calloc(count + 1, sizeof *options);
    struct config_value *values = calloc(count + 1, sizeof *values);
    bool *written = calloc(count + 1, sizeof *written);
    int result = options && values && written ? 0 : error_memory(e);
    if (result == 0) {
        memcpy(options, rows, count * sizeof *options);
        for (size_t i = 0; i < count; i++)
            values[i].option = &rows[i];
        const struct check c = {.instance = instance, .options = options, .count = count, .resolve = resolve};
        result = take_all(&c, overrides, override_count, values, written, e);
    }
    free(options);
    free(written);
    if (result < 0) {
        config_values_free(values, count);
        values = NULL;
    }
    *out = values;
    return result;
}

int config_check_options(const struct config_instance *instance, const struct option *options, size_t option_count,
                         char *const *overrides, size_t override_count, struct config_value **values, struct error *e)
{
    return check(instance, options, option_count, true, overrides, override_count, values, e);
}

int config_check_syntax(const struct config_instance *instance, const struct option *options, size_t option_count,
                        struct config_value **values, struct error *e)
{
    return check(instance, options, option_count, false, NULL, 0, values, e);
}
