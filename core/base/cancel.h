/* Cancellation: of everything that this process does, once and for good. */
#ifndef COFRE_BASE_CANCEL_H
#define COFRE_BASE_CANCEL_H

#include <stdbool.h>

/* Ask whatever runs to end with ERROR_CANCELLED, now and in future. Safe in a signal handler. */
void cancel_request(void);
bool cancel_requested(void);

#endif
