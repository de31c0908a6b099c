/* Crashes when it is loaded, before anybody has called it. */
#include <signal.h>

__attribute__((constructor)) static void start(void)
{
    raise(SIGSEGV);
}
