/* Of log.h: the system's log. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/log.h"

#define IDENTIFIER "cofre"
#define FACILITY (3 << 3) /* daemon */
#define PATIENCE 2        /* seconds, with a log that takes nothing */
#define MESSAGE_MAX 16384 /* bytes with all fields; a datagram that is larger is refused */

static enum log_service service;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int to = -1; /* connected; -1 = not yet */
static bool said;   /* that it cannot be reached */
static _Thread_local bool saying;

void log_set_service(enum log_service which)
{
    service = which;
}

enum log_service log_get_service(void)
{
    return service;
}

/* ---- the two forms ---- */

/* As syslog(3) of the C library writes it, which RFC 3164 describes. */
static void write_syslog(const struct log_entry *entry, struct bytes *out)
{
    char now[32] = "";
    time_t seconds = (time_t)(clock_now() / 1000000000);
    struct tm tm;
    if (localtime_r(&seconds, &tm))
        strftime(now, sizeof now, "%h %e %T", &tm);
    bytes_print(out, "<%d>%s " IDENTIFIER "[%ld]: %s", FACILITY | (int)entry->level, now, (long)getpid(), entry->text);
}

/* systemd.io/JOURNAL_NATIVE_PROTOCOL: a field is NAME=value and a newline; our texts are escaped, and so have none. */
static void write_journal(const struct log_entry *entry, struct bytes *out)
{
    bytes_print(out, "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_FACILITY=%d\nSYSLOG_IDENTIFIER=" IDENTIFIER "\nSYSLOG_PID=%ld\n",
                entry->text, (int)entry->level, FACILITY >> 3, (long)getpid());
    if (entry->id)
        bytes_print(out, "MESSAGE_ID=%s\n", entry->id);
    for (size_t i = 0; i < entry->field_count; i++)
        bytes_print(out, "%s=%s\n", entry->fields[i].name, entry->fields[i].value);
}

static const struct {
    const char *name, *path;
    void (*write)(const struct log_entry *entry, struct bytes *out);
} services[] = {
    [LOG_SYSLOG] = {"syslog", "/dev/log", write_syslog},
    [LOG_JOURNAL] = {"journal", "/run/systemd/journal/socket", write_journal},
};

/* ---- sending ---- */

static int reach(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = PATIENCE};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) < 0 ||
                    connect(fd, (const struct sockaddr *)&address, sizeof address) < 0)) {
        int failed = errno;
        close(fd);
        errno = failed;
        return -1;
    }
    return fd;
}

/* It may have been started anew since the last line. */
static int send_once(const struct bytes *message)
{
    if (to < 0 && (to = reach(services[service].path)) < 0)
        return -1;
    if (send(to, message->data, message->length, MSG_NOSIGNAL) >= 0)
        return 0;
    int failed = errno;
    close(to);
    to = -1;
    errno = failed;
    return -1;
}

/* Not to itself: to standard error, once. */
static void say_lost(void)
{
    if (said)
        return;
    said = saying = true;
    log_line(LOG_WARNING, "no line comes into the %s: '%s': %s", services[service].name, services[service].path,
             strerror(errno));
    saying = false;
}

void log_to_service(const struct log_entry *entry)
{
    AUTO_BYTES struct bytes message = {.maximum = MESSAGE_MAX};
    if (service == LOG_NO_SERVICE || entry->level > LOG_NOTICE || saying)
        return;
    services[service].write(entry, &message);
    pthread_mutex_lock(&lock);
    if (message.failed)
        errno = EMSGSIZE;
    bool lost = message.failed || (send_once(&message) < 0 && send_once(&message) < 0);
    if (lost)
        say_lost();
    pthread_mutex_unlock(&lock);
}
