/* cofre-worker, the worker's process: until the engine is gone. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "host/confine.h"
#include "host/host.h"
#include "wire/greeting.h"

/* Is the channel there? */
static bool is_started_by_engine(void)
{
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(GREETING_SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
           (fcntl(GREETING_MEMORY, F_GET_SEALS) & F_SEAL_SHRINK);
}

/* As host_run. */
static int run_worker(struct error *e)
{
    fcntl(GREETING_SOCKET, F_SETFD, FD_CLOEXEC);
    fcntl(GREETING_MEMORY, F_SETFD, FD_CLOEXEC);
    prctl(PR_SET_NAME, "cofre-worker"); /* it was started by descriptor, and named by its number */
    confine_process();
    uint32_t ready[2] = {WIRE_READY, greeting_build()};
    if (write(GREETING_SOCKET, ready, sizeof ready) != (ssize_t)sizeof ready)
        return error_system(e, errno, "greet the engine");
    return host_run_confined(GREETING_SOCKET, GREETING_MEMORY, e);
}

int main(void)
{
    struct error e;
    if (!is_started_by_engine()) {
        fputs("cofre-worker: a part of cofre; cofre starts it, to run a plugin in\n", stderr);
        return 2;
    }
    int result = run_worker(&e);
    /* The watcher sees the same, but the process might end before it comes to that, and leave behind what its plugin
     * has started. */
    if (result > 0)
        confine_end_group();
    if (result < 0)
        log_error(LOG_ERROR, &e);
    return result < 0;
}
