#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "host/confine.h"
#include "wire/plugin_info.h"

#if defined(__x86_64__) || defined(__aarch64__)

#ifdef __x86_64__
#define OWN_ARCH AUDIT_ARCH_X86_64
#define X32_BIT 0x40000000u
#else
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

#define NAMESPACES                                                                                                     \
    (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

/* Not for plugins, whatever rights they have. */
static const int refused[] = {
#ifndef COFRE_SANITIZED /* which looks for leaks with them */
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev,
#endif
    /* other processes */
    SYS_pidfd_getfd, SYS_kcmp, SYS_process_madvise, SYS_perf_event_open,
    /* mounts and namespaces */
    SYS_mount, SYS_umount2, SYS_move_mount, SYS_open_tree, SYS_fsopen, SYS_fsconfig, SYS_fsmount, SYS_fspick,
#ifdef SYS_mount_setattr
    SYS_mount_setattr,
#endif
    SYS_pivot_root, SYS_unshare,
    /* the kernel itself */
    SYS_bpf, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
    SYS_reboot, SYS_swapon, SYS_swapoff, SYS_acct, SYS_quotactl, SYS_syslog, SYS_settimeofday, SYS_clock_settime,
    SYS_sethostname, SYS_setdomainname, SYS_userfaultfd, SYS_fanotify_init,
#ifdef __x86_64__
    SYS_iopl, SYS_ioperm,
#endif
    /* keyrings */
    SYS_add_key, SYS_request_key, SYS_keyctl,
    /* ways around what looks at paths and calls */
    SYS_open_by_handle_at, SYS_io_uring_setup, SYS_io_uring_enter, SYS_io_uring_register};

struct filter {
    struct sock_filter code[256];
    unsigned short length;
};

static void put(struct filter *f, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    ASSERT(f->length < sizeof f->code / sizeof f->code[0]);
    f->code[f->length++] = (struct sock_filter){.code = code, .jt = yes, .jf = no, .k = k};
}

static void load(struct filter *f, size_t offset)
{
    put(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void fail_with(struct filter *f, int errnum)
{
    put(f, BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)errnum, 0, 0);
}

/* Of our architecture; its number is loaded from here on. */
static void begin(struct filter *f)
{
    load(f, offsetof(struct seccomp_data, arch));
    put(f, BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 1, 0);
    fail_with(f, EPERM);
    load(f, offsetof(struct seccomp_data, nr));
#ifdef X32_BIT
    put(f, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
    fail_with(f, EPERM);
#endif
}

static void refuse(struct filter *f, int number, int errnum)
{
    put(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 1);
    fail_with(f, errnum);
}

/* When a test (BPF_JEQ, BPF_JSET) of the lower half of its argument says so. */
static void refuse_when(struct filter *f, int number, unsigned argument, uint16_t test, uint32_t value, bool holds)
{
    put(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 0, 4);
    load(f, offsetof(struct seccomp_data, args) + argument * sizeof(uint64_t)); /* little endian, both of them */
    put(f, BPF_JMP | test | BPF_K, value, !holds, holds);
    fail_with(f, EPERM);
    load(f, offsetof(struct seccomp_data, nr));
}

static int install(struct filter *f, unsigned flags, struct error *e)
{
    put(f, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    struct sock_fprog program = {.len = f->length, .filter = f->code};
    /* Without SPEC_ALLOW kernels before 5.16 would slow everything down. */
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
    if (result < 0 && errno == EINVAL)
        result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    if (result < 0 && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) < 0)
        return 0; /* the kernel has none */
    return result == 0 ? 0 : error_system(e, result > 0 ? EBUSY : errno, "restrict the system calls of a worker");
}

int confine_calls(int role, struct error *e)
{
    struct filter f = {.length = 0};
    begin(&f);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        refuse(&f, refused[i], EPERM);
    if (role == PLUGIN_SOURCE)
        refuse_when(&f, SYS_setns, 1, BPF_JEQ, CLONE_NEWNET, false);
    else
        refuse(&f, SYS_setns, EPERM);
    refuse_when(&f, SYS_clone, 0, BPF_JSET, NAMESPACES, true);
    refuse(&f, SYS_clone3, ENOSYS); /* its flags are out of sight; the C library then takes clone */
    /* Keys typed into the terminal that cofre was started from. */
    refuse_when(&f, SYS_ioctl, 1, BPF_JEQ, TIOCSTI, true);
    refuse_when(&f, SYS_ioctl, 1, BPF_JEQ, TIOCLINUX, true);
    return install(&f, 0, e);
}

int confine_network(struct error *e)
{
    struct filter f = {.length = 0};
    begin(&f);
    refuse_when(&f, SYS_socket, 0, BPF_JEQ, AF_UNIX, false);
    return install(&f, SECCOMP_FILTER_FLAG_TSYNC, e);
}

#else /* the numbers of its calls were never looked at */

int confine_calls(int role, struct error *e)
{
    (void)role;
    (void)e;
    return 0;
}

int confine_network(struct error *e)
{
    (void)e;
    return 0;
}

#endif
