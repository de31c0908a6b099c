/* TRY: what fails ends the call with its error. */
#ifndef TESTS_PLUGINS_TRY_H
#define TESTS_PLUGINS_TRY_H

#include <cofre/plugin.h>

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        int32_t result_ = (call);                                                                                      \
        if (result_ != COFRE_OK)                                                                                       \
            return result_;                                                                                            \
    } while (0)

#endif
