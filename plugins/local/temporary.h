/* Temporary names: where a put begins, and how what a killed put left behind is told from one that is still running.
 *
 * A name is BOOT.PID.RANDOM: the kernel's boot id, the process id of the owner, 64 random bits. The owner holds an
 * flock on the file for as long as it writes. A file whose lock is held is never removed, however old.
 */
#ifndef LOCAL_TEMPORARY_H
#define LOCAL_TEMPORARY_H

#include <stdint.h>

#include <cofre/plugin.h>

#define TEMPORARY_NAME_MAX 80

/* A new empty file in directory, 0600, open for writing. Returns the descriptor, or -1 with errno. */
int temporary_make(int directory, char name[TEMPORARY_NAME_MAX]);

/* Remove what is dead for certain (the owner ran since this boot, on this machine, and is gone), and of the rest, such
 * as what other machines wrote, what was last written before older_than (ns). */
int32_t temporary_sweep(int directory, int64_t older_than, struct cofre_error *error);

#endif
