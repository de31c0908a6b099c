/* The waiting of one gpg operation. GPGME's own waits for gpg alone; this one also sees when it is to give up. A part
 * of pgp.h. */
#ifndef COFRE_ARCHIVE_PGP_LOOP_H
#define COFRE_ARCHIVE_PGP_LOOP_H

#include <gpgme.h>
#include <stdatomic.h>
#include <stdbool.h>

#define PGP_LOOP_WATCHES 32

struct pgp_loop {
    struct pgp_loop_watch {
        int fd; /* -1 = free */
        bool reading;
        gpgme_io_cb_t call;
        void *data;
    } watches[PGP_LOOP_WATCHES];
    bool done;
    gpgme_error_t result;
    atomic_bool cancelled; /* set by any thread */
};

/* Before an operation is started (gpgme_op_..._start) in the context. */
void pgp_loop_attach(struct pgp_loop *loop, gpgme_ctx_t context);
/* After it was: until it has ended. */
gpgme_error_t pgp_loop_run(struct pgp_loop *loop, gpgme_ctx_t context);

#endif
