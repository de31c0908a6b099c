/* copy: bring a snapshot from one sink to another of the same format and key. */
#ifndef COFRE_JOB_COPY_H
#define COFRE_JOB_COPY_H

struct copy_result;
struct error;
struct manifest;
struct vault;

/* What it needs and the target lacks goes over as it is stored, the manifest last; what is damaged there is put right.
 * Different formats or keys: ERROR_UNSUPPORTED. */
int copy_run(struct vault *from, struct vault *to, const struct manifest *manifest, struct copy_result *result,
             struct error *e);

#endif
