/* cofre daemon: do what is due, as long as it runs. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "cli/command.h"
#include "cli/stop.h"
#include "cli/turn.h"
#include "config/config.h"
#include "operation/notify.h"

#define LOOK_EVERY 60000  /* ms */
#define TELL_EVERY 300000 /* ms */

struct daemon {
    struct cli *cli;
    struct turn turn;
    struct config *config;
    uint64_t files; /* what the files of the configuration looked like when they were read */
    bool broken;    /* they cannot be used since then: nothing is begun */
    int64_t tell;   /* ms, monotonic: when notifiers are told the next time */
};

/* ---- who started us ---- */

/* "READY=1" and the like, where a service manager listens. That it does not hear it changes nothing. */
static void tell_manager(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof address.sun_path)
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&address, length);
    close(fd);
}

/* Half of what the service manager waits for a sign of life, at most LOOK_EVERY. */
static int64_t patience(void)
{
    const char *text = getenv("WATCHDOG_USEC");
    int64_t half = text ? strtoll(text, NULL, 10) / 2000 : 0;
    return half > 0 && half < LOOK_EVERY ? half : LOOK_EVERY;
}

/* ---- the configuration ---- */

static volatile sig_atomic_t asked;

static void on_hangup(int number)
{
    (void)number;
    asked = 1;
}

static uint64_t mix(uint64_t hash, const struct stat *st)
{
    const uint64_t parts[] = {(uint64_t)st->st_ino,         (uint64_t)st->st_size,
                              (uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
                              (uint64_t)st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        hash = (hash ^ parts[i]) * UINT64_C(0x100000001b3);
    return hash;
}

/* What is there: a file that comes or goes changes the directory. */
static uint64_t look_at_files(const struct config *config)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    struct stat st = {0};
    if (stat(config->directory, &st) == 0)
        hash = mix(hash, &st);
    for (size_t i = 0; i < config->file_count; i++) {
        st = (struct stat){0};
        if (stat(config->files[i], &st) < 0)
            st.st_ino = 0;
        hash = mix(hash, &st);
    }
    return hash;
}

static int load(const struct daemon *d, struct config **config, struct error *e)
{
    if (config_load(d->cli->config_dir, config, e) < 0)
        return -1;
    if (strcmp((*config)->state_dir, d->config->state_dir) == 0)
        return 0;
    config_free(*config);
    return error_set(e, ERROR_CONFIG, "state_dir is another one, which takes a new start of the daemon");
}

/* The children read it themselves: while it is broken they could do nothing. */
static void read_again(struct daemon *d)
{
    struct config *config;
    struct error e;
    uint64_t files = look_at_files(d->config);
    if (!asked && files == d->files)
        return;
    asked = 0;
    d->files = files;
    d->broken = load(d, &config, &e) < 0;
    if (d->broken) {
        error_consequence(&e, "the configuration cannot be used, and nothing is begun until it can: ");
        log_error(LOG_ERROR, &e);
        return;
    }
    /* What changed while it was read is read once more. */
    bool still = look_at_files(d->config) == files;
    config_free(d->config);
    d->cli->engine.config = d->config = config;
    log_set_service(config->log_service);
    d->files = still ? look_at_files(config) : 0;
    log_line(LOG_NOTICE, "the configuration was read again");
}

/* ---- at work ---- */

static void take_turn(struct daemon *d)
{
    struct error e;
    if (!stop_signal())
        read_again(d);
    d->turn.next = INT64_MAX;
    if (d->broken && !stop_signal())
        return;
    if (turn_take(&d->turn, &e) < 0)
        log_error(LOG_ERROR, &e);
}

/* What commands have to say they tell themselves; what becomes stale, is reminded of, or could not be told, nobody else
 * tells. Between things, since it may take a while; signals are heard meanwhile. True: it did, so that what came in
 * that time is not waited for any more. */
static bool tell(struct daemon *d)
{
    sigset_t blocked;
    if (d->broken || stop_signal() || d->turn.child_count > 0 || clock_monotonic() < d->tell)
        return false;
    d->tell = clock_monotonic() + TELL_EVERY;
    ASSERT(sigprocmask(SIG_SETMASK, &d->turn.unblocked, &blocked) == 0);
    notify_all(&d->cli->engine);
    ASSERT(sigprocmask(SIG_SETMASK, &blocked, NULL) == 0);
    return true;
}

static int work(struct daemon *d, struct error *e)
{
    const struct sigaction action = {.sa_handler = on_hangup};
    size_t held;
    if (turn_open(&d->turn, &held, e) < 0)
        return -1;
    ASSERT(sigaction(SIGHUP, &action, NULL) == 0);
    log_line(LOG_NOTICE, "at work: %zu job%s of '%s'", d->config->job_count, d->config->job_count == 1 ? "" : "s",
             d->config->directory);
    tell_manager("READY=1");
    for (;;) {
        take_turn(d);
        bool told = tell(d);
        if (stop_signal() && d->turn.child_count == 0)
            break;
        tell_manager(stop_signal() ? "STOPPING=1" : "WATCHDOG=1");
        if (turn_wait(&d->turn, told ? 0 : patience(), e) < 0) {
            log_error(LOG_ERROR, e);
            clock_sleep(1000);
        }
    }
    log_line(LOG_NOTICE, "ended by signal %d (%s)", stop_signal(), strsignal(stop_signal()));
    return EXIT_DONE;
}

static int run_daemon(struct cli *cli, struct error *e)
{
    struct daemon d = {.cli = cli, .turn = {.cli = cli, .quiet = true, .timed = true, .lock = -1, .timer = -1}};
    if (config_load(cli->config_dir, &d.config, e) < 0)
        return -1;
    cli->engine.config = d.config;
    log_set_service(d.config->log_service);
    d.files = look_at_files(d.config);
    int status = work(&d, e);
    turn_close(&d.turn);
    cli->engine.config = NULL;
    config_free(d.config);
    return status;
}

const struct command cmd_daemon = {
    .name = "daemon",
    .usage = "daemon",
    .summary = "do what is due, as long as it runs",
    .help =
        "Stays in the foreground and does what due does whenever something is due: for a container, or a service\n"
        "without a timer. Each thing that was done is a line on standard output; what went wrong is said on standard\n"
        "error. The configuration is read again when its files have changed, or on SIGHUP; while it cannot be used,\n"
        "that is said, nothing is begun, and what becomes due waits. Notifiers are told what no command tells: that a\n"
        "snapshot is too old, and what could not be told before. SIGTERM and SIGINT end what is at work, and then\n"
        "the daemon, with status 0. As process 1 of a container it takes care of processes that nobody waits for.\n"
        "status --health tells whether all is well.",
    .example = "cofre daemon",
    .statuses = "0   ended by SIGTERM or SIGINT\n"
                "11  another daemon, or due, is at work\n"
                "78  the configuration cannot be used",
    .words_min = 0,
    .words_max = 0,
    .flags = COMMAND_NO_CONFIG,
    .run = run_daemon,
};
