#include "worker/retry.h"

#include <sodium.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"

#define FIRST 200 /* ms */
#define LONGEST 15000
#define SLICE 50 /* between looks at the cancellation */

/* How long to wait before the next try, when there are `left` ms; -1 = it would come too late. */
static int64_t backoff(int try, int64_t left, const struct error *e)
{
    int64_t ms = FIRST;
    for (int i = 0; i < try && ms < LONGEST; i++)
        ms *= 2;
    if (ms > LONGEST)
        ms = LONGEST;
    /* Between half and the whole, so that many hosts that failed together do not come back together. */
    ms = ms / 2 + randombytes_uniform((uint32_t)(ms / 2));
    if (ms < (int64_t)e->retry_after)
        ms = e->retry_after;
    else if (ms > left)
        ms = left;
    return left > 0 && ms <= left ? ms : -1;
}

static void append(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(struct error *e, const char *format, ...)
{
    size_t used = strlen(e->message);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(e->message + used, sizeof e->message - used, format, arguments);
    va_end(arguments);
}

static int wait_for(int64_t ms, struct error *e)
{
    for (int64_t until = clock_monotonic() + ms, now; (now = clock_monotonic()) < until;) {
        if (cancel_requested()) {
            append(e, "; cancelled while waiting to try again");
            e->class = ERROR_CANCELLED;
            return -1;
        }
        clock_sleep(until - now < SLICE ? until - now : SLICE);
    }
    return 0;
}

int retry_run(int64_t patience, int (*attempt)(void *context, struct error *e), void *context, struct error *e)
{
    char elapsed[TEXT_ELAPSED_MAX], left[TEXT_ELAPSED_MAX], text[ERROR_TEXT_MAX];
    int64_t start = clock_monotonic();
    for (int try = 0;; try++) {
        if (attempt(context, e) == 0)
            return 0;
        if (e->class != ERROR_RETRY)
            return -1;
        int64_t gone = clock_monotonic() - start, ms = backoff(try, patience - gone, e);
        if (ms < 0) {
            if (try > 0)
                append(e, "; given up after %d tries in %s", try + 1, text_elapsed(gone, elapsed));
            return -1;
        }
        log_line(LOG_WARNING, "%s; trying again in %s, for %s at most", error_text(e, text), text_elapsed(ms, elapsed),
                 text_elapsed(patience - gone, left));
        if (wait_for(ms, e) < 0)
            return -1;
    }
}
