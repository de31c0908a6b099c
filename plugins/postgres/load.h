/* pg_restore, and whether what it made is what was saved. */
#ifndef COFRE_POSTGRES_LOAD_H
#define COFRE_POSTGRES_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "postgres/stage.h"
#include "postgres/target.h"

/* What is missing of what was loaded, with go_on. */
struct load_loss {
    uint64_t objects;  /* that could not be made; each was logged */
    bool data;         /* rows, large objects or the value of a sequence among them */
    char example[160]; /* the first of them */
};

/* Fill target->work from the staged dump: the whole of it, or the part that the options say. Whatever pg_restore has to
 * say is an error, which names the statement that failed; with go_on it is a loss, when pg_restore went on to its
 * end. */
int32_t load_dump(struct target *target, const struct stage *stage, struct load_loss *loss, struct cofre_error *error);
/* Count the rows of what was loaded, where the snapshot says how many there were, and compare. A table that differs is
 * an error; with go_on a further loss. *counted: how many tables were compared. */
int32_t load_compare(struct target *target, const struct stage *stage, struct load_loss *loss, uint64_t *counted,
                     struct cofre_error *error);

#endif
