/* Of gc: the times of snapshots, by the clocks of those who made them. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "repository/gc.h"

/* "snapshots/HOST/JOB/" */
static size_t of_job(const char *key)
{
    return (size_t)(strrchr(key, '/') - key) + 1;
}

int gc_check_last(const struct gc *gc, struct error *e)
{
    char text[CLOCK_TEXT_MAX];
    if (!gc->last.ahead)
        return 0;
    error_set(e, ERROR_PERMANENT, "'%s' lies in the future: by this machine's clock it is %s", gc->last.key,
              clock_format_shown(gc->machine, text));
    return error_hint(e, "set the clock right that is wrong: this machine's, or that of whoever made it; what was made "
                         "by a wrong clock is in the way until its job has run once more, or its time has come");
}

int gc_note_time(struct gc *gc, const char *key, const struct manifest_clear *clear, struct error *e)
{
    struct gc_last *last = &gc->last;
    int64_t newest = clear->ended > clear->started ? clear->ended : clear->started, run;
    bool ahead = clock_is_ahead(newest, gc->machine, CLOCK_APART);
    if (!__builtin_sub_overflow(clear->ended, clear->started, &run) && garbage_grace(run) > gc->grace)
        gc->grace = garbage_grace(run);
    if (strncmp(last->key, key, of_job(key)) != 0) {
        if (gc_check_last(gc, e) < 0)
            return -1;
        *last = (struct gc_last){.sequence = 0};
    } else if (clear->sequence < last->sequence || (clear->sequence == last->sequence && !ahead)) {
        return 0;
    }
    snprintf(last->key, sizeof last->key, "%s", key);
    last->sequence = clear->sequence;
    last->ahead = ahead;
    return 0;
}
