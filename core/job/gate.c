#include "job/gate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "config/config.h"
#include "job/gate_past.h"
#include "snapshot/manifest.h"

/* ---- the judge ---- */

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Of an even count the lower of the two in the middle: what was large once, of two, is not what is usual. */
static uint64_t median(uint64_t *numbers, size_t count)
{
    qsort(numbers, count, sizeof *numbers, by_number);
    return numbers[(count - 1) / 2];
}

static struct gate_size usual(const struct gate_past *past)
{
    uint64_t entries[GATE_BEFORE], bytes[GATE_BEFORE];
    for (size_t i = 0; i < past->count; i++) {
        entries[i] = past->sizes[i].entries;
        bytes[i] = past->sizes[i].bytes;
    }
    return (struct gate_size){median(entries, past->count), median(bytes, past->count)};
}

/* Has it become so much less? */
static bool shrank(uint64_t was, uint64_t is, int64_t shrink, uint64_t least)
{
    return was > is && was - is >= least && (double)(was - is) * 100 > (double)was * (double)shrink;
}

static unsigned percent(uint64_t was, uint64_t is)
{
    return (unsigned)((double)(was - is) * 100 / (double)was);
}

static void say(char why[GATE_WHY_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(char why[GATE_WHY_MAX], const char *format, ...)
{
    size_t used = strlen(why);
    va_list arguments;
    if (used > 0)
        used += (size_t)snprintf(why + used, GATE_WHY_MAX - used, "; ");
    va_start(arguments, format);
    vsnprintf(why + used, GATE_WHY_MAX - used, format, arguments);
    va_end(arguments);
}

static void compare(const struct gate_rules *rules, const struct gate_past *past, const struct gate_size *now,
                    uint64_t below, char why[GATE_WHY_MAX])
{
    char is[TEXT_SIZE_MAX], before[TEXT_SIZE_MAX];
    const struct gate_size was = usual(past);
    bool nothing = below == 0 || (now->entries == 1 && now->bytes == 0);
    if (nothing && (was.entries > 1 || was.bytes > 0)) {
        say(why, "nothing is in it, and there was something before: is it mounted?");
        return;
    }
    if (shrank(was.bytes, now->bytes, rules->shrink, GATE_LEAST_BYTES))
        say(why, "it shrank by %u %%, from %s to %s", percent(was.bytes, now->bytes), text_size(was.bytes, before),
            text_size(now->bytes, is));
    if (shrank(was.entries, now->entries, rules->shrink, GATE_LEAST_ENTRIES))
        say(why, "it has %u %% fewer entries than before: %llu, and there were %llu",
            percent(was.entries, now->entries), (unsigned long long)now->entries, (unsigned long long)was.entries);
}

bool gate_judge(const struct gate_rules *rules, const struct gate_past *past, const struct gate_size *now,
                uint64_t below, char why[GATE_WHY_MAX])
{
    char is[TEXT_SIZE_MAX], least[TEXT_SIZE_MAX];
    why[0] = '\0';
    if (rules->shrink > 0 && past->count > 0)
        compare(rules, past, now, below, why);
    if (now->bytes < rules->min_size)
        say(why, "it has %s, less than min_size (%s)", text_size(now->bytes, is), text_size(rules->min_size, least));
    if (below < rules->min_entries)
        say(why, "it has %llu entries, fewer than min_entries (%llu)", (unsigned long long)below,
            (unsigned long long)rules->min_entries);
    return why[0] != '\0';
}

/* ---- of a job ---- */

int gate_look(const struct gate *gate, const struct config_instance *source, struct manifest_source *row,
              uint64_t below, struct error *e)
{
    char why[GATE_WHY_MAX];
    const struct gate_rules rules = {.shrink = config_shrink_of(gate->job, source),
                                     .min_size = (uint64_t)source->min_size,
                                     .min_entries = (uint64_t)source->min_entries};
    const struct gate_size now = {.entries = row->entries, .bytes = row->bytes};
    if (!gate_judge(&rules, gate_past_of(gate, source->name), &now, below, why))
        return 0;
    log_line(LOG_WARNING, "source '%s': suspect: %s", row->name, why);
    row->suspect = text_copy(why);
    return row->suspect ? 0 : error_memory(e);
}
