/* Ids of what a source does: of a backup, of a restore. Plugins name after them what must not be mixed up. */
#ifndef COFRE_WORKER_ID_H
#define COFRE_WORKER_ID_H

#define ID_MAX 41 /* with the NUL; COFRE_MAX_ID is what a plugin counts on */

/* "cofre-20261120t020000z-ab12cd": [a-z0-9-], never the same twice. */
void id_make(char out[ID_MAX]);

#endif
