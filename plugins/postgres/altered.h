/* What became of a database since a snapshot of it was taken.
 *
 * TRUNCATE, and every ALTER TABLE that rewrites a table, give it new, empty storage for all older snapshots: what such
 * a snapshot finds in it then is nothing, without any error. A table that was dropped and made again, or whose name was
 * given to another, is read by its name, and is not what the snapshot's catalogue describes; the same goes for columns.
 * pg_dump locks its tables before it reads them, so this has to be looked at once, when it has them all.
 *
 * Locking the tables ourselves when the snapshot is taken would be no way out: behind somebody who waits for our lock
 * pg_dump would wait for his, and so for us, who wait for it. And the application's changes would wait for the whole
 * job.
 */
#ifndef COFRE_POSTGRES_ALTERED_H
#define COFRE_POSTGRES_ALTERED_H

#include "postgres/archive.h"
#include "postgres/namelist.h"
#include "postgres/session.h"

/* The tables whose rows are in the dump (listed) and that are no longer, or no longer in the same way, what the
 * transaction of `session` sees, which speaks raw: keys of recorded_rows_key, without prefix. The caller frees them. */
int32_t altered_tables(struct session *session, const struct archive *archive, struct namelist *tables,
                       struct cofre_error *error);

/* Was a definition replaced or dropped since? pg_dump asks the server for some of them as they are now: of a function
 * that is gone it writes what cannot be restored. */
int32_t altered_definitions(struct session *session, bool *altered, struct cofre_error *error);

#endif
