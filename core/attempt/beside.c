#include "attempt/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

#define FREE 16 /* beyond all descriptors that it has */

extern char **environ;

static int set_attributes(posix_spawnattr_t *attributes)
{
    sigset_t all, blocked;
    sigfillset(&all);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGINT);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGHUP);
    int result =
        posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    if (result == 0)
        result = posix_spawnattr_setsigdefault(attributes, &all);
    return result ? result : posix_spawnattr_setsigmask(attributes, &blocked);
}

/* given: the output, which may be -1, and count others, all of them beyond FREE. */
static int set_descriptors(posix_spawn_file_actions_t *actions, const int *given, size_t count)
{
    int result = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    if (result == 0)
        result = given[0] >= 0 ? posix_spawn_file_actions_adddup2(actions, given[0], STDOUT_FILENO)
                               : posix_spawn_file_actions_addopen(actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    for (size_t i = 0; result == 0 && i < count; i++)
        result = posix_spawn_file_actions_adddup2(actions, given[1 + i], BESIDE_FD + (int)i);
    return result ? result : posix_spawn_file_actions_addclosefrom_np(actions, BESIDE_FD + (int)count);
}

static int spawn(char *const *arguments, const int *given, size_t count, pid_t *pid)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0)
        return result;
    if ((result = posix_spawnattr_init(&attributes)) == 0) {
        if ((result = set_attributes(&attributes)) == 0 && (result = set_descriptors(&actions, given, count)) == 0)
            result = posix_spawn(pid, "/proc/self/exe", &actions, &attributes, arguments, environ);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return result;
}

int beside_start(const char *argument, const char *more, int output, const int *fds, size_t count, pid_t *pid)
{
    char name[] = "cofre";
    char *const arguments[] = {name, (char *)(uintptr_t)argument, (char *)(uintptr_t)more, NULL};
    int given[1 + BESIDE_FDS_MAX], result = 0;
    ASSERT(count <= BESIDE_FDS_MAX);
    for (size_t i = 0; i <= count; i++) {
        int fd = i == 0 ? output : fds[i - 1];
        given[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FREE);
        if (fd >= 0 && given[i] < 0)
            result = errno;
    }
    if (result == 0)
        result = spawn(arguments, given, count, pid);
    for (size_t i = 0; i <= count; i++)
        file_close_pointer(&given[i]);
    return result;
}
