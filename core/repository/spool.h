/* Spooling: a catalogue file into chunks, with a row of the manifest for each. */
#ifndef COFRE_REPOSITORY_SPOOL_H
#define COFRE_REPOSITORY_SPOOL_H

struct error;
struct manifest_source;
struct writer;

/* The file at path, which is complete, through the writer, which has no open chunk and no id to be asked for. Fills
 * source->chunks. */
int spool_catalogue(struct writer *writer, const char *path, struct manifest_source *source, struct error *e);

#endif
