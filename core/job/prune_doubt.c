/* Of prune: the doubts on which nothing is removed. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "job/history.h"
#include "job/prune.h"

#define NS_PER_SECOND INT64_C(1000000000)
#define GAP (2 * 365 * 86400 * NS_PER_SECOND) /* nobody waits so long for the next snapshot */

static int clock_wrong(struct error *e)
{
    return error_hint(e, "set this machine's clock right, and prune again");
}

/* When it has gone on in the past from there, a clock was wrong and is right again: what it made is passed over. */
static int look_ahead(const struct vault_standing *standings, size_t count, int64_t now, struct error *e)
{
    uint64_t past = 0;
    for (size_t i = 0; i < count; i++)
        if (standings[i].sequence > past && !retention_is_ahead(&standings[i], now))
            past = standings[i].sequence;
    for (size_t i = 0; i < count; i++) {
        const struct vault_standing *s = &standings[i];
        char text[CLOCK_TEXT_MAX];
        if (s->sequence == 0 || s->sequence < past || !retention_is_ahead(s, now))
            continue;
        error_set(e, ERROR_PERMANENT, "snapshot %s lies in the future: by this machine's clock it is %s", s->name.id,
                  clock_format_shown(now, text));
        return error_hint(e,
                          "set the clock right that is wrong: this machine's, or that of '%s'; a snapshot that was "
                          "made by a wrong clock is in the way until its job has run once more, or its time has come",
                          s->name.host);
    }
    return 0;
}

/* What this machine wrote down last, it wrote in the past. */
static int look_at_state(const struct history *history, int64_t now, struct error *e)
{
    struct stat st;
    char seen[CLOCK_TEXT_MAX];
    if (!history->path || stat(history->path, &st) < 0)
        return 0;
    int64_t written = st.st_mtim.tv_sec * NS_PER_SECOND + st.st_mtim.tv_nsec;
    if (!clock_is_ahead(written, now, CLOCK_APART))
        return 0;
    error_set(e, ERROR_PERMANENT, "this machine's time is behind what it has seen: '%s' was written at %s",
              history->path, clock_format_shown(written, seen));
    return clock_wrong(e);
}

/* A clock that has leapt ahead ends pins and the time of incomplete snapshots. It may have done so before the newest
 * was made. */
static int look_for_leap(const struct vault_standing *standings, size_t count, int64_t now, struct error *e)
{
    int64_t after = now;
    size_t seen = 0;
    for (size_t i = 0; i < count && seen < 2; i++) {
        const struct vault_standing *s = &standings[i];
        char text[CLOCK_TEXT_MAX];
        if (s->sequence == 0 || retention_is_ahead(s, now))
            continue;
        if (clock_is_ahead(after, s->started, GAP)) {
            error_set(e, ERROR_PERMANENT, "there are years between snapshot %s and what came next, at %s", s->name.id,
                      clock_format_shown(after, text));
            return error_hint(e, "see that the clock is right, and prune with --yes");
        }
        after = s->started;
        seen++;
    }
    return 0;
}

static bool is_there(const struct vault_standing *standings, size_t count, const char *id)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(standings[i].name.id, id) == 0)
            return true;
    return false;
}

/* Is it the one that it was, and does it show all that it has? */
static int look_for_ours(struct vault *vault, const char *job, const struct vault_standing *standings, size_t count,
                         const struct history *history, struct error *e)
{
    const char *newest = history_newest_in(history, vault->id);
    return history_doubt(history, vault, job, newest && is_there(standings, count, newest), e);
}

int prune_doubt(struct vault *vault, const char *job, const struct vault_standing *standings, size_t count,
                const struct history *history, const struct prune_request *request, int64_t now, struct error *e)
{
    if (look_ahead(standings, count, now, e) < 0)
        return -1;
    if (!request->yes && look_for_leap(standings, count, now, e) < 0)
        return -1;
    if (!history)
        return 0;
    return look_at_state(history, now, e) < 0 ? -1 : look_for_ours(vault, job, standings, count, history, e);
}
