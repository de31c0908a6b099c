#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "config/section.h"
#include "host/host.h"
#include "host/levels.h"

#define SECTIONS_MAX 1000000
#define OPTIONS_MAX 16384

/* ---- configured ---- */

static int32_t malformed(const struct cofre_call *call, struct cofre_error *error)
{
    return cofre_fail(error, COFRE_E_BUG, "%s: the engine sent a malformed section", wire_call_name(call->kind));
}

/* The texts stay in our copy of the frame. */
static int32_t read_section(const struct cofre_call *call, struct host_section *section, size_t length,
                            struct cofre_error *error)
{
    struct cursor c = cursor_of(section->frame, length);
    struct cofre_section *shown = &section->shown;
    shown->struct_size = sizeof *shown;
    shown->flags = cursor_u32(&c) ? COFRE_SECTION_IN_JOB : 0;
    shown->name = wire_text_required(&c, WIRE_MAX_NAME, NULL);
    shown->plugin = wire_text_required(&c, WIRE_MAX_NAME, NULL);
    size_t count = cursor_u32(&c);
    /* Each takes at least 10 bytes. */
    if (c.failed || count > c.left / 10)
        return malformed(call, error);
    section->settings = calloc(count + 1, sizeof *section->settings);
    if (!section->settings)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        section->settings[i].name = wire_text_required(&c, WIRE_MAX_NAME, NULL);
        section->settings[i].value = wire_text_required(&c, CHANNEL_LARGEST, NULL);
    }
    shown->settings = section->settings;
    shown->setting_count = (uint32_t)count;
    shown->setting_stride = sizeof *section->settings;
    return cursor_done(&c) ? COFRE_OK : malformed(call, error);
}

static int32_t take_section(struct cofre_call *call, struct cofre_error *error)
{
    struct channel_frame frame;
    int32_t class = host_receive(call, &frame, error);
    if (class != COFRE_OK)
        return class;
    if (frame.type != WIRE_SECTION || frame.length == 0)
        return malformed(call, error);
    struct host_section *section = &call->sections[call->section_count++];
    section->frame = malloc(frame.length);
    if (!section->frame)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    memcpy(section->frame, frame.payload, frame.length);
    return read_section(call, section, frame.length, error);
}

int32_t host_discover_take(struct cofre_call *call, struct cursor *arguments, struct cofre_error *error)
{
    uint64_t count = cursor_u64(arguments);
    if (arguments->failed || count > SECTIONS_MAX)
        return malformed(call, error);
    call->sections = calloc((size_t)count + 1, sizeof *call->sections);
    if (!call->sections)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    int32_t class = COFRE_OK;
    for (uint64_t i = 0; class == COFRE_OK && i < count; i++)
        class = take_section(call, error);
    return class;
}

void host_discover_forget(struct cofre_call *call)
{
    for (uint64_t i = 0; i < call->section_count; i++) {
        free(call->sections[i].settings);
        free(call->sections[i].frame);
    }
    free(call->sections);
    call->sections = NULL;
    call->section_count = 0;
}

int32_t host_discover_configured(struct cofre_call *call, uint64_t index, const struct cofre_section **section,
                                 struct cofre_error *error)
{
    int32_t class = host_enter(call, HOST_IN(WIRE_CHECK) | HOST_IN(WIRE_DISCOVER), "configured", error);
    if (class != COFRE_OK)
        return class;
    if (!section)
        return host_broke(call, error, "asked for a configured source without a place for the answer");
    if (call->host->plugin.role != PLUGIN_SOURCE)
        return cofre_fail(error, COFRE_E_UNSUPPORTED, "a sink is not told of the configured sources");
    if (index >= call->section_count)
        return COFRE_END;
    *section = &call->sections[index].shown;
    return COFRE_OK;
}

/* ---- offer ---- */

/* A terminal shows it as it is: a person is going to copy it from there. */
static bool is_printable(const char *text)
{
    size_t n = strlen(text);
    AUTO_FREE char *plain = malloc(n + 1);
    AUTO_FREE char *escaped = malloc(4 * n + 8);
    if (!plain || !escaped)
        return false;
    for (size_t i = 0; i <= n; i++)
        plain[i] = text[i];
    for (size_t i = 0; i < n; i++)
        if (plain[i] == '\\' || plain[i] == '\n')
            plain[i] = ' ';
    return strcmp(log_escape(plain, n, escaped, 4 * n + 8), plain) == 0;
}

/* Would they be a section? */
static int check_options(const char *options, struct error *e)
{
    static const char header[] = "[source offer]\n";
    size_t n = strlen(options);
    struct sections all = {0};
    AUTO_FREE char *text = malloc(sizeof header + n);
    if (!text)
        return error_memory(e);
    memcpy(text, header, sizeof header - 1);
    memcpy(text + sizeof header - 1, options, n);
    int result = section_read(&all, "offer", text, sizeof header - 1 + n, true, e);
    if (result == 0 && all.count != 1)
        result = error_set(e, ERROR_PLUGIN, "there is a section in them");
    if (result == 0 && (all.items[0].key_count == 0 || strcmp(all.items[0].keys[0].name, "plugin") != 0))
        result = error_set(e, ERROR_PLUGIN, "'plugin' is not the first");
    section_free(&all);
    return result;
}

int32_t host_discover_offer(struct cofre_call *call, const struct cofre_offer *offer, struct cofre_error *error)
{
    int32_t class = host_enter(call, HOST_IN(WIRE_DISCOVER), "offer", error);
    struct error why;
    if (class != COFRE_OK)
        return class;
    if (!offer || offer->struct_size < LEVELS_OFFER || !offer->name || !offer->options || !offer->about)
        return host_broke(call, error, "offered something without name, options or about");
    if (strnlen(offer->options, OPTIONS_MAX + 1) > OPTIONS_MAX)
        return host_broke(call, error, "offered options of more than %d bytes", OPTIONS_MAX);
    if (check_options(offer->options, &why) < 0)
        return host_broke(call, error, "offered options that are no lines of a section: %s", why.message);
    if (!is_printable(offer->options))
        return host_broke(call, error, "offered options with bytes that cannot be printed");
    struct bytes *frame = host_frame(call);
    wire_put_text(frame, offer->name, strnlen(offer->name, WIRE_MAX_NAME));
    wire_put_string(frame, offer->options);
    wire_put_text(frame, offer->about, strnlen(offer->about, WIRE_MAX_LOG));
    if (offer->covered_by)
        wire_put_text(frame, offer->covered_by, strnlen(offer->covered_by, WIRE_MAX_NAME));
    else
        wire_put_string(frame, NULL);
    return host_send(call, WIRE_OFFER, error);
}
