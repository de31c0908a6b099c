/* Linked to every program of a build that counts lines: what ends without exit(), or becomes another program, keeps its
 * counts, too. */
#include <unistd.h>

void __gcov_dump(void);
void __gcov_reset(void);
_Noreturn void __real__exit(int status);
_Noreturn void __wrap__exit(int status);
int __real_execveat(int directory, const char *path, char *const *arguments, char *const *environment, int flags);
int __wrap_execveat(int directory, const char *path, char *const *arguments, char *const *environment, int flags);

/* Whoever has become somebody else may not write them, and would say so. */
static void keep(void)
{
    if (access(COUNTS_BELOW, W_OK) == 0)
        __gcov_dump();
}

void __wrap__exit(int status)
{
    keep();
    __real__exit(status);
}

int __wrap_execveat(int directory, const char *path, char *const *arguments, char *const *environment, int flags)
{
    keep();
    __gcov_reset();
    return __real_execveat(directory, path, arguments, environment, flags);
}
