/* Where a program asks for memory, or the kernel for something: each such place fails once.
 *
 * A place is the call and who asked for it, one or more callers up: what a helper asks for on behalf of ten others are
 * ten places. The linker puts the calls of places.c in the way of the program's own (--wrap); what plugins and
 * libraries ask for is left alone; of jansson it is what its functions give. */
#ifndef TESTS_UNIT_CLI_PLACES_H
#define TESTS_UNIT_CLI_PLACES_H

#include <stdbool.h>
#include <stddef.h>

enum places_kind {
    PLACES_NONE,
    PLACES_MEMORY,      /* what allocates gives NULL */
    PLACES_CALLS,       /* system calls fail, with EIO where that is possible */
    PLACES_INTERRUPTED, /* system calls that wait fail with EINTR */
};

#define PLACES_CALLERS 6

/* Once. What failed in a child that is made later has failed here, too. callers: how many of them make a place, at most
 * PLACES_CALLERS. one_of: only one of so many places ever fails, always the same ones of one program; 1 = all. */
void places_begin(int callers, unsigned one_of);

/* How many have failed, or were passed over, in all processes. */
size_t places_count(void);

/* From here on the first call of that kind from a place that has not failed yet fails; all others work. */
void places_arm(enum places_kind kind);
/* None fails any more. Did one, since places_arm? Its name, and the addresses of who asked, to out. */
bool places_disarm(char *out, size_t n);

#endif
