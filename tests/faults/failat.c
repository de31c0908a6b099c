/* failat [-s] [-p TEXT] CALL ERRNO N OUT COMMAND...: the N-th call of the system call CALL fails with ERRNO.
 *
 *   -s       sticky: all later ones fail too
 *   -p TEXT  count only calls whose first argument is a descriptor of a file whose path has TEXT in it
 *
 * Counted over all threads and children. The call is not made. N = 0 fails nothing. The number of calls seen is written
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

static const struct {
    const char *name;
    uint64_t number;
} calls[] = {
    {"read", SYS_read},
    {"write", SYS_write},
    {"pread64", SYS_pread64},
    {"pwrite64", SYS_pwrite64},
    {"writev", SYS_writev},
    {"openat", SYS_openat},
    {"close", SYS_close},
    {"fsync", SYS_fsync},
    {"fdatasync", SYS_fdatasync},
    {"renameat", SYS_renameat},
    {"renameat2", SYS_renameat2},
    {"mkdirat", SYS_mkdirat},
    {"unlinkat", SYS_unlinkat},
    {"linkat", SYS_linkat},
    {"ftruncate", SYS_ftruncate},
    {"fchmod", SYS_fchmod},
    {"getdents64", SYS_getdents64},
    {"newfstatat", SYS_newfstatat},
    {"mmap", SYS_mmap},
    {"memfd_create", SYS_memfd_create},
    {"socketpair", SYS_socketpair},
    {"clone", SYS_clone},
    {"getrandom", SYS_getrandom},
    {"flock", SYS_flock},
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
    uint64_t number;
    int cause;
    unsigned long seen, at;
    bool sticky;
    const char *path;
    pid_t failing[64]; /* threads whose call was skipped and is about to return */
};

static bool path_matches(const struct plan *plan, const struct trace_stop *stop)
{
    char link[64], target[4096];
    if (!plan->path)
        return true;
    snprintf(link, sizeof link, "/proc/%d/fd/%d", (int)stop->pid, (int)stop->arguments[0]);
    ssize_t n = readlink(link, target, sizeof target - 1);
    target[n > 0 ? n : 0] = '\0';
    return strstr(target, plan->path) != NULL;
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
    if (stop->number != plan->number || !path_matches(plan, stop))
        return TRACE_GO_ON;
    plan->seen++;
    if (plan->at > 0 && (plan->seen == plan->at || (plan->sticky && plan->seen > plan->at))) {
        trace_skip(stop->pid);
        set_failing(plan, 0, stop->pid);
    }
    return TRACE_GO_ON;
}

static bool look_up(struct plan *plan, const char *call, const char *cause)
{
    bool found = false, known = false;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (strcmp(calls[i].name, call) == 0) {
            plan->number = calls[i].number;
            found = true;
        }
    }
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        if (strcmp(errors[i].name, cause) == 0) {
            plan->cause = errors[i].number;
            known = true;
        }
    }
    return found && known;
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
