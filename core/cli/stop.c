#include "cli/stop.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

#include "base/cancel.h"
#include "base/error.h"

static volatile sig_atomic_t received;

static void on_signal(int number)
{
    int saved = errno;
    if (received)
        _exit(128 + number);
    received = number;
    cancel_request();
    errno = saved;
}

void stop_install(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal}, old;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        /* These cannot fail with signals that exist. */
        ASSERT(sigaction(signals[i], NULL, &old) == 0);
        if (old.sa_handler != SIG_IGN)
            ASSERT(sigaction(signals[i], &action, NULL) == 0);
    }
}

int stop_signal(void)
{
    return received;
}
