/* The worker's process: main(), until the engine is gone. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "host/confine.h"
#include "host/host.h"
#include "wire/greeting.h"

bool host_is_child(int argc, char **argv)
{
    int type = 0;
    socklen_t size = sizeof type;
    if (argc != 2 || strcmp(argv[1], GREETING_ARGUMENT) != 0)
        return false;
    return getsockopt(GREETING_SOCKET, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET &&
           (fcntl(GREETING_MEMORY, F_GET_SEALS) & F_SEAL_SHRINK);
}

/* As host_run. */
static int run_worker(struct error *e)
{
    fcntl(GREETING_SOCKET, F_SETFD, FD_CLOEXEC);
    fcntl(GREETING_MEMORY, F_SETFD, FD_CLOEXEC);
    confine_process();
    uint32_t ready[2] = {WIRE_READY, greeting_build()};
    if (write(GREETING_SOCKET, ready, sizeof ready) != (ssize_t)sizeof ready)
        return error_system(e, errno, "greet the engine");
    return host_run_confined(GREETING_SOCKET, GREETING_MEMORY, e);
}

int host_main(void)
{
    struct error e;
    int result = run_worker(&e);
    /* The watcher sees the same, but the process might end before it comes to that, and leave behind what its plugin
     * has started. */
    if (result > 0)
        confine_end_group();
    if (result < 0)
        log_error(LOG_ERROR, &e);
    return result < 0;
}
