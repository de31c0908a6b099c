#include "worker/retry.h"

#include <sodium.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "worker/worker.h"

#define FIRST 200 /* ms */
#define LONGEST 15000
#define SLICE 50 /* between looks at the cancellation */

static int64_t backoff(int try, const struct error *e)
{
    int64_t ms = FIRST;
    for (int i = 0; i < try && ms < LONGEST; i++)
        ms *= 2;
    if (ms > LONGEST)
        ms = LONGEST;
    /* Between half and the whole, so that many hosts that failed together do not come back together. */
    ms = ms / 2 + randombytes_uniform((uint32_t)(ms / 2));
    return (int64_t)e->retry_after > ms ? (int64_t)e->retry_after : ms;
}

static int wait_for(int64_t ms, struct error *e)
{
    for (int64_t until = clock_monotonic() + ms, now; (now = clock_monotonic()) < until;) {
        if (worker_cancelled())
            return error_context(e, "cancelled while waiting to try again: ");
        clock_sleep(until - now < SLICE ? until - now : SLICE);
    }
    return 0;
}

int retry_run(int64_t patience, int (*attempt)(void *context, struct error *e), void *context, struct error *e)
{
    char elapsed[TEXT_ELAPSED_MAX];
    int64_t start = clock_monotonic();
    for (int try = 0;; try++) {
        if (attempt(context, e) == 0)
            return 0;
        if (e->class != ERROR_RETRY)
            return -1;
        int64_t ms = backoff(try, e), gone = clock_monotonic() - start;
        if (gone + ms > patience) {
            if (try > 0)
                error_context(e, "given up after %d tries in %s: ", try + 1, text_elapsed(gone, elapsed));
            return -1;
        }
        log_line(LOG_WARNING, "%s; trying again in %s", e->message, text_elapsed(ms, elapsed));
        if (wait_for(ms, e) < 0) {
            e->class = ERROR_CANCELLED;
            return -1;
        }
    }
}
