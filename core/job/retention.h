/* Retention: which snapshots of a job in a sink stay, and why. A pure function of what is there, the rules, and now.
 *
 * "Newest first" goes by id, as everywhere. Candidates are the complete ones: all of the job, not suspect, understood,
 * not of the future, and named by no removal record. Each rule keeps some of them, and the union stays:
 *
 *   keep_last N      the N newest
 *   keep_hourly N    from the newest to the oldest, each whose hour (day, week from Monday, month, year) differs from
 *   ... keep_yearly  that of the one this rule kept before, until N are kept; by local time of the start. The oldest,
 *                    too, as long as the rule has not kept N. An hour that a clock goes through twice is two.
 *   keep_within D    those that began at most D before the newest
 *   keep_min N       the N newest
 *
 * Besides, these stay: what is not complete, until a complete one is newer and keep_incomplete has passed since that
 * began; the newest of all, by its id and by its place in the chain; the newest verified and the newest proven one;
 * what is pinned; what this version does not understand; and what lies in the future, which is no newest one. Without
 * any rule everything stays.
 */
#ifndef COFRE_JOB_RETENTION_H
#define COFRE_JOB_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct config_retention;
struct error;
struct vault_standing;

#define RETENTION_REASONS_MAX 16
#define RETENTION_REASON_SIZE 96

struct retention_decision {
    bool keep;
    /* All that speaks for keeping it; or, as the only one, why it goes. At least one. */
    char reasons[RETENTION_REASONS_MAX][RETENTION_REASON_SIZE];
    size_t reason_count;
};

/* One decision for each standing, in the same order; it does not depend on that order. now: ns. -1: out of memory. */
int retention_decide(const struct vault_standing *standings, size_t count, const struct config_retention *rules,
                     int64_t now, struct retention_decision *decisions, struct error *e);
/* One more reason; beyond RETENTION_REASONS_MAX they are left out. */
void retention_add_reason(struct retention_decision *decision, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Does it lie in the future? now: ns. */
bool retention_is_ahead(const struct vault_standing *standing, int64_t now);

/* Is it so much at once, more than half of what stands there, that a person should look first? What an earlier prune
 * has begun to remove does not count. */
bool retention_is_much(const struct vault_standing *standings, const struct retention_decision *decisions,
                       size_t count);

#endif
