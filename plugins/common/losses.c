#include "common/losses.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void losses_clear(struct losses *losses)
{
    losses->kinds = losses->kept_back = 0;
}

void losses_add(struct losses *losses, enum loss kind, int errnum, const char *format, ...)
{
    char *text = losses->texts[kind];
    va_list arguments;
    if (losses->kinds & 1u << kind)
        return;
    losses->kinds |= 1u << kind;
    va_start(arguments, format);
    vsnprintf(text, LOSSES_TEXT_MAX, format, arguments);
    va_end(arguments);
    const char *cause = errnum ? strerrordesc_np(errnum) : NULL;
    size_t used = strlen(text);
    if (cause)
        snprintf(text + used, LOSSES_TEXT_MAX - used, ": %s", cause);
}

/* The index of name among the names, as the next or, of too many, the last. */
static unsigned place_name(char names[LOSSES_NAMES][LOSSES_NAME_MAX], unsigned *count, const char *name)
{
    for (unsigned i = 0; i < *count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    if (*count == LOSSES_NAMES)
        return LOSSES_NAMES - 1;
    snprintf(names[*count], LOSSES_NAME_MAX, "%s", *count + 1 == LOSSES_NAMES ? "others" : name);
    return (*count)++;
}

void losses_keep_back(struct losses *losses, const char *attribute)
{
    char quoted[FAILURE_QUOTE_MAX], name[LOSSES_NAME_MAX];
    failure_quote(attribute, strlen(attribute), quoted);
    snprintf(name, sizeof name, "%.70s", quoted);
    place_name(losses->names, &losses->kept_back, name);
}

int32_t losses_result(const struct losses *losses)
{
    return losses->kinds || losses->kept_back ? COFRE_PARTLY : COFRE_OK;
}

void losses_count(struct losses_tally *tally, const struct losses *losses, const char *path, size_t length)
{
    for (unsigned kind = 0; kind < LOSSES; kind++) {
        if (!(losses->kinds & 1u << kind))
            continue;
        if (tally->remarks[kind].count == 0)
            memcpy(tally->texts[kind], losses->texts[kind], LOSSES_TEXT_MAX);
        remark_add(&tally->remarks[kind], path, length);
    }
    for (unsigned i = 0; i < losses->kept_back; i++)
        remark_add(&tally->kept_back[place_name(tally->names, &tally->name_count, losses->names[i])], path, length);
}

void losses_say(const struct losses_tally *tally, struct cofre_call *call)
{
    for (unsigned kind = 0; kind < LOSSES; kind++)
        remark_say(&tally->remarks[kind], call, COFRE_LOG_WARNING, tally->texts[kind]);
    for (unsigned i = 0; i < tally->name_count; i++) {
        char text[LOSSES_TEXT_MAX];
        snprintf(text, sizeof text, "attribute '%s' kept back: setuid = yes puts it back, as root", tally->names[i]);
        remark_say(&tally->kept_back[i], call, COFRE_LOG_WARNING, text);
    }
}
