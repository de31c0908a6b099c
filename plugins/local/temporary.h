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

/* Give it the name leaf in another directory, if that is free. 0, or an errno: EEXIST = it is not; ENOTSUP = the file
 * system can neither rename without replacing nor give a file a second name. */
int temporary_publish(int temporary, const char *name, int directory, const char *leaf);
/* That ENOTSUP, explained. */
int32_t temporary_no_publishing(struct cofre_error *error, const char *path);

/* Remove what is dead for certain (the owner ran since this boot, on this machine, and is gone), and of the rest, such
 * as what other machines wrote, what was last written before older_than (ns). */
int32_t temporary_sweep(int directory, int64_t older_than, struct cofre_error *error);

#endif
