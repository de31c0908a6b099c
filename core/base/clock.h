/* Time: nanoseconds since 1970 UTC for what is stored, monotonic milliseconds for what is waited for. */
#ifndef COFRE_BASE_CLOCK_H
#define COFRE_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

int64_t clock_now(void);       /* wall clock, ns */
int64_t clock_monotonic(void); /* ms, goes on during suspend */
void clock_sleep(int64_t milliseconds);

/* For tests. From now on, for the whole process, it is `now` (ns), and time stands still but for clock_sleep, which
 * takes none and moves both clocks on, as clock_advance does. clock_release: time is real again. */
void clock_set(int64_t now);
void clock_advance(int64_t milliseconds);
void clock_release(void);

/* "2026-11-20T02:00:00Z" into out[CLOCK_TEXT_MAX]; years 1 to 9999, else "?". Returns out. */
const char *clock_format(int64_t ns, char *out);
/* The same for people: local time with its offset, "2026-11-19T23:00:00-03:00", and with Z where the offset is 0. */
const char *clock_format_shown(int64_t ns, char *out);
/* From now on people are shown UTC. */
void clock_show_utc(void);
/* "20261120T020000Z", the start of a snapshot id. */
const char *clock_format_compact(int64_t ns, char *out);
/* "2026-11-20T02:00:00.123456789Z", of every ns: nothing is lost. */
const char *clock_format_exact(int64_t ns, char *out);
/* What that has written, and nothing else; false otherwise. */
bool clock_parse_exact(const char *text, int64_t *ns);
/* What people write: "2026-11-20", or "2026-11-20T02:00", with or without seconds, and then nothing for local time, Z,
 * or an offset as in "-03:00". A date alone is its beginning. false: it is none of these. */
bool clock_parse_shown(const char *text, int64_t *ns);
#define CLOCK_TEXT_MAX 40

/* ns: so far two right clocks may be apart. */
#define CLOCK_APART (INT64_C(300) * 1000000000)
/* Is `when` later than `now`, by more than `by` (ns)? Either may be any number: what other machines say is looked at.
 */
bool clock_is_ahead(int64_t when, int64_t now, int64_t by);

#endif
