/* The waiting of one gpg operation. GPGME's own waits for gpg alone; this one also sees when it is to give up. A part
 * of pgp.h. */
#ifndef COFRE_OPENPGP_PGP_LOOP_H
#define COFRE_OPENPGP_PGP_LOOP_H

#include <gpgme.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PGP_LOOP_WATCHES 32
#define PGP_LOOP_BUFFER ((size_t)256 << 10)

struct pgp_loop {
    struct pgp_loop_watch {
        int fd; /* -1 = free */
        bool reading;
        bool carries; /* data, which are moved without GPGME */
        gpgme_io_cb_t call;
        void *data;
    } watches[PGP_LOOP_WATCHES];
    bool done;
    gpgme_error_t result;
    atomic_bool cancelled; /* set by any thread */

    /* The data: what GPGME calls for them, and the same without it. -1 = failed; 0 bytes = the end. */
    ssize_t (*read)(void *context, void *p, size_t n);
    ssize_t (*write)(void *context, const void *p, size_t n);
    void *context;
    struct pgp_loop_watch *calling; /* at work; NULL = none */
    uint8_t *in, *out;              /* buffers, PGP_LOOP_BUFFER each; the caller's */
    size_t in_start, in_length;
};

/* Before an operation is started (gpgme_op_..._start) in the context. */
void pgp_loop_attach(struct pgp_loop *loop, gpgme_ctx_t context);
/* To be called by the data callbacks: the descriptor that is at work carries data. */
void pgp_loop_carries(struct pgp_loop *loop);
/* After it was started: until it has ended. */
gpgme_error_t pgp_loop_run(struct pgp_loop *loop, gpgme_ctx_t context);

#endif
