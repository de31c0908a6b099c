#include "config/schedule.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"

#define SCHEDULE_MAX 255
#define FIELDS 5

struct field {
    const char *name;
    unsigned minimum, maximum;
    const char *const *names; /* names[i] means minimum + i; ends with NULL */
};

static const char *const month_names[] = {"jan", "feb", "mar", "apr", "may", "jun", "jul",
                                          "aug", "sep", "oct", "nov", "dec", NULL};
static const char *const weekday_names[] = {"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY };

static const struct field fields[FIELDS] = {
    [MINUTE] = {"minute", 0, 59, NULL},
    [HOUR] = {"hour", 0, 23, NULL},
    [DAY] = {"day", 1, 31, NULL},
    [MONTH] = {"month", 1, 12, month_names},
    [WEEKDAY] = {"weekday", 0, 7, weekday_names},
};

static const struct {
    const char *name, *meaning;
} nicknames[] = {
    {"@hourly", "0 * * * *"},  {"@daily", "0 0 * * *"},  {"@midnight", "0 0 * * *"}, {"@weekly", "0 0 * * 0"},
    {"@monthly", "0 0 1 * *"}, {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
};

static int bad_field(const struct field *f, const char *text, struct error *e)
{
    return error_set(e, ERROR_CONFIG, "%s '%.60s' is not made of %u to %u, '*', 'a-b', 'a,b' or '*/n'", f->name, text,
                     f->minimum, f->maximum);
}

/* A number or a name at *at, and *at behind it. */
static bool take_value(const struct field *f, const char **at, unsigned *value)
{
    for (unsigned i = 0; f->names && f->names[i]; i++)
        if (strncasecmp(*at, f->names[i], 3) == 0) {
            *value = f->minimum + i;
            *at += 3;
            return true;
        }
    size_t n = strspn(*at, "0123456789");
    if (n == 0 || n > 3)
        return false;
    *value = 0;
    for (size_t i = 0; i < n; i++)
        *value = *value * 10 + (unsigned)((*at)[i] - '0');
    *at += n;
    return *value >= f->minimum && *value <= f->maximum;
}

/* One item of a list at *at: '*', a or a-b, the wide ones with a step. */
static bool take_item(const struct field *f, const char **at, uint64_t *bits)
{
    unsigned first = f->minimum, last = f->maximum, step = 1;
    bool wide = **at == '*';
    if (wide) {
        ++*at;
    } else {
        if (!take_value(f, at, &first))
            return false;
        last = first;
        if (**at == '-') {
            ++*at;
            wide = true;
            if (!take_value(f, at, &last) || last < first)
                return false;
        }
    }
    if (**at == '/') {
        static const struct field steps = {"step", 1, 99, NULL};
        ++*at;
        if (!wide || !take_value(&steps, at, &step))
            return false;
    }
    for (unsigned i = first; i <= last; i += step)
        *bits |= UINT64_C(1) << i;
    return true;
}

static int parse_field(const struct field *f, const char *text, uint64_t *bits, struct error *e)
{
    const char *at = text;
    *bits = 0;
    do {
        if (!take_item(f, &at, bits) || (*at && *at != ','))
            return bad_field(f, text, e);
    } while (*at++ == ',');
    return 0;
}

/* A day of the month that no chosen month has would never come; unless a weekday is enough. */
static bool ever_comes(const struct schedule *s)
{
    static const unsigned days[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (s->either_day)
        return true;
    for (unsigned month = 1; month <= 12; month++)
        if ((s->months >> month & 1) && (s->days & ((UINT64_C(2) << days[month]) - 1)))
            return true;
    return false;
}

static int parse_fields(char *text, struct schedule *s, struct error *e)
{
    uint64_t *const bits[FIELDS] = {&s->minutes, &s->hours, &s->days, &s->months, &s->weekdays};
    char *words[FIELDS], *rest = NULL;
    unsigned count = 0;
    for (char *word = strtok_r(text, " \t", &rest); word; word = strtok_r(NULL, " \t", &rest)) {
        if (count < FIELDS)
            words[count] = word;
        count++;
    }
    if (count != FIELDS)
        return error_set(e, ERROR_CONFIG, "it has %u field%s, not 5", count, count == 1 ? "" : "s");
    for (unsigned i = 0; i < FIELDS; i++)
        if (parse_field(&fields[i], words[i], bits[i], e) < 0)
            return -1;
    if (s->weekdays >> 7 & 1)
        s->weekdays = (s->weekdays | 1) & 0x7f;
    s->either_day = words[DAY][0] != '*' && words[WEEKDAY][0] != '*';
    return ever_comes(s) ? 0 : error_set(e, ERROR_CONFIG, "no chosen month has such a day");
}

static int parse_text(const char *text, struct schedule *s, struct error *e)
{
    char copy[SCHEDULE_MAX + 1];
    if (strlen(text) > SCHEDULE_MAX)
        return error_set(e, ERROR_CONFIG, "it is longer than %d bytes", SCHEDULE_MAX);
    snprintf(copy, sizeof copy, "%s", text);
    for (size_t i = 0; i < sizeof nicknames / sizeof nicknames[0]; i++)
        if (strcmp(text, nicknames[i].name) == 0)
            snprintf(copy, sizeof copy, "%s", nicknames[i].meaning);
    if (copy[0] == '@')
        return error_set(e, ERROR_CONFIG, "it is none of @hourly, @daily, @weekly, @monthly, @yearly");
    return parse_fields(copy, s, e);
}

int schedule_parse(const char *text, struct schedule *schedule, struct error *e)
{
    *schedule = (struct schedule){0};
    if (parse_text(text, schedule, e) == 0)
        return 0;
    error_context(e, "'%.100s' is no schedule: ", text);
    return error_hint(e, "write minute hour day month weekday, such as '0 2 * * *' for 02:00 every day, or @daily");
}
