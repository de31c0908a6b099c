/* Schedules: the five fields of cron, minute hour day month weekday, or @hourly @daily @midnight @weekly @monthly
 * @yearly
 * @annually. */
#ifndef COFRE_CONFIG_SCHEDULE_H
#define COFRE_CONFIG_SCHEDULE_H

#include <stdbool.h>
#include <stdint.h>

struct error;

/* Bit n is set when n is in the field. Weekday 0 is Sunday. As in cron, when neither day nor weekday begins with '*',
 * either one is enough; otherwise both must match. */
struct schedule {
    uint64_t minutes, hours, days, months, weekdays;
    bool either_day;
};

/* Fields hold numbers, ranges a-b, lists a,b, steps with "/n" behind '*' or a range, and for month and weekday the
 * first three letters of the English name. Weekday 7 is Sunday too. ERROR_CONFIG says which field is wrong, or that no
 * such day ever comes (31 February). */
int schedule_parse(const char *text, struct schedule *schedule, struct error *e);

/* The first time after `after` (ns) that is in the schedule, in local time, as cron has it where clocks are put on or
 * back: what falls into the hour that is left out is due when that is over, what falls into the one that comes twice is
 * due the first time; a schedule of every hour goes on by the hour. false: there is none before the end of time. */
bool schedule_next(const struct schedule *schedule, int64_t after, int64_t *next);

#endif
