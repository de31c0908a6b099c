/* The same, of those that need no network. */
#define HOSTILE_NAME "hostile-local-sink"
#define MINIMAL_CAPABILITIES COFRE_NO_NETWORK
#include "hostile-sink.c"
