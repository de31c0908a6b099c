#include "job/gate.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/attempt.h"
#include "attempt/records.h"
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
    if (used + sizeof "; " > GATE_WHY_MAX)
        return;
    if (used > 0)
        used += (size_t)snprintf(why + used, GATE_WHY_MAX - used, "; ");
    va_start(arguments, format);
    vsnprintf(why + used, GATE_WHY_MAX - used, format, arguments);
    va_end(arguments);
}

static bool is_something(struct gate_size size)
{
    return size.entries > 1 || size.bytes > 0;
}

/* what: "it", or which part of it. */
static void compare(const struct gate_rules *rules, const char *what, struct gate_size was, struct gate_size now,
                    char why[GATE_WHY_MAX])
{
    char is[TEXT_SIZE_MAX], before[TEXT_SIZE_MAX];
    if (shrank(was.bytes, now.bytes, rules->shrink, GATE_LEAST_BYTES))
        say(why, "%s shrank by %u %%, from %s to %s", what, percent(was.bytes, now.bytes), text_size(was.bytes, before),
            text_size(now.bytes, is));
    if (shrank(was.entries, now.entries, rules->shrink, GATE_LEAST_ENTRIES))
        say(why, "%s has %u %% fewer entries than before: %llu, and there were %llu", what,
            percent(was.entries, now.entries), (unsigned long long)now.entries, (unsigned long long)was.entries);
}

static void compare_whole(const struct gate_rules *rules, const struct gate_past *past, const struct gate_size *now,
                          uint64_t below, char why[GATE_WHY_MAX])
{
    const struct gate_size was = usual(past);
    if (is_something(was) && (below == 0 || !is_something(*now)))
        say(why, "nothing is in it, and there was something before: is it mounted?");
    else
        compare(rules, "it", was, *now, why);
}

bool gate_judge(const struct gate_rules *rules, const struct gate_past *past, const struct gate_size *now,
                uint64_t below, char why[GATE_WHY_MAX])
{
    char is[TEXT_SIZE_MAX], least[TEXT_SIZE_MAX];
    why[0] = '\0';
    if (rules->shrink > 0 && past->count > 0)
        compare_whole(rules, past, now, below, why);
    if (now->bytes < rules->min_size)
        say(why, "it has %s, less than min_size (%s)", text_size(now->bytes, is), text_size(rules->min_size, least));
    if (below < rules->min_entries)
        say(why, "it has %llu entries, fewer than min_entries (%llu)", (unsigned long long)below,
            (unsigned long long)rules->min_entries);
    return why[0] != '\0';
}

/* ---- parts ---- */

struct parts {
    const struct gate_rules *rules;
    json_t *const *before; /* as gate_judge_parts has them */
    size_t count;
    char *why;
    size_t suspect;
};

static const json_t *find_part(const json_t *list, const char *name)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (records_is(json_array_get(list, i), "name", name))
            return json_array_get(list, i);
    return NULL;
}

static struct gate_size size_of(const json_t *part)
{
    return (struct gate_size){(uint64_t)records_number(part, "entries"), (uint64_t)records_number(part, "bytes")};
}

/* What the part was in those snapshots that had it. */
static struct gate_past past_of_part(const struct parts *p, const char *name)
{
    struct gate_past past = {.count = 0};
    for (size_t i = 0; i < p->count; i++) {
        const json_t *part = find_part(p->before[i], name);
        if (part)
            past.sizes[past.count++] = size_of(part);
    }
    return past;
}

/* now: NULL = it is not there. One that was there for a night or two, as what somebody tries out is, may go. */
static void judge_part(struct parts *p, const char *name, const json_t *now)
{
    char shown[128], what[sizeof shown + 8], why[GATE_WHY_MAX] = "";
    const struct gate_past past = past_of_part(p, name);
    if (past.count == 0)
        return;
    const struct gate_size was = usual(&past);
    snprintf(what, sizeof what, "'%s'", log_escape(name, strlen(name), shown, sizeof shown));
    if (!now && is_something(was) && past.count > p->count / 2)
        say(why, "%s is not in it, and was before", what);
    else if (now && is_something(was) && !is_something(size_of(now)))
        say(why, "%s is empty, and was not before", what);
    else if (now)
        compare(p->rules, what, was, size_of(now), why);
    if (why[0] != '\0' && p->suspect++ < GATE_PARTS_SAID)
        say(p->why, "%s", why);
}

/* Those that are not there any more: each once, at the newest snapshot that has it. */
static void judge_gone(struct parts *p, const json_t *now, const json_t *except)
{
    for (size_t i = 0; i < p->count; i++)
        for (size_t k = 0; k < json_array_size(p->before[i]); k++) {
            const char *name = records_text(json_array_get(p->before[i], k), "name");
            bool again = !name || find_part(now, name) || json_object_get(except, name);
            for (size_t newer = 0; newer < i && !again; newer++)
                again = find_part(p->before[newer], name) != NULL;
            if (!again)
                judge_part(p, name, NULL);
        }
}

void gate_judge_parts(const struct gate_rules *rules, const json_t *now, json_t *const *before, size_t count,
                      const json_t *except, char why[GATE_WHY_MAX])
{
    struct parts p = {.rules = rules, .before = before, .count = count, .why = why};
    if (rules->shrink == 0)
        return;
    for (size_t i = 0; i < json_array_size(now); i++) {
        const char *name = records_text(json_array_get(now, i), "name");
        if (name && !json_object_get(except, name))
            judge_part(&p, name, json_array_get(now, i));
    }
    judge_gone(&p, now, except);
    if (p.suspect > GATE_PARTS_SAID)
        say(why, "and %zu more of its parts", p.suspect - GATE_PARTS_SAID);
}

json_t *gate_parts(const struct manifest_source *row)
{
    json_t *list = json_array();
    for (size_t i = 0; i < row->part_count && list; i++) {
        const struct manifest_part *part = &row->parts[i];
        json_t *one = json_pack("{s:o, s:I, s:I}", "name", attempt_json(part->name), "entries",
                                (json_int_t)part->entries, "bytes", (json_int_t)part->bytes);
        if (json_array_append_new(list, one) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

const char *gate_section(const struct manifest_source *row, char out[GATE_SECTION_MAX])
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < row->option_count; i++)
        for (size_t k = 0; k < 2; k++) {
            const char *p = k == 0 ? row->options[i].key : row->options[i].value;
            do /* with its end */
                hash = (hash ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
            while (*p++);
        }
    snprintf(out, GATE_SECTION_MAX, "%016llx", (unsigned long long)hash);
    return out;
}

/* ---- of a job ---- */

static int put_name(json_t *names, const char *name)
{
    json_t *escaped = attempt_json(name);
    int result = escaped ? json_object_set_new(names, json_string_value(escaped), json_true()) : -1;
    json_decref(escaped);
    return result;
}

/* What is named already, as a problem or as left out, as parts are named. NULL: out of memory. */
static json_t *named_already(const struct manifest_source *row)
{
    json_t *names = json_object();
    int result = names ? 0 : -1;
    for (size_t i = 0; result == 0 && i < row->problems_listed; i++)
        result = put_name(names, row->problems[i].path);
    for (size_t i = 0; result == 0 && i < row->left_out_listed; i++)
        result = put_name(names, row->left_out[i].name);
    if (result == 0)
        return names;
    json_decref(names);
    return NULL;
}

static int look_at_parts(const struct gate *gate, const struct gate_rules *rules, const struct manifest_source *row,
                         char why[GATE_WHY_MAX], struct error *e)
{
    char section[GATE_SECTION_MAX];
    json_t *now = gate_parts(row), *except = named_already(row), *before[GATE_BEFORE];
    size_t count = gate_parts_before(gate, row->name, gate_section(row, section), before);
    int result = now && except ? 0 : error_memory(e);
    if (result == 0)
        gate_judge_parts(rules, now, before, count, except, why);
    json_decref(now);
    json_decref(except);
    return result;
}

int gate_look(const struct gate *gate, const struct config_instance *source, struct manifest_source *row,
              uint64_t below, struct error *e)
{
    char why[GATE_WHY_MAX];
    const struct gate_rules rules = {.shrink = config_shrink_of(gate->job, source),
                                     .min_size = (uint64_t)source->min_size,
                                     .min_entries = (uint64_t)source->min_entries};
    const struct gate_size now = {.entries = row->entries, .bytes = row->bytes};
    gate_judge(&rules, gate_past_of(gate, source->name), &now, below, why);
    /* Where there is nothing at all, that is said. */
    if (below > 0 && look_at_parts(gate, &rules, row, why, e) < 0)
        return -1;
    if (why[0] == '\0')
        return 0;
    log_line(LOG_WARNING, "source '%s': suspect: %s", row->name, why);
    row->suspect = text_copy(why);
    return row->suspect ? 0 : error_memory(e);
}
