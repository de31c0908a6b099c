/* SPDX-License-Identifier: 0BSD
 *
 * cofre/plugin.h - how to write a source, a sink or a notifier for cofre.
 *
 * This header is the whole contract, and the manual: read it from top to bottom. It needs nothing but gcc or clang
 * (C99 or later, or C++11) and POSIX. A plugin links against nothing of ours; every service of the host arrives in a
 * table. In C++ leave out designated initialisers, which it has since C++20 only: members stand in the order in which
 * they are given, and new ones come at the end.
 *
 *   source   reads an application's data (a directory, a database) and can put it back
 *   sink     stores objects: whole byte strings under a key (a disk, a bucket)
 *   notifier tells somebody what happened (mail, a web hook)
 *
 * In this order: rules, surroundings, limits; levels; results and errors; options; the role of a source; the role of a
 * sink; the role of a notifier; the host's services, by call; the descriptor; helpers.
 *
 * Life of an instance. The host runs each configured instance in a worker process of its own:
 *
 *   cofre_plugin_v1(NULL)                       describe yourself; no other code of yours may run
 *   cofre_plugin_v1(host)                       now the host's services may be used
 *   open -> check -> close                             cofre check
 *   open -> [freeze] -> backup -> [thaw] -> close      cofre run          (source)
 *   open -> restore -> [thaw] -> close                 cofre restore      (source)
 *   open -> services -> thaw -> close                  cofre restore, around all sources of a job
 *   open -> discover -> close                          cofre discover     (source)
 *   open -> put | get | stat | list | remove | ... -> close               (sink)
 *   open -> notify ... -> close                                           (notifier)
 *
 * Rules that hold everywhere unless a comment says otherwise
 *
 *  - An instance is used by one thread at a time. The host starts more workers when it wants more at once.
 *  - Threads of your own may, while the call at hand runs, use its cancelled, cancel_fd, time_left, progress and pause.
 *    Every other service belongs to the thread in which the host made the call. None may be used after the call has
 *    returned: end or stop your threads before.
 *  - Every struct that crosses the boundary starts with struct_size, set with sizeof by whoever allocates it. Nobody
 *    touches bytes beyond struct_size. Fields are only ever appended; arrays of structs carry their stride. What an
 *    older plugin leaves out counts as zero. (cofre_list and cofre_secret lie in your own struct of options, and the
 *    row of the option says how large they are.)
 *  - What is unknown is refused, never ignored: an entry's kind, a flag of put, a depth of check, a `what` of services
 *    that this header does not name come from a newer host. Answer COFRE_E_UNSUPPORTED: from the call, or for an entry
 *    with done. The host does the same: it refuses flags and types of an option that it does not know, also when they
 *    would be mere advice (so say with min_host_level which host you need), and fails a call that gives it an unknown
 *    flag. Capability bits have a half that may be ignored.
 *  - Pointers passed in are valid until the called function returns: copy what you keep. The descriptor and all that it
 *    points to is static storage, valid for ever.
 *  - What the plugin allocates the plugin frees; what the host allocates the host frees.
 *  - Sizes and offsets are bytes, points in time are nanoseconds since 1970 UTC, durations are milliseconds.
 *  - A call returns COFRE_OK or an error class and, with a class, has filled *error (never NULL). Any other number
 *    breaks the contract. Errors of host calls are passed up as they are: they are already explained.
 *  - No pointer that you pass is NULL, unless a comment says that it may be. The host checks what it is given: what
 *    breaks this contract fails the call, in words that name the plugin, the call and the fault.
 *  - Do not retry: the host does, and it knows whether a repetition is safe (see the classes). It cannot give the bytes
 *    of a put of unknown size again: of those a plugin may repeat what it still holds.
 *  - Never call exit, signal, chdir, umask, setlocale or setenv. Descriptors are O_CLOEXEC. Nothing is written to
 *    stdout or stderr: use log. The shared object is never unloaded.
 *
 * The surroundings of a worker
 *
 *  - Its data (heap, anonymous maps) is limited to 1 GiB (RLIMIT_DATA): malloc then gives NULL. There is no core dump.
 *  - No new privileges: sudo, setuid programs and file capabilities (ping) give no more rights than the worker has.
 *  - Capabilities that its role does not need are gone, also when it runs as root: CAP_SYS_PTRACE, NET_*, ... So are,
 *    with EPERM, system calls that no plugin needs: ptrace, process_vm_*, mount and its like, unshare, setns but into a
 *    network, bpf, modules, keyrings, open_by_handle_at, io_uring; clone3 is ENOSYS, and programs of another
 *    architecture make no system call. Other processes: see open_process.
 *  - A sink reads the files of the system (programs, libraries, /proc, names of hosts and users, authorities), those
 *    that its options of type PATH name, and what `reads` says; it writes and makes files in the directories that these
 *    options name, and in no others (EACCES). What they name must be there when it is opened, but for create. It sends
 *    no signals to others. docs/plugin-guide.md has the table of what may still be done.
 *  - With `run_as` in its section it runs as that user, and has no directory of its own (UNSUPPORTED).
 *  - umask 077. SIGPIPE is ignored, every other signal is as a fresh program has it, none is blocked; what you execute
 *    should get SIGPIPE back.
 *  - The environment has PATH, TZ and the locale (LANG, LC_*), and the names in `environment`, nothing else.
 *  - stdin is /dev/null. stdout and stderr lead to the log, as a complaint, 1,024 bytes a line. Descriptors 3 and 4 are
 *    the host's. The working directory is that of cofre, whatever that is: use absolute paths.
 *  - It leads a process group of its own. When it ends, or cofre does, also by SIGKILL, everything that is still in
 *    that group is killed: programs that you start end with it, unless they leave the group.
 *  - With --in-process, for debugging, it is a thread of cofre instead, and none of this holds.
 *
 * Limits, which the host enforces
 *
 *   plugin        name 63 bytes, each text of the descriptor 16,384
 *   options       256 rows, struct of 1 MiB, name 63 bytes
 *   path          65,535 bytes; the name of what is left out likewise
 *   entry         4,096 attributes, each with a name of 255 and a value of 65,536 bytes; user and group 255 bytes; all
 *                 of its texts and attributes together 512 KiB (COFRE_E_RANGE of entry); content 2^63 - 1 bytes, holes
 *                 included; fingerprint COFRE_MAX_FINGERPRINT
 *   content       512 KiB for one reserve or take
 *   fact          key 255, value 65,536 bytes; for a source 50,000, and 4 MiB in all: what is beyond is not kept, which
 *                 is logged
 *   log           a line 3,000 bytes, more are cut; 1,000 lines for a call, more are counted; between reserve and
 *                 commit 64 KiB of lines
 *   finding       text and hint 3,000 bytes each, more are cut
 *   error         as the struct says; a text that is not terminated ends with its array
 *   offer         options 16,384, about 3,000, name and covered_by 255 bytes; 10,000 for a call
 *   overrides     16,384 bytes of scratch_make
 *   key           COFRE_MAX_KEY; cursor of list 1,024 bytes; 1,000 keys for one remove_many
 *   list          16,777,216 objects, 1,000,000 of others; behind the first 100 pages 10 objects in each on the average
 *   left out      the first 1,000, and of these 1 MiB of texts, are named in the snapshot; all are counted. What could
 *                 not be read likewise
 *   id            COFRE_MAX_ID
 *   time          after a cancellation 10 s, for close 5 s (notifiers 2 s and 1 s), then SIGTERM, and SIGKILL a
 *                 second later. A call has no deadline unless the section has a `timeout`; that of a notifier has 1
 *                 minute. One in which nothing moves (bytes, entries, progress) is cancelled after `stall_timeout`, 15
 *                 minutes
 */
#ifndef COFRE_PLUGIN_H
#define COFRE_PLUGIN_H

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- levels -------------------------------------------------------------------------------------------------------
 *
 * COFRE_ABI_LEVEL is the newest level this header describes. COFRE_API_LEVEL is the level the author writes for; define
 * it before the include to opt into newer fields. A level that only appends leaves older plugins working. Until cofre
 * 1.0 a level may also change what there is: a host says which levels it still takes, and refuses the others in words.
 * The first three members of cofre_plugin, and the name of the entry point, never change. History:
 *
 *   1  before the first release; no longer taken
 *   2  first level (cofre 0.1)
 */
#define COFRE_ABI_LEVEL 2
#ifndef COFRE_API_LEVEL
#define COFRE_API_LEVEL 2
#endif
#if COFRE_API_LEVEL > COFRE_ABI_LEVEL
#error "this cofre/plugin.h is too old for the COFRE_API_LEVEL that was asked for"
#endif

/* Does the struct behind p, as its allocator knew it, have field f, and is it set? */
#define COFRE_HAS(p, f) ((p)->struct_size >= offsetof(__typeof__(*(p)), f) + sizeof((p)->f) && (p)->f)

/* ---- results and errors -------------------------------------------------------------------------------------------*/

/* What becomes of a class. RETRY and BUSY are tried again, with growing pauses, each time named in the log: for
 * `retry_for` (sinks 5min, sources 1min, notifiers 30s), not before retry_after. Every other class is final for that
 * call.
 *
 *   sink     all calls but open, close and check; not a put of unknown size, nor a list of which much was given already
 *   source   open, and freeze, after a thaw of the same id; backup, with a fresh instance, as long as it has announced
 *            nothing and nothing is frozen; restore, after a thaw, as long as it has not called next. `cofre check`
 *            tries again for `wait` alone (default 0), as long as nothing was found
 *   notifier open, and notify
 *
 * A source whose call failed is missing in the snapshot, and the other sources are saved; a sink that failed is left
 * out of the run, and the other sinks go on. When nothing could be saved or restored, the class becomes cofre's exit
 * status: AUTH 12, CONFIG 78, INTEGRITY of a sink's get or a source's restore 13, any other 1. What a notifier could
 * not tell is told later, and changes nothing for a run. An instance is used on after an error, also after CANCELLED;
 * not after a broken contract. */
enum {
    COFRE_OK = 0,
    COFRE_E_RETRY = 1,       /* may well work in a moment: throttled, connection reset, 5xx */
    COFRE_E_PERMANENT = 2,   /* will not get better by itself */
    COFRE_E_NOT_FOUND = 3,   /* the object or thing does not exist */
    COFRE_E_EXISTS = 4,      /* put with COFRE_PUT_IF_ABSENT: the key is taken */
    COFRE_E_AUTH = 5,        /* who you are: wrong or expired credentials */
    COFRE_E_DENIED = 6,      /* what you may do: EACCES, 403 */
    COFRE_E_LOCKED = 7,      /* a retention or immutability rule forbids it */
    COFRE_E_NO_SPACE = 8,    /* disk, quota, inodes */
    COFRE_E_INTEGRITY = 9,   /* bytes differ from what was promised */
    COFRE_E_CONFIG = 10,     /* an option is wrong; the message names it */
    COFRE_E_UNSUPPORTED = 11,
    COFRE_E_RANGE = 12,      /* get: offset or length reach beyond the object */
    COFRE_E_BUSY = 13,       /* somebody else holds it */
    COFRE_E_CHANGED = 14,    /* the thing changed while it was read */
    COFRE_E_CANCELLED = 15,  /* the host said so; pass it up */
    COFRE_E_TIMEOUT = 16,
    COFRE_E_MEMORY = 17,     /* an allocation failed */
    COFRE_E_BUG = 18,        /* a promise of this header was broken */
    /* Not errors: */
    COFRE_END = 100,         /* nothing follows */
    COFRE_UNCHANGED = 101,   /* unchanged(): as in the last snapshot */
    COFRE_PARTLY = 102       /* done(), late(): the content is back, owner, mode, times or attributes are not */
};

/* Allocated and zeroed by the caller. The text says what failed, the object in single quotes, the cause: one line of
 * UTF-8, no capital, no full stop, no secret. The hint is what the operator should do, or empty. */
struct cofre_error {
    uint32_t struct_size;
    int32_t os_errno;        /* 0 when there is none */
    uint32_t retry_after;    /* milliseconds, with COFRE_E_RETRY and COFRE_E_BUSY; 0 = no opinion */
    uint32_t reserved;
    char code[32];           /* the provider's own code, such as "SlowDown" or "28P01"; or "" */
    char message[512];
    char hint[256];
};

/* One call from the host, alive until it returns. Every host service takes it. */
struct cofre_call;

/* ---- options ------------------------------------------------------------------------------------------------------
 *
 * A plugin declares its options as a table; the host parses the configuration, checks types and ranges, resolves
 * secrets, fills the plugin's own struct by offset, and prints the manual from the same rows. The struct is allocated
 * and zeroed by the host and valid from open until close has returned.
 *
 *   struct conf { const char *path; int32_t sync; };
 *   static const struct cofre_option rows[] = {
 *       COFRE_OPTION(struct conf, path, PATH, COFRE_O_REQUIRED, NULL, "directory that holds the objects"),
 *       COFRE_OPTION(struct conf, sync, BOOLEAN, 0, "yes", "wait until data is on the disk"),
 *   };
 *   ... .options = COFRE_OPTIONS(struct conf, rows)
 *
 * Names are [a-z][a-z0-9_]*. Reserved for the host: plugin, key, encryption, format, timeout, stall_timeout,
 * trust_hosts, retry_for, run_as, wait, and whatever begins with keep_; for sinks also compress, level, threads,
 * encrypt_to, passphrase, sign_with, gnupg_home, key_passphrase, recovery_to and recovery_passphrase.
 *
 * Which option the host heeds is said by its flags, whatever its name is.
 */
enum {
    COFRE_STRING = 1,   /* const char *            */
    COFRE_PATH = 2,     /* const char *, absolute  */
    COFRE_INTEGER = 3,  /* int64_t                 */
    COFRE_BOOLEAN = 4,  /* int32_t, 0 or 1         */
    COFRE_SIZE = 5,     /* int64_t, bytes          */
    COFRE_DURATION = 6, /* int64_t, milliseconds   */
    COFRE_CHOICE = 7,   /* int32_t, index into choices */
    COFRE_LIST = 8,     /* struct cofre_list       */
    COFRE_SECRET = 9    /* struct cofre_secret     */
};

struct cofre_list {
    const char *const *items;
    size_t count;
};

/* Any bytes; not terminated; of one that is not set length is 0. Locked in memory, left out of core dumps, wiped after
 * close. */
struct cofre_secret {
    const uint8_t *bytes;
    size_t length;
};

#define COFRE_O_REQUIRED 1u  /* the configuration must set it */
#define COFRE_O_RESTORE 2u   /* may be overridden at restore: --set NAME=VALUE */
/* Each stands at one option at most, of the type that it says. */
#define COFRE_O_PARALLEL 4u  /* sink, INTEGER: as many connections as this. The host starts up to so many workers, at
                              * most 32, to put and get as many objects at once */
#define COFRE_O_PROTECT 8u   /* sink, DURATION: put protects what it stores for so long; 0 = not. The host calls retain,
                              * which must be there, for what a new snapshot re-uses */
#define COFRE_O_REPLACE 16u  /* source, BOOLEAN, with COFRE_O_RESTORE and the default no: a restore may replace what is
                              * there. The host sets it for restore --in-place, after it has asked, and for nothing
                              * else. Without such an option a restore to the source's own place needs --in-place */
/* At any number of options: */
#define COFRE_O_TRUSTED 32u  /* PATH: a program, a directory of programs, or what tells whom to believe. When it is
                              * there, and somebody but root and the user of cofre could change it or what is above
                              * it, the host refuses to open the instance */
#define COFRE_O_READS 64u    /* sink, PATH: it is only read (a key, a list of authorities), and may be outside of the
                              * place. Without it the path names a directory that is the plugin's to write */

struct cofre_option {
    const char *name;
    uint32_t type, flags;
    uint32_t offset, size;   /* the member of the plugin's struct */
    const char *fallback;    /* value when not set, as one would write it; NULL = zero */
    int64_t minimum, maximum; /* INTEGER, SIZE, DURATION; both 0 = any */
    const char *choices;     /* CHOICE: "never|always"; else NULL */
    const char *help;        /* one line; required */
};

struct cofre_options {
    const struct cofre_option *rows;
    uint32_t count, stride, struct_bytes, reserved;
};

#define COFRE_CTYPE_STRING const char *
#define COFRE_CTYPE_PATH const char *
#define COFRE_CTYPE_INTEGER int64_t
#define COFRE_CTYPE_BOOLEAN int32_t
#define COFRE_CTYPE_SIZE int64_t
#define COFRE_CTYPE_DURATION int64_t
#define COFRE_CTYPE_CHOICE int32_t
#define COFRE_CTYPE_LIST struct cofre_list
#define COFRE_CTYPE_SECRET struct cofre_secret

/* A member of the wrong type is a compile error: an array of size -1. */
#define COFRE_OFFSET_(T, f, C) \
    ((uint32_t)(offsetof(T, f) + 0 * sizeof(char[sizeof(((T *)0)->f) == sizeof(C) ? 1 : -1])))
#define COFRE_OPTION_FULL(T, f, TYPE, flags, fallback, minimum, maximum, choices, help) \
    { #f, COFRE_##TYPE, (flags), COFRE_OFFSET_(T, f, COFRE_CTYPE_##TYPE), (uint32_t)sizeof(COFRE_CTYPE_##TYPE), \
      (fallback), (minimum), (maximum), (choices), (help) }
#define COFRE_OPTION(T, f, TYPE, flags, fallback, help) \
    COFRE_OPTION_FULL(T, f, TYPE, flags, fallback, 0, 0, NULL, help)
#define COFRE_OPTION_RANGE(T, f, TYPE, flags, fallback, minimum, maximum, help) \
    COFRE_OPTION_FULL(T, f, TYPE, flags, fallback, minimum, maximum, NULL, help)
#define COFRE_OPTION_CHOICE(T, f, flags, fallback, choices, help) \
    COFRE_OPTION_FULL(T, f, CHOICE, flags, fallback, 0, 0, choices, help)
#define COFRE_OPTIONS(T, rows) \
    { (rows), (uint32_t)(sizeof(rows) / sizeof((rows)[0])), (uint32_t)sizeof(struct cofre_option), \
      (uint32_t)sizeof(T), 0 }

/* ---- the role of a source -----------------------------------------------------------------------------------------*/

/* Capability bits. The low 32 bits are advice, which a host may ignore; the high 32 are critical: a host that does not
 * know one refuses the plugin. Those of a source: */
#define COFRE_SOURCE_RECORDED (1ull << 0)   /* backup looks at the facts of the snapshot before: recorded() */
/* The first component of each path names a part that people know by this name (a database, a volume): a snapshot in
 * which one vanished or came back much smaller is suspect, whatever the others hold. A component that begins with "."
 * is none. */
#define COFRE_SOURCE_PARTS (1ull << 1)

/* Of all roles. */
#define COFRE_NO_NETWORK (1ull << 31)       /* it needs none: sockets that lead off this machine are refused */

/* What a source saves: entries of these kinds. */
enum {
    COFRE_FILE = 1,
    COFRE_DIRECTORY = 2,
    COFRE_SYMLINK = 3,
    COFRE_HARDLINK = 4,    /* another name of the earlier entry whose path is in link */
    COFRE_FIFO = 5,
    COFRE_CHARACTER = 6,   /* character device */
    COFRE_BLOCK = 7,       /* block device */
    COFRE_SOCKET = 8,      /* named in the snapshot, not kept */
    COFRE_STREAM = 9       /* a dump: content without POSIX attributes */
};

#define COFRE_ENTRY_RACY 1u      /* changed too recently to trust the fingerprint: it is not kept */

/* An extended attribute; POSIX ACLs and file capabilities are such attributes (system.posix_acl_access, ...). */
struct cofre_attribute {
    const char *name;
    const void *value;
    size_t length;
};

#define COFRE_NO_TIME INT64_MIN
#define COFRE_MAX_FINGERPRINT 64

/* Paths are bytes, relative, separated by '/', with no empty, "." or ".." component; at most 65,535 bytes. A component
 * may hold any byte but '/' and NUL. Entries are announced in path order: component by component, bytewise, a directory
 * before what is in it; each path once. (Compare with '/' counted as byte 0.) The directories in which an entry lies
 * need not be announced; what is announced and has an entry below it must be a directory. "" names the source's own
 * root, when that is a directory with attributes worth keeping; it comes first. */
struct cofre_entry {
    uint32_t struct_size, kind;
    uint32_t flags, path_length;
    const char *path;              /* also NUL terminated */
    int64_t size;                  /* of the content, -1 = unknown; the stream may turn out different */
    int64_t mtime;                 /* ns, or COFRE_NO_TIME */
    uint32_t mode;                 /* permission bits with setuid, setgid, sticky: 07777 */
    uint32_t uid, gid;
    uint32_t device_major, device_minor;  /* CHARACTER, BLOCK */
    uint32_t link_length;
    const char *user, *group;      /* names, or NULL when not known or not wanted */
    const char *link;              /* SYMLINK: target; HARDLINK: path of the first name. NUL terminated */
    const struct cofre_attribute *attributes;
    uint32_t attribute_count, attribute_stride;
    /* Same path, same fingerprint => nothing changed since, neither content nor attributes. Include whatever tells:
     * size, mtime, ctime, inode, device. The next backup asks with it: unchanged(). Length 0 = cannot tell. */
    const void *fingerprint;
    uint64_t fingerprint_length;
};

/* Facts: what the source knows of its data, kept with the snapshot: "rows.public.users" = "412". Keys are unique in a
 * source. backup says them of what it has saved; facts says the same ones, in any order, of what is there now. A flag
 * says what a fact is for; with none it only informs. MUST_MATCH and MAY_GROW exclude each other. */
/* It says which thing this was read from: a server's own identifier, that of a file system. When it changes from one
 * snapshot to the next, the new one is incomplete until the operator accepts it: somebody may have put another server
 * in the place of the one that is wanted. Say none rather than one that changes by itself. */
#define COFRE_FACT_IDENTITY 1u
#define COFRE_FACT_MUST_MATCH 2u  /* the same after a restore, or something was lost: rows, bytes, an encoding */
#define COFRE_FACT_MAY_GROW 4u    /* a decimal number: as much after a restore, or more */

enum {
    COFRE_CHECK_OFFLINE = 0,   /* look at nothing but the options; a secret that is set may hold some other text */
    COFRE_CHECK_CONNECT = 1    /* reach the thing, prove the credentials; change nothing that stays */
};

/* Bytes of [a-z0-9-] of an id that the host has made durable before it calls: never the same twice. Name after it what
 * you freeze, stop or make for a while. */
#define COFRE_MAX_ID 63

enum { COFRE_SERVICES_SAY = 0, COFRE_SERVICES_STOP = 1, COFRE_SERVICES_KEEP = 2 };

/* NULL = not offered, unless marked "required". */
struct cofre_source {
    uint32_t struct_size, reserved;
    uint64_t capabilities;       /* COFRE_SOURCE_* */
    /* Make an instance: look at the options, refuse (COFRE_E_CONFIG) what can never work, and reach nothing outside:
     * `cofre check --offline` opens too, and looks up no secrets then: each one that is set holds some other text. What
     * a secret holds is for the first call that needs it. After an error nothing is left behind, and open may be called
     * again. Required. */
    int32_t (*open)(struct cofre_call *, const void *conf, void **instance, struct cofre_error *error);
    /* Called once for each open that succeeded, last of all, also after a thaw; in the place of a worker that died by
     * nobody. Must not block: it has 5 seconds. Required. */
    void (*close)(void *instance);
    /* Say with finding() what is fine and what is not. Returns an error only when looking itself failed. An unknown
     * depth is COFRE_E_UNSUPPORTED. Required. */
    int32_t (*check)(void *instance, struct cofre_call *, int32_t depth, struct cofre_error *error);
    /* Say, with offer(), what is there that could be a source, of this plugin or of another one, and what is one
     * already. For `cofre discover`, of each configured source; of a plugin that none has and that requires no option,
     * also with nothing but defaults, also where backup needs one of them. */
    int32_t (*discover)(void *instance, struct cofre_call *, struct cofre_error *error);
    /* Announce and send every entry. COFRE_OK = all was announced; what could not be read was said with end or missing,
     * and what is not saved on purpose with left_out. A backup that announces nothing, or nothing but its root where
     * there was more before, is incomplete: a disk that is not mounted looks like that. Required. */
    int32_t (*backup)(void *instance, struct cofre_call *, struct cofre_error *error);
    /* Take every entry and put it back where the options say. What is there already is replaced only when the option
     * with COFRE_O_REPLACE says so. An entry of an unknown kind is left out, with done of COFRE_E_UNSUPPORTED.
     * Required. */
    int32_t (*restore)(void *instance, struct cofre_call *, struct cofre_error *error);
    /* Hold the moment that backup is going to read (stop the writers, open a snapshot) until thaw, which must be there.
     * All sources of a job that offer it are frozen before the first is read: first those whose plugin offers services,
     * since they stop what writes, then the others, in the order of the job. id was made durable by the host before the
     * call: name all that you create after it. The host always calls thaw: also after an error of freeze, then of the
     * same instance; twice; or from a fresh process if this one died. After RETRY or BUSY, and a thaw, freeze may be
     * called again with the same id. */
    int32_t (*freeze)(void *instance, struct cofre_call *, const char *id, struct cofre_error *error);
    /* COFRE_OK when nothing of that id is frozen any more. May be offered without freeze: it also follows each restore
     * in place, whatever came of it, and takes back what restore changed for its own sake (a role, a lock), not the
     * data. Must do with the id alone: in a fresh process, days later, twice, or for an id of which there is nothing.
     * */
    int32_t (*thaw)(void *instance, struct cofre_call *, const char *id, struct cofre_error *error);
    /* The services around the restore of a job into the running applications: which is the text of the job's
     * `restore_stop`, in the plugin's own words. what: COFRE_SERVICES_SAY: with finding(), what would be stopped and
     * started; id is NULL. COFRE_SERVICES_STOP: stop those that run, and start those that the text excepts and that do
     * not; id is durable, and thaw(id) starts in order what was stopped, and waits until it works. COFRE_SERVICES_KEEP:
     * what id has stopped stays so; say, with log, how it is started; a thaw of id then does nothing. An unknown
     * `what` is COFRE_E_UNSUPPORTED. Needs thaw, which also follows a STOP that failed. Called of the first source of
     * the job that offers it; where none does, of a plugin that requires no option, with nothing but defaults. */
    int32_t (*services)(void *instance, struct cofre_call *, int32_t what, const char *id, const char *which,
                        struct cofre_error *error);
    /* Say the facts of what is there now, with fact(). This, estimate, scratch_make and scratch_drop are not called by
     * this version of cofre: the commands that need them are to come. */
    int32_t (*facts)(void *instance, struct cofre_call *, struct cofre_error *error);
    /* How much a backup would read; both may be -1. */
    int32_t (*estimate)(void *instance, struct cofre_call *, int64_t *entries, int64_t *bytes,
                        struct cofre_error *error);
    /* Make an empty target for a trial restore, named after id, and write the overriding options that lead there, as
     * "key=value\n" lines, into overrides, terminated; no value has a line break. length is 16,384; what does not fit
     * is COFRE_E_RANGE. Needs scratch_drop. */
    int32_t (*scratch_make)(void *instance, struct cofre_call *, const char *id, char *overrides, size_t length,
                            struct cofre_error *error);
    /* As thaw, for what scratch_make has made. */
    int32_t (*scratch_drop)(void *instance, struct cofre_call *, const char *id, struct cofre_error *error);
};

/* ---- the role of a sink -------------------------------------------------------------------------------------------
 *
 * Keys are chosen by the host: segments of [A-Za-z0-9._-] joined by '/', at most 200 bytes, no "." or ".." segment,
 * never two that differ only in case. No sink needs an escaping scheme.
 */
#define COFRE_MAX_KEY 200

struct cofre_object {
    uint32_t struct_size, reserved;
    const char *key;       /* as output of stat: stays NULL */
    int64_t size;
    int64_t mtime;         /* ns, or COFRE_NO_TIME */
};

/* A flag that the plugin does not know is COFRE_E_UNSUPPORTED: it may be a promise. */
#define COFRE_PUT_IF_ABSENT 1u   /* COFRE_E_EXISTS when the key is taken; never replace */

struct cofre_put {
    uint32_t struct_size, flags;
    int64_t size;          /* -1 = not known until the end */
};

struct cofre_space {
    uint32_t struct_size, reserved;
    int64_t total, available;    /* bytes; -1 = unknown */
};

/* Capability bits, as those of a source. */
#define COFRE_SINK_IF_ABSENT (1ull << 0)    /* COFRE_PUT_IF_ABSENT is free of races */
#define COFRE_SINK_RANGES (1ull << 1)       /* get reads only what it is asked for */

/* NULL = not offered, unless marked "required". */
struct cofre_sink {
    uint32_t struct_size, reserved;
    uint64_t capabilities;       /* COFRE_SINK_* */
    /* open, close, check: as those of a source; required. */
    int32_t (*open)(struct cofre_call *, const void *conf, void **instance, struct cofre_error *error);
    void (*close)(void *instance);
    int32_t (*check)(void *instance, struct cofre_call *, int32_t depth, struct cofre_error *error);
    /* Make the place (directory, bucket) that the options name. Called by `cofre init` alone; every other call fails
     * with COFRE_E_NOT_FOUND when the place is not there, so that an unmounted disk is never written beside. Succeeds
     * when the place exists. */
    int32_t (*create)(void *instance, struct cofre_call *, struct cofre_error *error);
    /* Store what take gives under key. Atomic: under the key there is, at every moment and after a power cut, the old
     * object or the whole new one. COFRE_OK = complete, durable and visible; a sink that offers sync may say so
     * earlier, while the object is under way: get, stat, list, remove and later puts of the same key wait for it. A put
     * of known size need not take COFRE_END. Required. */
    int32_t (*put)(void *instance, struct cofre_call *, const char *key, const struct cofre_put *,
                   struct cofre_error *error);
    /* Send length bytes of the object from offset; length -1 = to the end. Beyond the end: COFRE_E_RANGE; at the
     * very end, with length -1, nothing is sent: COFRE_OK or COFRE_E_RANGE. Required. */
    int32_t (*get)(void *instance, struct cofre_call *, const char *key, int64_t offset, int64_t length,
                   struct cofre_error *error);
    /* Fill size and, where it is known, mtime. Required. */
    int32_t (*stat)(void *instance, struct cofre_call *, const char *key, struct cofre_object *object,
                    struct cofre_error *error);
    /* Say, with object(), every object whose key begins with prefix ("" = all; it may end inside a segment), in any
     * order, each once. Sees all that was put before the first page. cursor is NULL for the first page, else what
     * more() gave. A place that cannot be read is an error, never an empty list. Required. */
    int32_t (*list)(void *instance, struct cofre_call *, const char *prefix, const void *cursor, size_t cursor_length,
                    struct cofre_error *error);
    /* Durable. Absent is COFRE_OK. What may not go yet is COFRE_E_LOCKED; where older versions are kept, the newest is
     * meant, and no other is touched. Required. */
    int32_t (*remove)(void *instance, struct cofre_call *, const char *key, struct cofre_error *error);
    /* Remove 1 to 1,000 keys, for stores that can do so at once. COFRE_OK = none of them is there any more, durable.
     * After an error any of them may be gone; the message names one that is not. */
    int32_t (*remove_many)(void *instance, struct cofre_call *, const char *const *keys, size_t count,
                           struct cofre_error *error);
    /* Return when all earlier puts of this instance are durable, for stores that make many durable at once. What failed
     * since is said here, or by the next call, naming its object, with the class that put would have had; a repetition
     * tries it again. A key that was found taken after all, by other bytes, is COFRE_E_INTEGRITY. */
    int32_t (*sync)(void *instance, struct cofre_call *, struct cofre_error *error);
    /* Remove what interrupted puts left behind, when it began before older_than (ns). */
    int32_t (*sweep)(void *instance, struct cofre_call *, int64_t older_than, struct cofre_error *error);
    /* Nobody can remove or replace the object before until (ns). Never shortens: when it is protected for
     * longer there is nothing to do, and that is COFRE_OK. */
    int32_t (*retain)(void *instance, struct cofre_call *, const char *key, int64_t until, struct cofre_error *error);
    /* Not called by this version of cofre. */
    int32_t (*space)(void *instance, struct cofre_call *, struct cofre_space *space, struct cofre_error *error);
};

/* ---- the role of a notifier ----------------------------------------------------------------------------------------
 */

/* What is to be told. All is UTF-8 without control characters, but for line ends in text and json; nothing is NULL,
 * and what does not apply is "". */
struct cofre_event {
    uint32_t struct_size;
    int32_t level;         /* COFRE_LOG_ERROR = act, WARNING = look at it, NOTICE, INFO = good to know */
    int64_t time;          /* ns, when it happened: that may be a while ago */
    const char *id;        /* of [a-z0-9-]: the same when an event is told again, since nobody knows whether it was */
    const char *event;     /* "failure", "incomplete", "suspect", "stale", "recovered", "success", "space",
                            * "key_expiry", "removed", "test"; others are to come */
    const char *host, *job, *sink;
    const char *title;     /* one line, at most 255 bytes */
    const char *text;      /* all of it for people, in lines; at most 8,192 bytes */
    const char *json;      /* all of it for programs: one object, at most 65,536 bytes */
};

/* open, close, check and notify are required. */
struct cofre_notifier {
    uint32_t struct_size, reserved;
    uint64_t capabilities;       /* none but COFRE_NO_NETWORK */
    /* As those of a source. check tells nobody anything. */
    int32_t (*open)(struct cofre_call *, const void *conf, void **instance, struct cofre_error *error);
    void (*close)(void *instance);
    int32_t (*check)(void *instance, struct cofre_call *, int32_t depth, struct cofre_error *error);
    /* Tell it. COFRE_OK = whoever passes it on has taken it over. What could not be told is told again with later
     * commands of cofre, for a week. PERMANENT and RANGE are about this event, and those behind it are told; after any
     * other class they wait, too. */
    int32_t (*notify)(void *instance, struct cofre_call *, const struct cofre_event *event, struct cofre_error *error);
};

/* ---- host services ------------------------------------------------------------------------------------------------
 *
 * By the call in which there are. In any other call they break the contract.
 */

/* NOTICE: what the operator should always be told, such as what was kept and where; INFO and DEBUG are shown on demand.
 */
enum { COFRE_LOG_ERROR = 3, COFRE_LOG_WARNING = 4, COFRE_LOG_NOTICE = 5, COFRE_LOG_INFO = 6, COFRE_LOG_DEBUG = 7 };

/* A source of the configuration. Its settings are the options of its plugin as written, variables filled in, defaults
 * left out; secrets are not among them. plugin is "" when a variable that the section needs is not set. */
struct cofre_setting {
    const char *name, *value;
};

#define COFRE_SECTION_IN_JOB 1u

struct cofre_section {
    uint32_t struct_size, flags;  /* COFRE_SECTION_* */
    const char *name, *plugin;
    const struct cofre_setting *settings;
    uint32_t setting_count, setting_stride;
};

/* What could be a source. All is text of printable UTF-8. What several instances offer with the same options is shown
 * once. */
struct cofre_offer {
    uint32_t struct_size, reserved;
    const char *name;        /* of the section: proposed; made unique by the host */
    const char *options;     /* INI lines as one would write them, "plugin = ..." the first; at most 16,384 bytes */
    const char *about;       /* one line: what it is, how large, who uses it */
    const char *covered_by;  /* the source that saves it already; NULL = none does */
};

enum {
    COFRE_PROCESS_DIRECTORY = 0,   /* cwd, O_PATH */
    COFRE_PROCESS_ROOT = 1,        /* root, O_PATH */
    COFRE_PROCESS_NETWORK = 2      /* ns/net, for setns */
};

struct cofre_host {
    uint32_t struct_size, abi_level;
    const char *version;       /* of cofre, such as "0.1.0" */

    /* ---- every call ---- */

    /* One line to the log, at a level of COFRE_LOG_*. The host copies it, adds time and instance, and hides known
     * secrets. */
    void (*log)(struct cofre_call *, int32_t level, const char *text);
    /* COFRE_OK, COFRE_E_CANCELLED or COFRE_E_TIMEOUT (then *error is filled). Costs a few nanoseconds: ask freely. A
     * call that goes on after a cancellation is killed with its process, 10 seconds later. */
    int32_t (*cancelled)(struct cofre_call *, struct cofre_error *error);
    /* A descriptor that becomes readable on cancellation, and stays so, to be polled beside your own; then ask
     * cancelled. It does not tell of the deadline: time_left does. Never read or close it. */
    int (*cancel_fd)(struct cofre_call *);
    /* Milliseconds until the call's deadline; -1 = none. */
    int64_t (*time_left)(struct cofre_call *);
    /* Sleep so many milliseconds, or until the call is cancelled or out of time: then as cancelled. To wait for
     * something, ask for it between pauses. A pause is no progress. */
    int32_t (*pause)(struct cofre_call *, int64_t milliseconds, struct cofre_error *error);
    /* Still alive: feeds the stall watchdog (default 15 minutes) and the progress display. Moving bytes or entries does
     * so too. done and total are bytes; total 0 = unknown. */
    void (*progress)(struct cofre_call *, uint64_t done, uint64_t total);
    /* id, directory, common_directory, snapshot, recorded and configured, by call (- = breaks the contract):
     *
     *                     open  check, discover  backup  restore  freeze, thaw   services       sinks, notifiers
     *   id                NULL  NULL             yes     yes      the one given  the one given  NULL
     *   directory         yes   yes              yes     yes      yes            yes            refused: UNSUPPORTED
     *   common_directory  yes   yes              yes     yes      yes            yes            refused: UNSUPPORTED
     *   snapshot          ""    ""               yes     yes      ""             ""             ""
     *   recorded          -     -                yes     yes      -              -              -
     *   configured        -     yes              -       -        -              -              refused: UNSUPPORTED
     *
     * An instance of nothing but defaults has no directory of its own (UNSUPPORTED); without a configuration there is
     * neither.
     *
     * The id of this backup or restore: name after it what must not be mixed up with that of another one. Of a source
     * that offers freeze (backup) or thaw (restore, but with --into) it is durable since before the call, and thaw
     * follows with it. At most COFRE_MAX_ID bytes of [a-z0-9-], never the same twice; valid until the call returns. */
    const char *(*id)(struct cofre_call *);
    /* A directory of this source alone (0700), the same in every run, made when it is missing: for what must outlive
     * the process, such as a copy of what a restore replaces. *path is valid until close. The plugin cleans up in
     * it. */
    int32_t (*directory)(struct cofre_call *, const char **path, struct cofre_error *error);
    /* source. As directory, but one for all sources of this plugin in this configuration: for what several of them must
     * agree on. Runs of other jobs may be at work in it at the same time. */
    int32_t (*common_directory)(struct cofre_call *, const char **path, struct cofre_error *error);

    /* ---- check, discover ---- */

    /* check, and services to say: one thing that was looked at. level COFRE_LOG_INFO = fine, WARNING, ERROR = this will
     * fail; any other counts as ERROR. hint may be NULL. */
    void (*finding)(struct cofre_call *, int32_t level, const char *text, const char *hint);
    /* check, discover of a source. The sources of the configuration, from index 0 on, COFRE_END after the last: to say
     * what none covers. Valid until the call returns. */
    int32_t (*configured)(struct cofre_call *, uint64_t index, const struct cofre_section **section,
                          struct cofre_error *error);
    /* discover. Something that is there and could be a source. */
    int32_t (*offer)(struct cofre_call *, const struct cofre_offer *, struct cofre_error *error);

    /* ---- backup, restore: the snapshot before ---- */

    /* restore: the id of the snapshot; "" when it is not known. backup, of a plugin with COFRE_SOURCE_RECORDED: that of
     * the last one of this job that has this source, among the last 16, where they can be read here; else "". */
    const char *(*snapshot)(struct cofre_call *);
    /* The facts that this source said for that snapshot, from index 0 on, COFRE_END after the last, valid until the
     * call returns; there are none when snapshot is "". restore: to be compared before the old gives way to the new.
     * backup: to go on from there, such as from a position in a log. */
    int32_t (*recorded)(struct cofre_call *, uint64_t index, const char **key, const char **value,
                        struct cofre_error *error);

    /* ---- backup ---- */

    /* Is the entry at path, terminated or not, as it was in the last snapshot? COFRE_UNCHANGED = yes, and it has been
     * taken over: go on with the next entry. COFRE_OK = no, or it cannot be told, or the call was cancelled: announce
     * it with entry, which says so. Asking is cheap, and comes before anything of the entry is opened. COFRE_UNCHANGED
     * counts as announcing in the order of paths. */
    int32_t (*unchanged)(struct cofre_call *, const char *path, size_t path_length, const void *fingerprint,
                         size_t fingerprint_length);
    /* Announce the next entry; then send its content, if the kind has any (FILE, STREAM), then call end, for every
     * kind. COFRE_E_RANGE: its names and attributes are too large to be described; nothing was announced, and missing
     * may name it. */
    int32_t (*entry)(struct cofre_call *, const struct cofre_entry *, struct cofre_error *error);
    /* Bytes to the host: the content of an entry, and of an object (get). reserve lends a buffer of at least 1 and
     * usually *length bytes (in: wanted; out: got, never more, at most 512 KiB), so that read(2) can fill it in place;
     * commit hands over its first length bytes. Without commit, or when reserve is called again, the buffer is given up
     * by the next call. Both wait when the host is busy. */
    int32_t (*reserve)(struct cofre_call *, void **buffer, size_t *length, struct cofre_error *error);
    int32_t (*commit)(struct cofre_call *, size_t length, struct cofre_error *error);
    /* length zero bytes that need no storage. */
    int32_t (*hole)(struct cofre_call *, uint64_t length, struct cofre_error *error);
    /* The entry is complete. result: COFRE_OK; COFRE_E_CHANGED = kept, but not as it was: it changed while it was
     * read, or a part such as an attribute could not be read, which makes the snapshot incomplete; any other class =
     * not readable: the content is dropped, the entry is named as missing, with text and hint of why, which may be
     * NULL. The fingerprint is kept with COFRE_OK only. */
    int32_t (*end)(struct cofre_call *, int32_t result, const struct cofre_error *why, struct cofre_error *error);
    /* Forget the content sent for this entry so far: it is going to be sent again from the start. */
    int32_t (*restart)(struct cofre_call *, struct cofre_error *error);
    /* Something that could not even be announced, or that makes doubtful what was. COFRE_E_NOT_FOUND = it vanished,
     * which is counted and is no failure; any other class makes the snapshot incomplete. why as in end. */
    int32_t (*missing)(struct cofre_call *, const char *path, size_t path_length, int32_t result,
                       const struct cofre_error *why, struct cofre_error *error);
    /* Something that belongs to what the source was asked for is there and is not saved, for a reason that is no
     * failure: a mount point that is not entered, a database that takes no connections. It is named in the log and in
     * the snapshot; when it was not left out before, the snapshot is incomplete until the operator accepts it. name:
     * any bytes, in any order; why: text, as of an error. check says the same with finding. */
    int32_t (*left_out)(struct cofre_call *, const char *name, size_t name_length, const char *why,
                        struct cofre_error *error);
    /* A fact, kept with the snapshot. flags: COFRE_FACT_*. backup and facts. */
    int32_t (*fact)(struct cofre_call *, const char *key, const char *value, uint32_t flags,
                    struct cofre_error *error);

    /* ---- restore ---- */

    /* Lends the next entry, in path order, until the following call of next; COFRE_END after the last. Then its content
     * with take (FILE, STREAM), then done, for each. Directories that are not among the entries are made on the way,
     * and nothing is said of them. */
    int32_t (*next)(struct cofre_call *, const struct cofre_entry **entry, struct cofre_error *error);
    /* Bytes from the host: the content of an entry, and of an object (put). Lends the next piece until the next call
     * with this cofre_call. *bytes == NULL with *length > 0: a hole of that many zero bytes (restore only). COFRE_END:
     * that was all of it. An error means that the rest will never come: discard what you have. In a restore
     * COFRE_E_INTEGRITY is only about this entry, whose content is damaged in the snapshot: say it with done, go on. */
    int32_t (*take)(struct cofre_call *, const void **bytes, uint64_t *length, struct cofre_error *error);
    /* result: COFRE_OK, which late can take back; COFRE_PARTLY = back, with all of its content and without some of its
     * metadata: the host counts it, and the plugin says in the log what is lost, once for many entries.
     * COFRE_E_UNSUPPORTED = left out, for the reason in why; any other class = failed. Each but COFRE_OK makes the
     * restore incomplete; with an error class the path and text and hint of why are named. why may be NULL. Content
     * that was not taken is skipped. */
    int32_t (*done)(struct cofre_call *, int32_t result, const struct cofre_error *why, struct cofre_error *error);
    /* The entry at path, of which done has said COFRE_OK, came to this result after all: for plugins that go on with
     * the next entry while this one is still being written. result and why as in done; once for an entry at most,
     * before restore returns. With COFRE_OK nothing happens. */
    int32_t (*late)(struct cofre_call *, const char *path, size_t path_length, int32_t result,
                    const struct cofre_error *why, struct cofre_error *error);

    /* ---- put, get: take; reserve, commit. list: ---- */

    /* One object. */
    int32_t (*object)(struct cofre_call *, const struct cofre_object *, struct cofre_error *error);
    /* There is more; cursor (at most 1,024 bytes, any bytes) is given back to continue. */
    int32_t (*more)(struct cofre_call *, const void *cursor, size_t length, struct cofre_error *error);

    /* ---- a source, in any call and thread ---- */

    /* As open(2) of what /proc has of another process, COFRE_PROCESS_*: a descriptor, O_CLOEXEC, the plugin's, or -1
     * with errno. A worker cannot follow those links itself, also as root, since that right opens all of a process. */
    int (*open_process)(int64_t pid, uint32_t what);
    /* Something that a restore has left beside and that is still there, such as the database that it replaced: status
     * names it until it is gone. what: "database 'shop_before_...'"; removal: the command that removes it. restore says
     * what it has left now; backup, and check when it connects, name all that there is of this source, and what they
     * do not name is gone. Elsewhere nothing comes of it. Not between reserve and commit. Both at most 1,000 bytes: of
     * a longer name the beginning is told, a longer command not at all. Of one source 100 are remembered. */
    void (*leftover)(struct cofre_call *, const char *what, const char *removal);
};

/* ---- descriptor and entry point -----------------------------------------------------------------------------------*/

struct cofre_plugin {
    uint32_t struct_size, api_level;
    uint32_t min_host_level, reserved;   /* refuse hosts below this ABI level */
    const char *name;                    /* [a-z][a-z0-9-]*; the file is NAME.so */
    const char *version, *summary, *license;
    const char *example;                 /* the options of a working section, as INI lines */
    struct cofre_options options;
    const struct cofre_source *source;   /* exactly one role; a host that does not know it refuses the plugin */
    const struct cofre_sink *sink;       /* (notifier: at the end) */
    /* What it sees of the engine's environment, from open on, besides PATH, TZ and the locale: names separated by
     * blanks; "AWS_*" is all that begin with AWS_. NULL = nothing. */
    const char *environment;
    /* sink: what it reads beside the system's own files and those of its options, separated by blanks: /PATH; ~/PATH in
     * the home directory of the user that it runs as; $NAME, the path in a variable of `environment`. Not what holds
     * cofre's keys, configuration or state. NULL = nothing. */
    const char *reads;
    const struct cofre_notifier *notifier;
};

/* No tail padding, or an appended field could hide in it and seem to be there in older plugins. */
#define COFRE_TIGHT_(T, last) \
    typedef char T##_is_tight[sizeof(struct T) == offsetof(struct T, last) + sizeof(((struct T *)0)->last) && \
                              sizeof(struct T) % 8 == 0 ? 1 : -1]
COFRE_TIGHT_(cofre_error, hint);
COFRE_TIGHT_(cofre_list, count);
COFRE_TIGHT_(cofre_secret, length);
COFRE_TIGHT_(cofre_option, help);
COFRE_TIGHT_(cofre_options, reserved);
COFRE_TIGHT_(cofre_attribute, length);
COFRE_TIGHT_(cofre_entry, fingerprint_length);
COFRE_TIGHT_(cofre_source, scratch_drop);
COFRE_TIGHT_(cofre_object, mtime);
COFRE_TIGHT_(cofre_put, size);
COFRE_TIGHT_(cofre_space, available);
COFRE_TIGHT_(cofre_sink, space);
COFRE_TIGHT_(cofre_event, json);
COFRE_TIGHT_(cofre_notifier, notify);
COFRE_TIGHT_(cofre_setting, value);
COFRE_TIGHT_(cofre_section, setting_stride);
COFRE_TIGHT_(cofre_offer, covered_by);
COFRE_TIGHT_(cofre_host, leftover);
COFRE_TIGHT_(cofre_plugin, notifier);

#if defined(__GNUC__)
#define COFRE_EXPORT __attribute__((visibility("default")))
#define COFRE_HIDDEN_ __attribute__((visibility("hidden")))
#define COFRE_UNUSED_ __attribute__((unused))
#define COFRE_PRINTF_(a, b) __attribute__((format(printf, a, b)))
#else
#define COFRE_EXPORT
#define COFRE_HIDDEN_
#define COFRE_UNUSED_
#define COFRE_PRINTF_(a, b)
#endif

/* The one exported symbol; its name carries the ABI's major version. */
COFRE_EXPORT const struct cofre_plugin *cofre_plugin_v1(const struct cofre_host *host);

/* Put COFRE_PLUGIN once into the plugin; `cofre` is then the host's table, in all of the plugin's files. */
extern COFRE_HIDDEN_ const struct cofre_host *cofre;
#define COFRE_PLUGIN(descriptor) \
    const struct cofre_host *cofre; \
    const struct cofre_plugin *cofre_plugin_v1(const struct cofre_host *host) \
    { \
        if (host) \
            cofre = host; \
        return &(descriptor); \
    }

/* ---- helpers ------------------------------------------------------------------------------------------------------*/

/* Fill *error and return class: return cofre_fail(error, COFRE_E_NOT_FOUND, "open '%s': no such bucket", name);
 * What an earlier failure left in it goes: errno, code, hint, retry_after. No argument may lie in *error. */
COFRE_UNUSED_ COFRE_PRINTF_(3, 4) static inline int32_t cofre_fail(struct cofre_error *error, int32_t error_class,
                                                                   const char *format, ...)
{
    va_list arguments;
    error->os_errno = 0;
    error->retry_after = 0;
    error->code[0] = '\0';
    error->hint[0] = '\0';
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    return error_class;
}

/* What the operator should do, after cofre_fail. */
COFRE_UNUSED_ COFRE_PRINTF_(2, 3) static inline void cofre_hint(struct cofre_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error->hint, sizeof error->hint, format, arguments);
    va_end(arguments);
}

/* The refusal of a kind, flag, depth or `what` that the plugin does not know:
 * return cofre_unknown(error, "put", "flag", put->flags & ~COFRE_PUT_IF_ABSENT); */
COFRE_UNUSED_ static inline int32_t cofre_unknown(struct cofre_error *error, const char *where, const char *what,
                                                  uint32_t number)
{
    return cofre_fail(error, COFRE_E_UNSUPPORTED, "%s: this version of the plugin does not know the %s 0x%x", where,
                      what, (unsigned)number);
}

/* The class of an errno; COFRE_E_PERMANENT for those that say nothing. */
COFRE_UNUSED_ static inline int32_t cofre_errno_class(int errnum)
{
    switch (errnum) {
    case ENOENT: case ESTALE:               return COFRE_E_NOT_FOUND;
    case EACCES: case EPERM: case EROFS:    return COFRE_E_DENIED;
    case EEXIST:                            return COFRE_E_EXISTS;
    case ENOSPC: case EDQUOT:               return COFRE_E_NO_SPACE;
    case ENOMEM:                            return COFRE_E_MEMORY;
    case EOPNOTSUPP: case ENOSYS:           return COFRE_E_UNSUPPORTED;
    case EBUSY: case ETXTBSY:               return COFRE_E_BUSY;
    case ETIMEDOUT:                         return COFRE_E_TIMEOUT;
    case EMFILE: case ENFILE: case EAGAIN:  return COFRE_E_RETRY;
    default:                                return COFRE_E_PERMANENT;
    }
}

/* As cofre_fail, with ": " and the system's text behind the message, errno, and its class:
 * return cofre_fail_errno(error, errno, "read '%s'", path); */
COFRE_UNUSED_ COFRE_PRINTF_(3, 4) static inline int32_t cofre_fail_errno(struct cofre_error *error, int errnum,
                                                                         const char *format, ...)
{
    va_list arguments;
    size_t used;
    cofre_fail(error, COFRE_OK, "%s", "");
    va_start(arguments, format);
    vsnprintf(error->message, sizeof error->message, format, arguments);
    va_end(arguments);
    used = strlen(error->message);
    snprintf(error->message + used, sizeof error->message - used, ": %s", strerror(errnum));
    error->os_errno = errnum;
    return cofre_errno_class(errnum);
}

/* Send what can be read from fd (a file, a pipe, a socket; not one with O_NONBLOCK), at most `most` bytes; -1 = to its
 * end. Waits for it until the call is cancelled. *sent: how many there were. what: for the message, "read 'NAME'". */
COFRE_UNUSED_ static inline int32_t cofre_send_fd(struct cofre_call *call, int fd, int64_t most, int64_t *sent,
                                                  const char *what, struct cofre_error *error)
{
    *sent = 0;
    while (most < 0 || *sent < most) {
        struct pollfd fds[2] = {{fd, POLLIN, 0}, {cofre->cancel_fd(call), POLLIN, 0}};
        int64_t left = cofre->time_left(call);
        void *buffer;
        size_t room = 512 * 1024;
        ssize_t n;
        int32_t result;
        if (poll(fds, 2, left < 0 || left > 60000 ? 60000 : (int)left + 1) < 0 && errno != EINTR)
            return cofre_fail_errno(error, errno, "%s", what);
        if ((result = cofre->cancelled(call, error)) != COFRE_OK)
            return result;
        if (!fds[0].revents)
            continue;
        if (most >= 0 && (uint64_t)(most - *sent) < room)
            room = (size_t)(most - *sent);
        if ((result = cofre->reserve(call, &buffer, &room, error)) != COFRE_OK)
            return result;
        n = read(fd, buffer, room);
        if (n < 0 && errno != EINTR)
            return cofre_fail_errno(error, errno, "%s", what);
        if (n == 0)
            break;
        if (n > 0 && (result = cofre->commit(call, (size_t)n, error)) != COFRE_OK)
            return result;
        *sent += n > 0 ? n : 0;
    }
    return COFRE_OK;
}

#ifdef __cplusplus
}
#endif
#endif
