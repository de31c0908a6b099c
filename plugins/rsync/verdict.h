/* What it means that rsync or ssh failed: an error class, the line that says why, and the way out.
 *
 * The words on stderr come first, since rsync's status says where it noticed and not what happened: a changed host key,
 * a missing program and a cut line are all "12" or "255". What no line explains, the status does (rsync(1), EXIT
 * VALUES). */
#ifndef COFRE_RSYNC_VERDICT_H
#define COFRE_RSYNC_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include <cofre/plugin.h>

/* Fills *error, with "exit N" as its code, and returns the class. what: "send 3 objects". status: as from program_exit,
 * not 0. text: what was printed on stderr. */
int32_t verdict_fail(struct cofre_error *error, const char *what, const char *target, int status, const char *text);

/* The daemon refused for no other reason than that it has as many connections as it takes. */
bool verdict_is_crowded(const char *text);

#endif
