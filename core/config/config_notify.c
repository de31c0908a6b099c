/* Notifiers: what a section says of whom is told what, and when again. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/config_build.h"
#include "config/section.h"

static const char *const event_names[CONFIG_EVENTS + 1] = {
    [CONFIG_FAILURE] = "failure", [CONFIG_INCOMPLETE] = "incomplete", [CONFIG_SUSPECT] = "suspect",
    [CONFIG_STALE] = "stale",     [CONFIG_RECOVERED] = "recovered",   [CONFIG_SUCCESS] = "success",
    [CONFIG_SPACE] = "space",     [CONFIG_KEY_EXPIRY] = "key_expiry", [CONFIG_REMOVED] = "removed",
    [CONFIG_START] = "start",
};

const char *config_event_name(enum config_event event)
{
    return event_names[event];
}

static int fault(const struct section *s, const char *key, struct error *e)
{
    return section_error_at_key(section_find(s, key), e);
}

/* ---- a notifier ---- */

static int take_event(unsigned *on, const struct section *s, const char *name, struct error *e)
{
    for (unsigned i = 0; i < CONFIG_EVENTS; i++)
        if (strcmp(event_names[i], name) == 0) {
            *on |= 1u << i;
            return 0;
        }
    error_set(e, ERROR_CONFIG, "'on': there is no event '%.80s'", name);
    section_suggest(name, "events", event_names, CONFIG_EVENTS, e);
    return fault(s, "on", e);
}

int config_notify_build(struct config_instance *notifier, const struct section *s, struct error *e)
{
    struct option_value on, remind;
    if (section_value(s, config_notify_options, "remind", &remind, e) < 0 ||
        section_value(s, config_notify_options, "on", &on, e) < 0)
        return -1;
    int result = 0;
    notifier->remind = remind.number;
    for (size_t i = 0; i < on.count && result == 0; i++)
        result = take_event(&notifier->on, s, on.items[i], e);
    option_value_free(&on);
    return result;
}

/* ---- who is told ---- */

/* NULL with the error set. */
static const struct config_instance *find(const struct config *c, const struct section *s, const char *key,
                                          const char *name, struct error *e)
{
    char title[160];
    for (size_t i = 0; i < c->notifier_count; i++)
        if (strcmp(c->notifiers[i].name, name) == 0)
            return &c->notifiers[i];
    const char **names = calloc(c->notifier_count + 1, sizeof *names);
    if (!names) {
        error_memory(e);
        return NULL;
    }
    for (size_t i = 0; i < c->notifier_count; i++)
        names[i] = c->notifiers[i].name;
    error_set(e, ERROR_CONFIG, "%s: '%s': there is no [notify %.80s]", section_title(s, title, sizeof title), key,
              name);
    if (c->notifier_count > 0)
        section_suggest(name, "notifiers", names, c->notifier_count, e);
    free(names);
    fault(s, key, e);
    return NULL;
}

static bool is_among(const struct config_notify *n, const struct config_instance *notifier)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->to[i] == notifier)
            return true;
    return false;
}

static int take_list(const struct config *c, const struct config_notify *base, struct config_notify *n,
                     const struct section *s, const struct option *options, struct error *e)
{
    struct option_value v;
    int written = section_value(s, options, "notify", &v, e), result = written < 0 ? -1 : 0;
    size_t count = written > 0 ? v.count : base && base->count ? base->count : 0;
    if (result == 0 && !(n->to = calloc(count + 1, sizeof *n->to)))
        result = error_memory(e);
    for (size_t i = 0; i < count && result == 0; i++) {
        const struct config_instance *found = written > 0 ? find(c, s, "notify", v.items[i], e) : base->to[i];
        if (found && !is_among(n, found))
            n->to[n->count++] = found;
        result = found ? 0 : -1;
    }
    if (written > 0)
        option_value_free(&v);
    return result;
}

/* "24h: NAME" */
static int take_escalation(const struct config *c, struct config_notify *n, const struct section *s, char *text,
                           struct error *e)
{
    char *colon = strchr(text, ':');
    if (colon)
        *colon = '\0';
    if (!colon || text_parse_duration(text, &n->after, e) < 0) {
        error_set(e, ERROR_CONFIG, "'escalate': it must be a time and a notifier, as in 24h: NAME");
        return fault(s, "escalate", e);
    }
    const char *name = colon + 1 + strspn(colon + 1, " \t");
    n->later = find(c, s, "escalate", name, e);
    return n->later ? 0 : -1;
}

int config_notify_list(const struct config *c, const struct config_notify *base, struct config_notify *n,
                       const struct section *s, const struct option *options, struct error *e)
{
    struct option_value v;
    if (take_list(c, base, n, s, options, e) < 0)
        return -1;
    int written = section_value(s, options, "escalate", &v, e);
    if (written < 0)
        return -1;
    if (written == 0) {
        n->later = base ? base->later : NULL;
        n->after = base ? base->after : 0;
        return 0;
    }
    AUTO_FREE char *text = v.text;
    return take_escalation(c, n, s, text, e);
}
