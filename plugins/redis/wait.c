#include "redis/wait.h"

#include <errno.h>
#include <poll.h>
#include <time.h>

#include "cofre/plugin.h"

#define TICK 1000 /* ms */

int64_t wait_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int32_t wait_for(struct cofre_call *call, int fd, short events, int64_t patience, const char *what,
                 struct cofre_error *error)
{
    struct pollfd polled[] = {{.fd = fd, .events = events}, {.fd = cofre->cancel_fd(call), .events = POLLIN}};
    for (int64_t until = wait_clock() + patience, left; (left = until - wait_clock()) > 0;) {
        int32_t class = cofre->cancelled(call, error);
        if (class != COFRE_OK)
            return class;
        int ready = poll(polled, 2, (int)(left < TICK ? left : TICK));
        if (ready < 0 && errno != EINTR)
            return cofre_fail_errno(error, errno, "%s: wait", what);
        if (ready > 0 && polled[0].revents)
            return COFRE_OK;
        /* Readable, and yet no cancellation: look at the clock instead. */
        if (ready > 0 && polled[1].revents && cofre->cancelled(call, error) == COFRE_OK)
            polled[1].fd = -1;
    }
    if (fd < 0)
        return cofre->cancelled(call, error);
    return cofre_fail(error, COFRE_E_TIMEOUT, "%s: no answer for %lld s", what, (long long)(patience + 999) / 1000);
}
