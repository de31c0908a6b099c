#include "base/cancel.h"

#include <stdatomic.h>

static atomic_bool requested;
_Static_assert(ATOMIC_BOOL_LOCK_FREE == 2, "cancel_request must be safe in a signal handler");

void cancel_request(void)
{
    atomic_store_explicit(&requested, true, memory_order_relaxed);
}

bool cancel_requested(void)
{
    return atomic_load_explicit(&requested, memory_order_relaxed);
}
