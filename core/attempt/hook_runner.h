/* What the engine and a hook's runner (attempt/hook.h) agree upon. */
#ifndef COFRE_ATTEMPT_HOOK_RUNNER_H
#define COFRE_ATTEMPT_HOOK_RUNNER_H

#include <stdbool.h>

#include "attempt/beside.h"

#define HOOK_RUNNER_ARGUMENT "hook"
#define HOOK_RUNNER_REQUEST "cofre-hook" /* the name of the file in memory */

/* Its descriptors: where struct hook_outcome is written to; the request; a pidfd of the engine; the lock of the hold,
 * if there is one. */
enum {
    HOOK_RUNNER_RESULT = 1,
    HOOK_RUNNER_REQUEST_FD = BESIDE_FD,
    HOOK_RUNNER_ENGINE,
    HOOK_RUNNER_LOCK,
};

/* Is this process to be one? For main(). */
bool hook_runner_is_one(int argc, char **argv);
/* The exit status: 0 = the outcome was said. Without one the hook was not run, and what is owed is still owed. */
int hook_runner_main(void);

#endif
