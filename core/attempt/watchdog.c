#include "attempt/watchdog.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attempt/attempt.h"
#include "attempt/beside.h"
#include "attempt/undo.h"
#include "base/error.h"
#include "base/log.h"
#include "config/config.h"
#include "worker/engine.h"

#define ARGUMENT "watchdog"
#define PATIENCE 30000    /* ms; for who still has a lock: a hook that is being ended has some time for that */
#define WATCHED BESIDE_FD /* the descriptor of the process that is watched */

static pid_t running; /* 0 = none */

/* ---- the engine's side ---- */

void watchdog_start(const char *config_directory)
{
    if (running)
        return;
    int own = pidfd_open(getpid(), 0),
        result = own < 0 ? errno : beside_start(ARGUMENT, config_directory, -1, &own, 1, &running);
    if (own >= 0)
        close(own);
    if (result == 0)
        return;
    running = 0;
    log_line(
        LOG_WARNING,
        "no watchdog could be started (%s): if this run is killed, the next start of cofre puts back what it leaves",
        strerror(result));
}

void watchdog_end(void)
{
    if (!running)
        return;
    kill(running, SIGKILL);
    while (waitpid(running, NULL, 0) < 0 && errno == EINTR)
        ;
    running = 0;
}

/* ---- the watchdog itself ---- */

bool watchdog_is_one(int argc, char **argv)
{
    char target[32];
    if (argc != 3 || strcmp(argv[1], ARGUMENT) != 0)
        return false;
    ssize_t n = readlink("/proc/self/fd/3", target, sizeof target - 1);
    if (n <= 0)
        return false;
    target[n] = '\0';
    return strncmp(target, "pidfd:", 6) == 0 || strcmp(target, "anon_inode:[pidfd]") == 0; /* from 6.9 on, and before */
}

/* Readable when every thread of the process has ended and its files, with the locks of its holds, are closed. */
static void wait_for_end(void)
{
    struct pollfd watched = {.fd = WATCHED, .events = POLLIN};
    while (poll(&watched, 1, -1) < 0 && errno == EINTR)
        ;
}

int watchdog_main(char **argv)
{
    struct error e;
    struct config *config;
    wait_for_end();
    log_set_timestamps(!isatty(STDERR_FILENO));
    if (config_load(argv[2], &config, &e) < 0) {
        log_error(LOG_ERROR, &e);
        return error_exit_status(e.class);
    }
    const struct engine engine = {.config = config};
    log_set_service(config->log_service);
    attempt_recover(config);
    size_t left = undo_recover_patiently(&engine, PATIENCE);
    attempt_recover(config); /* a child may have had its lock at the first look, as with holds */
    config_free(config);
    return left == 0 ? 0 : 1;
}
