#include "common/losses.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

int32_t losses_result(const struct losses *losses)
{
    return losses->kinds ? COFRE_PARTLY : COFRE_OK;
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
}

void losses_say(const struct losses_tally *tally, struct cofre_call *call)
{
    for (unsigned kind = 0; kind < LOSSES; kind++)
        remark_say(&tally->remarks[kind], call, COFRE_LOG_WARNING, tally->texts[kind]);
}
