#include "host/confine.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "flow/task.h"
#include "wire/greeting.h"

void confine_process(void)
{
    /* 1 and not 0: it also keeps a core from being piped to a collector. */
    static const struct rlimit core = {1, 1};
    setrlimit(RLIMIT_CORE, &core);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#ifndef COFRE_SANITIZED
    static const struct rlimit data = {CONFINE_MEMORY_MAX, CONFINE_MEMORY_MAX};
    setrlimit(RLIMIT_DATA, &data);
#endif
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is an error of the write, not the end of us */
}

void confine_end_group(void)
{
    kill(getpgrp() == getpid() ? 0 : getpid(), SIGKILL);
}

/* Not PR_SET_PDEATHSIG: that is sent when the thread that started the worker ends, and it spares the plugin's children.
 */
static int watch(void *context, struct error *e)
{
    (void)context;
    (void)e;
    struct pollfd engine = {.fd = GREETING_SOCKET};
    for (;;) {
        if (poll(&engine, 1, -1) > 0 && (engine.revents & (POLLHUP | POLLERR | POLLNVAL)))
            break;
    }
    confine_end_group();
    return 0;
}

int confine_watch(struct error *e)
{
    static struct task *watcher; /* runs as long as the process */
    return task_start(&watcher, watch, NULL, e);
}
