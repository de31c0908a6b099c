#include "common/spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <unistd.h>

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    int errnum = posix_spawnattr_setsigmask(attributes, &none);
    if (!errnum)
        errnum = posix_spawnattr_setsigdefault(attributes, &all);
    if (!errnum)
        errnum = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return errnum;
}

static int give(posix_spawn_file_actions_t *actions, int fd, int number)
{
    return fd < 0 ? posix_spawn_file_actions_addopen(actions, number, "/dev/null", number ? O_WRONLY : O_RDONLY, 0)
                  : posix_spawn_file_actions_adddup2(actions, fd, number);
}

static int set_files(const struct spawn *spawn, posix_spawn_file_actions_t *actions)
{
    int errnum = give(actions, spawn->input, STDIN_FILENO);
    if (!errnum)
        errnum = give(actions, spawn->output, STDOUT_FILENO);
    if (!errnum)
        errnum = give(actions, spawn->errors, STDERR_FILENO);
    /* Onto itself: that takes away close-on-exec. */
    for (const int *fd = spawn->kept; !errnum && fd && *fd >= 0; fd++)
        errnum = posix_spawn_file_actions_adddup2(actions, *fd, *fd);
    return errnum;
}

int spawn_start(const struct spawn *spawn, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int errnum = posix_spawn_file_actions_init(&actions);
    if (errnum)
        return errnum;
    errnum = posix_spawnattr_init(&attributes);
    if (errnum) {
        posix_spawn_file_actions_destroy(&actions);
        return errnum;
    }
    errnum = set_attributes(&attributes);
    if (!errnum)
        errnum = set_files(spawn, &actions);
    if (!errnum)
        errnum = posix_spawnp(pid, spawn->program, &actions, &attributes, spawn->words, spawn->environment);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return errnum;
}
