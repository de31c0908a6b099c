/* Errors: what went wrong, said once, where it is known.
 *
 * A fallible function returns 0 or -1 and takes `struct error *` last. On -1 the error holds a class and a message:
 * what failed, the object in single quotes, the cause; lower case, no full stop, no secret. Callers may add context,
 * and say whose failure it is: the subject, which stands apart, so that nobody has to look for it in the message. Only
 * cli/ and the job runner print. Errors are values on the caller's stack: nothing is allocated, nothing is freed.
 */
#ifndef COFRE_BASE_ERROR_H
#define COFRE_BASE_ERROR_H

/* The numbers are those of the plugin ABI (cofre/plugin.h, COFRE_E_*). */
enum error_class {
    ERROR_NONE = 0,
    ERROR_RETRY = 1,
    ERROR_PERMANENT = 2,
    ERROR_NOT_FOUND = 3,
    ERROR_EXISTS = 4,
    ERROR_AUTH = 5,
    ERROR_DENIED = 6,
    ERROR_LOCKED = 7,
    ERROR_NO_SPACE = 8,
    ERROR_INTEGRITY = 9,
    ERROR_CONFIG = 10,
    ERROR_UNSUPPORTED = 11,
    ERROR_RANGE = 12,
    ERROR_BUSY = 13,
    ERROR_CHANGED = 14,
    ERROR_CANCELLED = 15,
    ERROR_TIMEOUT = 16,
    ERROR_MEMORY = 17,
    ERROR_BUG = 18,
    /* Not in the ABI: what only the engine finds. */
    ERROR_USAGE = 19,
    ERROR_NOT_INITIALISED = 20,
    ERROR_PLUGIN = 21, /* a plugin crashed, hung or broke the contract */
    ERROR_SIGNER = 22, /* signed by a key that nobody has accepted: somebody must decide */
};

struct error {
    enum error_class class;
    int os_errno;         /* 0 when there is none */
    unsigned retry_after; /* milliseconds; 0 = no opinion */
    char subject[96];     /* whose failure it is, "sink 'nas'"; "" = nobody's in particular */
    char message[1024];   /* without the subject: error_text has both */
    char hint[512];
};

/* Set the error; returns -1, so that a failure is one line: return error_set(e, ERROR_RANGE, "..."). An earlier hint
 * and subject go. */
int error_set(struct error *e, enum error_class class, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for a failed system call: the class comes from errnum and ": strerror(errnum)" is appended. */
int error_system(struct error *e, int errnum, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Put context in front of the message, behind the subject: "read back 'config': ". Keeps class and hint. Returns -1. */
int error_context(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put in front of all what the failure led to: "nothing was restored, as ...: ". The subject that there was becomes
 * part of the message, and there is none then. Returns -1. */
int error_consequence(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Say whose failure it is: "sink", "nas" make "sink 'nas'"; kind NULL: name is the whole. A subject that is there
 * already and is the same stays; another becomes part of the message, "source 'db'" + "sink 'nas': ...". Returns -1. */
int error_subject(struct error *e, const char *kind, const char *name);

/* "sink 'nas': put 'key': refused": what is printed and stored of an error. Returns out. */
#define ERROR_TEXT_MAX 1152
const char *error_text(const struct error *e, char out[ERROR_TEXT_MAX]);

/* What the operator should do. Returns -1. */
int error_hint(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A failed allocation. Returns -1. */
int error_memory(struct error *e);

enum error_class error_class_of_errno(int errnum);

/* "retry", "not found", ... */
const char *error_class_name(enum error_class class);

/* The process's exit status for a failure of this class, never 0: the table in the manual page. */
int error_exit_status(enum error_class class);

/* Programmer errors, checked in release builds too. Never for what comes from outside. */
#define ASSERT(condition) ((condition) ? (void)0 : error_assert_failed(#condition, __FILE__, __LINE__))
void error_assert_failed(const char *condition, const char *file, int line) __attribute__((noreturn));

#endif
