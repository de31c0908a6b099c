/* What a plugin says of itself, on the wire. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "config/config.h"
#include "wire/plugin_info.h"
#include "wire/wire.h"

#define MAX_TEXT 16384

void wire_put_plugin(struct bytes *b, const struct plugin_info *plugin)
{
    bytes_put_u32(b, plugin->role);
    bytes_put_u32(b, plugin->api_level);
    bytes_put_u64(b, plugin->capabilities);
    bytes_put_u32(b, plugin->offers);
    const char *const texts[] = {plugin->path,    plugin->name,    plugin->version,
                                 plugin->summary, plugin->license, plugin->example};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        wire_put_string(b, texts[i] ? texts[i] : "");
    bytes_put_u32(b, (uint32_t)plugin->option_count);
    for (size_t i = 0; i < plugin->option_count; i++) {
        const struct option *o = &plugin->options[i];
        wire_put_string(b, o->name);
        bytes_put_u32(b, o->type);
        bytes_put_u32(b, o->flags);
        wire_put_string(b, o->fallback);
        bytes_put_u64(b, (uint64_t)o->minimum);
        bytes_put_u64(b, (uint64_t)o->maximum);
        wire_put_string(b, o->choices);
        wire_put_string(b, o->help);
    }
    wire_put_string(b, plugin->environment);
    wire_put_string(b, plugin->reads);
}

void wire_put_values(struct bytes *b, const struct config_value *values, size_t count)
{
    bytes_put_u32(b, (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        if (values[i].text)
            bytes_put_blob(b, values[i].text, values[i].length);
        else
            bytes_put_u32(b, WIRE_NONE);
    }
}

/* A copy of the next text; NULL when there is none, and when out of memory. */
static char *copy_text(struct cursor *c, bool required, bool *no_memory)
{
    const char *text = required ? wire_text_required(c, MAX_TEXT, NULL) : wire_text(c, MAX_TEXT, NULL);
    char *copy = text ? text_copy(text) : NULL;
    *no_memory = *no_memory || (text && !copy);
    return copy;
}

static void read_option(struct cursor *c, struct option *o, bool *no_memory)
{
    o->name = copy_text(c, true, no_memory);
    uint32_t type = cursor_u32(c);
    if (type < OPTION_STRING || type > OPTION_SECRET)
        c->failed = true;
    else
        o->type = (enum option_type)type;
    o->flags = cursor_u32(c);
    o->fallback = copy_text(c, false, no_memory);
    o->minimum = (int64_t)cursor_u64(c);
    o->maximum = (int64_t)cursor_u64(c);
    o->choices = copy_text(c, false, no_memory);
    if (o->type == OPTION_CHOICE && !o->choices && !*no_memory)
        c->failed = true;
    o->help = copy_text(c, true, no_memory);
}

bool wire_plugin(struct cursor *c, struct plugin_info *plugin, bool *no_memory)
{
    memset(plugin, 0, sizeof *plugin);
    *no_memory = false;
    uint32_t role = cursor_u32(c);
    if (role < PLUGIN_SOURCE || role > PLUGIN_NOTIFIER)
        return false;
    plugin->role = (enum plugin_role)role;
    plugin->api_level = cursor_u32(c);
    plugin->capabilities = cursor_u64(c);
    plugin->offers = cursor_u32(c);
    char **const texts[] = {&plugin->path,    &plugin->name,    &plugin->version,
                            &plugin->summary, &plugin->license, &plugin->example};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        *texts[i] = copy_text(c, true, no_memory);
    size_t count = cursor_u32(c);
    if (c->failed || count > WIRE_MAX_OPTIONS)
        return false;
    plugin->options = calloc(count + 1, sizeof *plugin->options);
    if (!plugin->options) {
        *no_memory = true;
        return false;
    }
    plugin->option_count = count;
    for (size_t i = 0; i < count && !c->failed; i++)
        read_option(c, &plugin->options[i], no_memory);
    plugin->environment = copy_text(c, false, no_memory);
    plugin->reads = copy_text(c, false, no_memory);
    return cursor_done(c) && !*no_memory;
}

/* The texts of an option are const for those who use them; here is their owner. */
static void free_text(const char *text)
{
    void *p;
    memcpy(&p, &text, sizeof p);
    free(p);
}

void wire_plugin_free(struct plugin_info *plugin)
{
    char *const texts[] = {plugin->path,    plugin->name,    plugin->version,
                           plugin->summary, plugin->license, plugin->example};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        free(texts[i]);
    free(plugin->environment);
    free(plugin->reads);
    for (size_t i = 0; i < plugin->option_count; i++) {
        free_text(plugin->options[i].name);
        free_text(plugin->options[i].fallback);
        free_text(plugin->options[i].choices);
        free_text(plugin->options[i].help);
    }
    free(plugin->options);
    memset(plugin, 0, sizeof *plugin);
}
