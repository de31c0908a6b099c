/* failat [-s] [-p TEXT] CALL ERRNO N OUT COMMAND...: the N-th call of the system call CALL fails with ERRNO.
 *
 *   -s       sticky: all later ones fail too
 *   -p TEXT  count only calls on a path with TEXT in it: that of the descriptor, or the one that is named
 *
 * Counted over all threads and children. The call is not made, but for close, which gives the descriptor back whatever
 * it says (close(2)). N = 0 fails nothing. The number of calls seen is written
 * into the file OUT. Exit status: that of COMMAND.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "trace.h"

#define NO_PATH (-1)

static const struct call {
    const char *name;
    uint64_t number;
    int descriptor, path; /* which arguments they are; a call without a descriptor: NO_PATH */
} calls[] = {
    {"read", SYS_read, 0, NO_PATH},
    {"write", SYS_write, 0, NO_PATH},
    {"pread64", SYS_pread64, 0, NO_PATH},
    {"pwrite64", SYS_pwrite64, 0, NO_PATH},
    {"writev", SYS_writev, 0, NO_PATH},
    {"openat", SYS_openat, 0, 1},
    {"close", SYS_close, 0, NO_PATH},
    {"fsync", SYS_fsync, 0, NO_PATH},
    {"fdatasync", SYS_fdatasync, 0, NO_PATH},
    {"syncfs", SYS_syncfs, 0, NO_PATH},
    {"renameat", SYS_renameat, 0, 1},
    {"renameat2", SYS_renameat2, 0, 1},
    {"mkdirat", SYS_mkdirat, 0, 1},
    {"unlinkat", SYS_unlinkat, 0, 1},
    {"linkat", SYS_linkat, 0, 1},
    {"ftruncate", SYS_ftruncate, 0, NO_PATH},
    {"fchmod", SYS_fchmod, 0, NO_PATH},
    {"fchownat", SYS_fchownat, 0, 1},
    {"fsetxattr", SYS_fsetxattr, 0, NO_PATH},
    {"utimensat", SYS_utimensat, 0, 1},
    {"symlinkat", SYS_symlinkat, 1, NO_PATH},
    {"getdents64", SYS_getdents64, 0, NO_PATH},
    {"newfstatat", SYS_newfstatat, 0, 1},
    {"mmap", SYS_mmap, 4, NO_PATH},
    {"flock", SYS_flock, 0, NO_PATH},
#ifdef SYS_mkdir
    {"mkdir", SYS_mkdir, NO_PATH, 0},
    {"rename", SYS_rename, NO_PATH, 0},
    {"unlink", SYS_unlink, NO_PATH, 0},
    {"chmod", SYS_chmod, NO_PATH, 0},
#endif
    {"memfd_create", SYS_memfd_create, NO_PATH, NO_PATH},
    {"socketpair", SYS_socketpair, NO_PATH, NO_PATH},
    {"clone", SYS_clone, NO_PATH, NO_PATH},
    {"getrandom", SYS_getrandom, NO_PATH, NO_PATH},
};

static const struct {
    const char *name;
    int number;
} errors[] = {
    {"EIO", EIO},       {"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EROFS", EROFS},   {"EACCES", EACCES},
    {"EPERM", EPERM},   {"EINTR", EINTR},   {"ENOMEM", ENOMEM}, {"EMFILE", EMFILE}, {"ENFILE", ENFILE},
    {"ESTALE", ESTALE}, {"EAGAIN", EAGAIN}, {"EINVAL", EINVAL}, {"ENOSYS", ENOSYS}, {"EFBIG", EFBIG},
};

struct plan {
    const struct call *call;
    int cause;
    unsigned long seen, at;
    bool sticky;
    const char *path;
    pid_t failing[64]; /* threads whose call was skipped and is about to return */
};

static bool descriptor_matches(const struct plan *plan, const struct trace_stop *stop)
{
    char link[64], target[4096];
    if (plan->call->descriptor == NO_PATH)
        return false;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)stop->pid, (int)stop->arguments[plan->call->descriptor]);
    ssize_t n = readlink(link, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    return strstr(target, plan->path) != NULL;
}

static bool path_matches(const struct plan *plan, const struct trace_stop *stop)
{
    char path[4096];
    if (!plan->path || descriptor_matches(plan, stop))
        return true;
    return plan->call->path != NO_PATH &&
           trace_read_text(stop->pid, stop->arguments[plan->call->path], path, sizeof path) && strstr(path, plan->path);
}

static void set_failing(struct plan *plan, pid_t from, pid_t to)
{
    for (size_t i = 0; i < sizeof plan->failing / sizeof plan->failing[0]; i++) {
        if (plan->failing[i] == from) {
            plan->failing[i] = to;
            return;
        }
    }
}

static bool is_failing(const struct plan *plan, pid_t pid)
{
    for (size_t i = 0; i < sizeof plan->failing / sizeof plan->failing[0]; i++) {
        if (plan->failing[i] == pid)
            return true;
    }
    return false;
}

static enum trace_verdict visit(void *context, const struct trace_stop *stop)
{
    struct plan *plan = context;
    if (!stop->entry) {
        if (is_failing(plan, stop->pid)) {
            trace_set_result(stop->pid, -plan->cause);
            set_failing(plan, stop->pid, 0);
        }
        return TRACE_GO_ON;
    }
    if (stop->number != plan->call->number || !path_matches(plan, stop))
        return TRACE_GO_ON;
    plan->seen++;
    if (plan->at > 0 && (plan->seen == plan->at || (plan->sticky && plan->seen > plan->at))) {
        if (plan->call->number != SYS_close)
            trace_skip(stop->pid);
        set_failing(plan, 0, stop->pid);
    }
    return TRACE_GO_ON;
}

static bool look_up(struct plan *plan, const char *call, const char *cause)
{
    bool known = false;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (strcmp(calls[i].name, call) == 0)
            plan->call = &calls[i];
    }
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (strcmp(errors[i].name, cause) == 0) {
            plan->cause = errors[i].number;
            known = true;
        }
    }
    return plan->call && known;
}

int main(int argc, char **argv)
{
    struct plan plan = {0};
    int option;
    while ((option = getopt(argc, argv, "+sp:")) != -1) {
        if (option == 's')
            plan.sticky = true;
        else if (option == 'p')
            plan.path = optarg;
        else
            return 2;
    }
    argv += optind;
    if (argc - optind < 5 || !look_up(&plan, argv[0], argv[1])) {
        fputs("usage: failat [-s] [-p TEXT] CALL ERRNO N OUT COMMAND...\n", stderr);
        return 2;
    }
    plan.at = strtoul(argv[2], NULL, 10);
    int status = trace_run(argv + 4, visit, &plan);
    FILE *out = fopen(argv[3], "w");
    if (!out || fprintf(out, "%lu\n", plan.seen) < 0 || fclose(out)) {
        perror(argv[3]);
        return 125;
    }
    return status;
}
