/* Retention of cases on standard input, for an oracle that shares nothing with it (tests/system/test_retention.py).
 *
 * A case: "ZONE NOW LAST HOURLY DAILY WEEKLY MONTHLY YEARLY WITHIN MIN INCOMPLETE COUNT", and for each snapshot
 * "ID SEQUENCE STARTED FLAGS UNTIL"; times in ns, durations in ms, -1 not set. FLAGS: c complete, p partial, s suspect,
 * u unknown, i pinned, v verified, r proven, x removed, or -. Answer: for each "ID keep|remove REASON; REASON...", in
 * the order given, and then "much" or "fine".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/config.h"
#include "format/vault.h"
#include "job/retention.h"

#define MOST 5000

static struct vault_standing standings[MOST];
static struct retention_decision decisions[MOST];

static void stop(const char *why)
{
    fprintf(stderr, "retention_cases: %s\n", why);
    exit(1);
}

static void read_standing(struct vault_standing *s)
{
    char flags[16];
    *s = (struct vault_standing){.name = {.host = "host", .job = "job"}};
    if (scanf("%23s %" SCNu64 " %" SCNd64 " %15s %" SCNd64, s->name.id, &s->sequence, &s->started, flags,
              &s->pinned_until) != 5)
        stop("no snapshot");
    s->ended = s->started;
    s->complete = strchr(flags, 'c');
    s->partial = strchr(flags, 'p');
    s->suspect = strchr(flags, 's');
    s->unknown = strchr(flags, 'u');
    s->pinned = strchr(flags, 'i');
    s->verified = strchr(flags, 'v');
    s->proven = strchr(flags, 'r');
    s->removed = strchr(flags, 'x');
}

static void answer(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        printf("%s %s ", standings[i].name.id, decisions[i].keep ? "keep" : "remove");
        for (size_t k = 0; k < decisions[i].reason_count; k++)
            printf("%s%s", k ? "; " : "", decisions[i].reasons[k]);
        printf("\n");
    }
    printf("%s\n", retention_is_much(standings, decisions, count) ? "much" : "fine");
}

int main(void)
{
    struct config_retention r = {.prune = CONFIG_MANUAL};
    char zone[64], last[64] = "";
    int64_t now;
    size_t count;
    struct error e;
    int got;
    while ((got = scanf("%63s %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64
                        " %" SCNd64 " %" SCNd64 " %" SCNd64 " %zu",
                        zone, &now, &r.keep_last, &r.keep_hourly, &r.keep_daily, &r.keep_weekly, &r.keep_monthly,
                        &r.keep_yearly, &r.keep_within, &r.keep_min, &r.keep_incomplete, &count)) == 12) {
        if (count > MOST)
            stop("too many snapshots");
        if (strcmp(zone, last) != 0)
            setenv("TZ", strcpy(last, zone), 1);
        for (size_t i = 0; i < count; i++)
            read_standing(&standings[i]);
        if (retention_decide(standings, count, &r, now, decisions, &e) < 0)
            stop(e.message);
        answer(count);
    }
    if (got != EOF)
        stop("no case");
    return 0;
}
