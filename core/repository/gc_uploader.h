/* The new packs of a host whose packs are packed anew: one is filled while others are on their way, so that who reads
 * and who stores need not wait for each other. Memory: three packs at most.
 */
#ifndef COFRE_REPOSITORY_GC_UPLOADER_H
#define COFRE_REPOSITORY_GC_UPLOADER_H

#include <stddef.h>
#include <stdint.h>

struct bytes;
struct error;
struct gc_host;
struct gc_uploader;
struct pack_chunk;
struct repository;

/* moves: gets a struct gc_move for each old pack that has a chunk in a new one, once that is stored. What was made is
 * counted in host->found. All three outlive it. */
int gc_uploader_new(struct repository *repository, struct gc_host *host, struct bytes *moves,
                    struct gc_uploader **uploader, struct error *e);
/* Also before it was finished: what is on its way is waited for, and no index object says anything of it. NULL is fine.
 */
void gc_uploader_free(struct gc_uploader *uploader);

/* A chunk of the old pack of that hash, n bytes as they were compressed. An error may be that of a pack before. */
int gc_uploader_add(struct gc_uploader *uploader, const uint8_t *from, const struct pack_chunk *chunk,
                    const void *compressed, size_t n, struct error *e);
/* All that was added is durable, was looked at (confirm.h) and is described by index objects. Nothing is added after.
 */
int gc_uploader_finish(struct gc_uploader *uploader, struct error *e);

#endif
